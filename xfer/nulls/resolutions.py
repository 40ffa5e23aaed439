"""How far scores at a coarser resolution are from those at full resolution."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from xfer.labels import KEY
from xfer.metrics import view
from xfer.nulls.cells import prepare
from xfer.nulls.comparisons import case
from xfer.nulls.rearranged import questions
from xfer.nulls.table import HEADLINE
from xfer.scoring import metric_names


def resolution_differences(
    heatmaps: xr.DataArray,
    masks: xr.DataArray,
    support: NDArray[np.bool_] | None = None,
    *,
    metrics: Sequence[str] | str = HEADLINE,
    threshold: str | float | Sequence[str | float] = "area",
    resolution: float = 0.5,
) -> pd.DataFrame:
    """Every own-mask score at full and at a coarser resolution.

    Parameters are those of `null_scores`.

    Returns
    -------
    DataFrame
        The key, ``mask``, ``metric``, ``threshold``, ``full``, ``coarse`` and ``difference`` (coarse minus full).
    """
    cuts = [threshold] if isinstance(threshold, str | float) else list(threshold)
    asked = questions(metric_names(metrics), cuts)
    scored = {}
    for name, share in (("full", 1.0), ("coarse", resolution)):
        cells = prepare(heatmaps, masks, support, share)
        truth = view(cells.masks, cells.support)
        cases = (case(cells, index, truth, asked) for index in range(len(cells.keys)))
        scored[name] = [float(values[one.own]) for one in cases for values in one.values]
    rows = [
        {**key, "mask": str(masks.name), "metric": question.metric.name, "threshold": question.cut}
        for key in cells.keys.to_dict("records")
        for question in asked
    ]
    table = pd.DataFrame(rows, columns=[*KEY, "mask", "metric", "threshold"]).assign(**scored)
    return table.assign(difference=table["coarse"] - table["full"])
