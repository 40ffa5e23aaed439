"""What chance would score: null models of a map, ceilings, and scores between the two."""

from xfer.nulls.ceilings import anchor, anchored, ceiling, mean_interval
from xfer.nulls.pixels import expected_iou
from xfer.nulls.resolutions import resolution_differences
from xfer.nulls.spec import NULLS, Null, primary
from xfer.nulls.table import adjust, null_names, null_scores

__all__ = [
    "NULLS", "Null", "adjust", "anchor", "anchored", "ceiling", "expected_iou", "mean_interval", "null_names",
    "null_scores", "primary", "resolution_differences",
]  # fmt: skip
