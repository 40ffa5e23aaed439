"""Widgets over a study for JupyterLab: plain functions that return what a cell shows.

>>> from xfer.report import widgets
>>> widgets.heatmap_explorer("no/such/study")
<heatmap explorer: no/such/study: is not a study folder (no study.toml); 'xfer compare' makes one>
"""

from xfer.report.widgets.heatmap_explorer import heatmap_explorer

__all__ = ["heatmap_explorer"]
