"""What chance would score: null models of a map, ceilings, and scores between the two."""

from xfer.nulls.ceilings import COLUMNS as CEILING_COLUMNS
from xfer.nulls.ceilings import anchor, anchored, ceiling, mean_interval
from xfer.nulls.means import mean_scores
from xfer.nulls.pixels import expected_iou
from xfer.nulls.resolutions import resolution_differences
from xfer.nulls.spec import NULLS, Null, primary
from xfer.nulls.table import COLUMNS as NULL_COLUMNS
from xfer.nulls.table import HEADLINE, Drawn, adjust, drawn_scores, null_names, null_scores

__all__ = [
    "CEILING_COLUMNS", "HEADLINE", "NULLS", "NULL_COLUMNS",
    "Drawn", "Null", "adjust", "anchor", "anchored", "ceiling", "drawn_scores", "expected_iou", "mean_interval",
    "mean_scores", "null_names", "null_scores", "primary", "resolution_differences",
]  # fmt: skip
