"""What chance scores on average over the expressions of a network."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xfer.labels import KEY
from xfer.metrics import METRICS
from xfer.nulls.comparisons import IN_STEP, p_value, spread
from xfer.nulls.spec import NULLS, primary
from xfer.nulls.table import Drawn

NETWORK = tuple(name for name in KEY if name not in IN_STEP)
MEAN_COLUMNS = (
    *NETWORK, "mask", "metric", "threshold", "null", "value", "null_mean", "null_sd", "p", "n_draws", "expressions",
    "reason",
)  # fmt: skip


def mean_scores(drawn: Drawn) -> pd.DataFrame:
    """Is a network better than chance? The mean score over its expressions against the means of the primary null.

    A draw of the mean is the mean of one draw of every expression. Those are in step (`drawn_scores`): heatmaps of a
    network resemble each other, and means of independent draws would scatter less than the network does by chance.

    Parameters
    ----------
    drawn : Drawn

    Returns
    -------
    DataFrame
        One row (`MEAN_COLUMNS`) per network, mask source, metric and threshold. ``p`` is one-sided, as in
        `null_scores`; NaN with its reason where a heatmap of the network has no score or no p-value.
    """
    table = drawn.table[drawn.table["null"] == primary().name]
    parts = [*NETWORK, "mask", "metric", "threshold", "null"]
    rows = [
        (*names, *_mean(rows, [drawn.draws[i] for i in rows.index])) for names, rows in table.groupby(parts, sort=False)
    ]
    return pd.DataFrame(rows, columns=list(MEAN_COLUMNS))


def _mean(rows: pd.DataFrame, draws: Sequence[NDArray[np.float64]]) -> tuple[float, float, float, float, int, int, str]:
    """value, null_mean, null_sd, p, n_draws, expressions, reason."""
    value, count = float(rows["value"].mean(skipna=False)), len(rows)
    why = next((f"{e}: {r}" for e, r in zip(rows["expression"], rows["reason"], strict=True) if r), "")
    if why:
        return value, np.nan, np.nan, np.nan, 0, count, why
    scores = np.mean(draws, axis=0)
    metric = METRICS[str(rows["metric"].iloc[0]).removesuffix("_specificity")]
    p = p_value(value, spread(scores, NULLS[rows["null"].iloc[0]]), metric)
    return value, float(scores.mean()), float(scores.std(ddof=1)), p, len(scores), count, ""
