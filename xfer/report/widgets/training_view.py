"""Training as it goes: curves and stages, read from the logs of a study folder that may still be written."""

import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from ipywidgets import HTML, Button

from xfer.progress import duration
from xfer.report.canvas import decimal
from xfer.report.curves import training_curves
from xfer.report.widgets.bars import Bars
from xfer.report.widgets.explorer import Explorer, Shown, escaped, explorer
from xfer.study.running import running

_REDRAW = 3.0
"""Seconds between two drawings of the curves while work is told of."""


@explorer("training view")
def training_view(folder: str | Path) -> Explorer:
    """Watch a study train, from the notebook that runs it or from any other, on whatever machine.

    Parameters
    ----------
    folder : path or URL
        The study folder; it need not be there yet.

    Returns
    -------
    Explorer or Notice
        Its button reads the logs anew. Where the study runs in the same notebook, the view is what to pass as
        ``progress``: it follows by itself, without a timer.

    Examples
    --------
    >>> view = training_view("reports/mine")
    >>> view.told
    'reports/mine: there is no such folder yet; if the study was moved, give its new place'
    >>> study = xfer.compare("songnet_bn", out="reports/mine", progress=view)  # doctest: +SKIP
    """
    return TrainingView(folder)


class TrainingView(Explorer):
    """See `training_view`.

    Attributes
    ----------
    refresh : Button
    table : HTML
        A row a network and fold.
    bars : Bars
        The stages that are being worked on, where the view is a run's ``progress``.
    """

    title = "training view"

    def __init__(self, folder: str | Path) -> None:
        self.folder = folder
        self.refresh = Button(description="Refresh", icon="refresh", tooltip="read the logs anew")
        self.refresh.on_click(lambda _: self.redraw())
        self.table, self.bars, self._drawn = HTML(), Bars(), 0.0
        super().__init__([self.refresh, self.bars, self.table], [])
        self.children[0].layout.width = "100%"

    def draw(self) -> Shown:
        """The curves so far."""
        self._drawn = time.monotonic()
        self.table.value = ""
        found = running(self.folder)
        self.table.value = _table(found.networks)
        labels = [_label(*key) for key in zip(found.networks["model"], found.networks["guide"], strict=True)]
        networks = list(dict.fromkeys(labels))
        curves = found.curves.assign(
            model=[_label(*key) for key in zip(found.curves["model"], found.curves["guide"], strict=True)]
        )
        chosen = found.networks.assign(model=labels, epoch=found.networks["best"])
        torn = f"; cannot be read: {', '.join(found.torn)}" if found.torn else ""
        figure = training_curves(curves, networks, chosen, found.chance)
        return Shown(figure, escaped(f"{found}{torn}"), f"Accuracy and loss by epoch of {', '.join(networks)}")

    def __call__(self, stage: str, steps: int) -> Callable[[], None]:
        """Be told of a stage and its steps, as ``progress`` is."""
        if not self.png:
            self.redraw()
        tick, count = self.bars(stage, steps), itertools.count(1)

        def ticked() -> None:
            tick()
            if next(count) >= steps or time.monotonic() - self._drawn > _REDRAW:
                self.redraw()

        return ticked


def _label(model: str, guide: str) -> str:
    return f"{model} ({guide})" if guide and guide != "none" else model


def _table(networks: pd.DataFrame) -> str:
    head = ("network", "fold", "stage", "epoch", "validation", "test")
    told: Any = networks.itertuples()
    rows = []
    for row in told:
        values = [decimal(v, 3) if np.isfinite(v) else "" for v in (row.validation_accuracy, row.accuracy)]
        stage = f"{row.stage}, {duration(row.left)} left" if row.stage == "training" and row.left >= 90 else row.stage
        cells = (_label(row.model, row.guide), row.fold, stage, f"{row.epoch} of {row.epochs}", *values)
        rows.append("".join(f'<td style="padding: 0 10px 0 0">{escaped(cell)}</td>' for cell in cells))
    heads = "".join(f'<th scope="col" style="text-align: left; padding: 0 10px 0 0">{name}</th>' for name in head)
    body = "".join(f"<tr>{row}</tr>" for row in rows)
    return f'<table style="line-height: 1.5"><thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table>'
