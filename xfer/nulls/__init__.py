"""What chance would score: null models of a map, ceilings, and scores between the two."""

from xfer.nulls.ceilings import COLUMNS as CEILING_COLUMNS
from xfer.nulls.ceilings import anchor, anchored, ceiling, mean_interval
from xfer.nulls.pixels import expected_iou
from xfer.nulls.resolutions import resolution_differences
from xfer.nulls.spec import NULLS, Null, primary
from xfer.nulls.table import COLUMNS as NULL_COLUMNS
from xfer.nulls.table import HEADLINE, adjust, null_names, null_scores

__all__ = [
    "CEILING_COLUMNS", "HEADLINE", "NULLS", "NULL_COLUMNS",
    "Null", "adjust", "anchor", "anchored", "ceiling", "expected_iou", "mean_interval", "null_names",
    "null_scores", "primary", "resolution_differences",
]  # fmt: skip
