"""What chance would score, and what other experts' masks do: null models of a map, and the ceiling."""

from xfer.nulls.ceilings import COLUMNS as CEILING_COLUMNS
from xfer.nulls.ceilings import ceiling
from xfer.nulls.means import mean_scores
from xfer.nulls.pixels import expected_iou
from xfer.nulls.resolutions import resolution_differences
from xfer.nulls.spec import NULLS, Null, primary
from xfer.nulls.table import COLUMNS as NULL_COLUMNS
from xfer.nulls.table import HEADLINE, Asked, Drawn, adjust, ask, drawn_scores, joined, null_names, null_scores

__all__ = [
    "CEILING_COLUMNS", "HEADLINE", "NULLS", "NULL_COLUMNS",
    "Asked", "Drawn", "Null", "adjust", "ask", "ceiling", "drawn_scores", "expected_iou", "joined", "mean_scores",
    "null_names", "null_scores", "primary", "resolution_differences",
]  # fmt: skip
