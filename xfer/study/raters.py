"""What people's own maps score against the masks that they make together: the ceiling of human alignment."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from xfer.nulls import CEILING_COLUMNS
from xfer.nulls.canvas import coarsen_support
from xfer.statistics.raters import split_half_ceiling


def ceilings(
    people: xr.DataArray, support: NDArray[np.bool_], asked: Iterable[tuple[str, str, str]], seed: int
) -> pd.DataFrame:
    """The raters' split-half ceiling of every expression.

    Parameters
    ----------
    people : DataArray (rater, expression, y, x)
        Shares at half resolution, see `xfer.mask_sources.MaskSources.raters`.
    support : bool array (y, x)
        At full resolution.
    asked : iterable of (metric, threshold, score)
        The last is a name in `xfer.statistics.scores.SCORES`.
    seed : int

    Returns
    -------
    DataFrame
        The columns of `xfer.nulls.ceiling`: ``n`` raters whose map of the expression is of use, ``sources`` how many in
        words, ``left_out`` the others by reason; ``reason`` says why something is NaN.
    """
    inside = coarsen_support(support, 2)
    reasons = people.coords["reason"].values
    rows: list[dict[str, Any]] = []
    for at, expression in enumerate(map(str, people.coords["expression"].values)):
        held = people.values[reasons[:, at] == "", at][:, inside]
        lost = Counter(str(reason) for reason in reasons[:, at] if reason)
        for metric, threshold, score in asked:
            found = split_half_ceiling(held, score, seed=seed)
            rows.append(
                {
                    "mask": str(people.name), "expression": expression, "metric": metric, "threshold": threshold,
                    "ceiling": found.corrected, "low": found.ci_low, "high": found.ci_high, "n": found.n,
                    "sources": f"{found.n} rater{'s' * (found.n != 1)}",
                    "left_out": ", ".join(f"{reason} ({n})" for reason, n in lost.most_common()),
                    "reason": found.reason,
                }
            )  # fmt: skip
    return pd.DataFrame(rows, columns=list(CEILING_COLUMNS))
