"""Widgets for JupyterLab: plain functions that return what a cell shows.

`annotate` asks a rater; the others look at a study. Each of those returns an `Explorer`, whose controls can also be set
in Python, or a `Notice`, one line that says what is wrong. An explorer's ``figure`` is the Matplotlib figure that is
shown, to be saved in any format.

>>> from xfer.report import widgets
>>> widgets.heatmap_explorer("no/such/study")
<heatmap explorer: no/such/study: is not a study folder: there is none; if it was moved, give its new place>
"""

from xfer.report.widgets.action_unit_explorer import action_unit_explorer
from xfer.report.widgets.annotation import annotate
from xfer.report.widgets.dendrogram_explorer import dendrogram_explorer
from xfer.report.widgets.explorer import Explorer, Notice
from xfer.report.widgets.face_browser import face_browser
from xfer.report.widgets.heatmap_explorer import heatmap_explorer
from xfer.report.widgets.training_view import training_view

__all__ = [
    "Explorer", "Notice", "action_unit_explorer", "annotate", "dendrogram_explorer", "face_browser", "heatmap_explorer",
    "training_view",
]  # fmt: skip
