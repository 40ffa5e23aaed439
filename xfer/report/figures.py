"""Every figure of the report: data in, `matplotlib.figure.Figure` out, no pyplot, no display needed."""

from xfer.report.maps import heatmap_grid, masks_grid
from xfer.report.matrices import correlation_matrix, score_heat, swap_matrix
from xfer.report.trees import dendrogram, family

__all__ = [
    "correlation_matrix", "dendrogram", "family", "heatmap_grid", "masks_grid", "score_heat", "swap_matrix",
]  # fmt: skip
