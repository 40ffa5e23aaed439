"""Widgets for JupyterLab: plain functions that return a widget, or a picture where no kernel runs."""

from xfer.report.widgets.annotation import annotate

__all__ = ["annotate"]
