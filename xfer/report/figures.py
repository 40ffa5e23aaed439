"""Every figure of the report: data in, `matplotlib.figure.Figure` out, no pyplot, no display needed."""

from xfer.report.accuracies import accuracy_chart, confusion_grid
from xfer.report.curves import training_curves
from xfer.report.intervals import forest, variance_bars
from xfer.report.maps import heatmap_grid, masks_grid
from xfer.report.matrices import correlation_matrix, marked_matrix, score_heat, swap_matrix
from xfer.report.pairs import outcome_pairs
from xfer.report.rank_lines import critical_difference
from xfer.report.trees import dendrogram, family, supported

__all__ = [
    "accuracy_chart", "confusion_grid", "correlation_matrix", "critical_difference", "dendrogram", "family", "forest",
    "heatmap_grid", "marked_matrix", "masks_grid", "outcome_pairs", "score_heat", "supported", "swap_matrix",
    "training_curves", "variance_bars",
]  # fmt: skip
