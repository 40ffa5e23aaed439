"""The faces of a study one page at a time, wrong answers first, each under the map of its own that was kept."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from ipywidgets import Checkbox, Dropdown, FloatSlider, IntSlider
from matplotlib.figure import Figure
from PIL import Image

from xfer.errors import InputError
from xfer.report.canvas import GREY, INK, ORANGE, STYLE, short_labels, spoken, text_width
from xfer.report.panels import sheet
from xfer.report.widgets.explorer import LABELLED, Explorer, Shown, escaped, explorer, opened
from xfer.report.widgets.overlays import draw_mixed, draw_points, mixed
from xfer.study import Study
from xfer.study.kept_faces import SIDE, KeptFace, KeptFaces

ACROSS, DOWN = 4, 2
_SIDE, _GAP, _BELOW = 1.6, 0.1, 0.3
"""Inches of a face, between two, for the words under one."""
_EVERY = "all"


@explorer("face browser")
def face_browser(study: Study | str | Path, data: str | None = None) -> Explorer:
    """Look at single faces with what a network answered and where it looked.

    Parameters
    ----------
    study : Study or path
        One that kept the maps of single faces (``per_face=True``).
    data : str, optional
        Where the pictures of a study of photographs are, as `xfer.datasets.open` takes. Drawn faces are drawn again.

    Returns
    -------
    Explorer or Notice
        `FaceBrowser` names the controls. A notebook that is saved keeps the page that was shown.

    Examples
    --------
    >>> face_browser("reports/faces-quick-1a2b3c4d").told
    'reports/faces-quick-1a2b3c4d: is not a study folder: there is none; if it was moved, give its new place'
    """
    return FaceBrowser(opened(study), data)


class FaceBrowser(Explorer):
    """See `face_browser`.

    Attributes
    ----------
    model, fold, expression, explainer : Dropdown
    strength : FloatSlider
        How much of the map shows over the face.
    landmarks : Checkbox
    page : IntSlider
    """

    title = "face browser"

    def __init__(self, study: Study, data: str | None) -> None:
        self.study, self.kept = study, KeptFaces(study, data)
        table = self.kept.table
        there = sorted(set(table["expression"]), key=list(study.config["data"]["expressions"]).index)
        self.model = Dropdown(options=list(dict.fromkeys(table["model"])), description="network", **LABELLED)
        self.fold = Dropdown(options=sorted(set(table["fold"])), description="fold", **LABELLED)
        options = [(_EVERY, _EVERY), *((spoken(e), e) for e in there)]
        self.expression = Dropdown(options=options, description="expression", **LABELLED)
        self.explainer = Dropdown(options=self.kept.explainers, description="explainer", **LABELLED)
        self.strength = FloatSlider(
            0.5, min=0, max=1, step=0.05, description="heatmap", readout_format=".2f", **LABELLED
        )
        self.landmarks = Checkbox(value=False, description="landmarks", **LABELLED)
        self.page = IntSlider(1, min=1, max=1, description="page", **LABELLED)
        chosen = [self.model, *([self.fold] if len(self.fold.options) > 1 else []), self.expression]
        for control in chosen:
            control.observe(lambda _: self._turn(), "value")
        self._turn()
        watched = [*chosen, self.explainer, self.page, self.strength, self.landmarks]
        super().__init__(watched, watched)

    @property
    def rows(self) -> pd.DataFrame:
        """The chosen faces, wrong answers first."""
        table = self.kept.table
        chosen = (table["model"] == self.model.value) & (table["fold"] == self.fold.value)
        if self.expression.value != _EVERY:
            chosen &= table["expression"] == self.expression.value
        return table[chosen]

    def _turn(self) -> None:
        """Back to the first page of another choice."""
        with self.together():
            self.page.max = max(1, -(-len(self.rows) // (ACROSS * DOWN)))
            self.page.value = 1

    def draw(self) -> Shown:
        """One page."""
        rows = self.rows
        if not len(rows):
            raise InputError(f"{self.model.value} kept no map of a face that shows {spoken(self.expression.value)}")
        start = (self.page.value - 1) * ACROSS * DOWN
        part: Any = rows.iloc[start : start + ACROSS * DOWN]
        faces = [self.kept.face(name) for name in part["face"]]
        maps = [self.kept.map(row.model, row.fold, row.face, self.explainer.value) for row in part.itertuples()]
        figure = face_page(part, faces, maps, self.strength.value, landmarks=self.landmarks.value)
        wrong = int((~rows["right"]).sum())
        told = [f"{len(rows)} faces, {wrong} of them taken for something else, the surest first"]
        if not self.kept.pictures:
            told.append("pictures are not in a study folder: give data=... to see the faces")
        elif self.study.config["source"] != "synthetic":
            told.append("a notebook that is saved or exported shows these people")
        answers = "; ".join(f"{spoken(r.expression)} taken for {spoken(r.predicted)}" for r in part.itertuples())
        return Shown(figure, escaped("; ".join(told)), f"Faces under their maps: {answers}")


@mpl.rc_context(STYLE)
def face_page(
    rows: pd.DataFrame, faces: list[KeptFace], maps: list[np.ndarray], strength: float, *, landmarks: bool = False
) -> Figure:
    """Faces under their maps, with label, answer and its probability.

    Parameters
    ----------
    rows : DataFrame
        Of `KeptFaces.table`, as many as there are faces.
    faces : list of KeptFace
    maps : list of array (gy, gx)
    strength : float in [0, 1]
        0 is the face alone, 1 the map alone.
    landmarks : bool
        Draw the 68 points.
    """
    names, down = short_labels([str(name) for name in rows["face"]], 24), -(-len(rows) // ACROSS)
    mosaic = np.ones((_px(_GAP + down * (_SIDE + _GAP + _BELOW)), _px(_GAP + ACROSS * (_SIDE + _GAP)), 3), np.float32)
    height, width = (length / _px(1) for length in mosaic.shape[:2])
    fig, ax = sheet(width, height)
    told_of: Any = rows.itertuples()
    for i, (row, face, heatmap) in enumerate(zip(told_of, faces, maps, strict=True)):
        left, top = _GAP + i % ACROSS * (_SIDE + _GAP), _GAP + i // ACROSS * (_SIDE + _GAP + _BELOW)
        shape = (SIDE, SIDE) if face.picture is None else face.picture.shape[:2]
        over = np.asarray(Image.fromarray(heatmap).resize(shape[::-1], Image.Resampling.BILINEAR))
        down_by, right_by = ((SIDE - length) // 2 for length in shape)
        y, x = _px(top) + down_by, _px(left) + right_by
        under = None if face.picture is None else face.picture / 255
        mosaic[y : y + shape[0], x : x + shape[1]] = mixed(over, under, strength)
        if landmarks and face.points is not None:
            draw_points(ax, face.points + np.array([x, y]), (0.0, 0.0, width, height), mosaic.shape)
        wrong = f"{spoken(row.expression)} → {spoken(row.predicted)}"
        told = f"{spoken(row.expression) if row.right else wrong}  {row.probability:.2f}"
        size = min(8.0, 8.0 * _SIDE / text_width([told], 9.2))
        ax.text(left, top + _SIDE + 0.04, told, va="top", size=size, weight="bold", color=INK if row.right else ORANGE)
        ax.text(left, top + _SIDE + 0.19, names[i], va="top", size=6.5, color=GREY)
    draw_mixed(ax, mosaic, (0.0, 0.0, width, height))
    return fig


def _px(inches: float) -> int:
    """Pixels of the mosaic that so many inches take: a face has `SIDE`."""
    return round(inches * SIDE / _SIDE)
