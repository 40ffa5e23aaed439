"""Area-matched pixel-random masks: what two independent regions share, in closed form."""

import math

import numpy as np
import pandas as pd
import xarray as xr

from xfer.metrics import METRICS, Metric, view
from xfer.metrics.thresholds import cut
from xfer.nulls.spec import NULLS


@NULLS.register(
    "pixels",
    kind="expectation",
    reference="the chance that each metric declares; for IoU pq / (p + q - pq)",
    words="as many pixels strewn at random, which no map of a network resembles: an expectation, never a test",
)
def pixels(metric: Metric, p: float, q: float) -> float:
    """The score of a mask and an independent map, from the share of the support that each covers.

    Parameters
    ----------
    metric : Metric
    p, q : float
        Shares of the support in [0, 1] that the mask and the thresholded map cover.

    Returns
    -------
    float
        NaN where the metric declares its chance in words.

    Examples
    --------
    >>> round(pixels(METRICS["iou"], 0.3, 0.3), 4)
    0.1765
    """
    try:
        return float(eval(metric.chance, {"__builtins__": {}}, {"p": p, "q": q, "log": math.log}))
    except (SyntaxError, NameError):
        return math.nan
    except (ZeroDivisionError, ValueError):
        return math.nan


def expected_iou(
    heatmaps: xr.DataArray,
    masks: xr.DataArray,
    support: np.ndarray | None = None,
    threshold: str | float = "otsu",
) -> "pd.Series[float]":
    """Expected IoU, per expression, of a mask and an independent map at the maps' mean foreground area.

    Parameters
    ----------
    heatmaps : DataArray (cell, y, x)
    masks : DataArray (expression, y, x)
    support : bool array (y, x), optional
    threshold : {"otsu", "area"} or float in (0, 1)

    Returns
    -------
    Series named ``chance``
        By expression with a map, in the order of `masks`. Constant maps have no foreground; NaN where there is no
        other.
    """
    share = {}
    present = heatmaps.coords["expression"].values
    for expression, mask in zip(map(str, masks.coords["expression"].values), masks.values, strict=True):
        if expression not in present:
            continue
        maps = view(heatmaps.values[present == expression], support)
        truth = view(mask, support)
        areas = np.asarray(cut(maps, truth, threshold)[1], dtype=float) * np.ones(len(maps.values))
        defined = ~np.asarray(maps.constant) & np.asarray(maps.finite)
        q = areas[defined].mean() / truth.n if defined.any() else math.nan
        share[expression] = pixels(METRICS["iou"], float(truth.area) / truth.n, q)
    return pd.Series(share, name="chance", dtype=float)
