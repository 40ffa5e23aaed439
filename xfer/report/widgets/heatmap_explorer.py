"""Heatmaps one by one: over a face, cut by a threshold, scored against a mask."""

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from ipywidgets import HTML, Dropdown, FloatSlider, ToggleButtons

from xfer import scoring
from xfer.errors import InputError
from xfer.labels import KEY
from xfer.metrics import METRICS, View, reason, view
from xfer.metrics.thresholds import level
from xfer.report.canvas import spoken
from xfer.report.widgets.cells import ALL_FOLDS, Cells
from xfer.report.widgets.explorer import LABELLED, Explorer, Shown, escaped, explorer, opened, warning
from xfer.report.widgets.overlays import overlay
from xfer.report.widgets.underlay import Underlay
from xfer.study import Study

_NAMES = {"model": "network", "outcome": "faces"}
_WORDS = {"all": "all faces", "correct": "recognised", "incorrect": "not recognised"}
_SHOWN = ("iou", "dice", "precision", "recall")
SLIDER = "slider"
_RULES = {"Otsu": "otsu", "mask's area": "area", "slider": SLIDER}
_ENDS = (0.01, 0.99)


@explorer("heatmap explorer")
def heatmap_explorer(study: Study | str | Path, *, frame: str | None = None, landmarker: str = "mediapipe") -> Explorer:
    """Look at the heatmaps of a study one by one.

    Parameters
    ----------
    study : Study or path
    frame : str, optional
        The canonical frame of heatmaps from files, as `xfer.geometry.load_frame` takes, where the masks tell none:
        what faces are placed in.
    landmarker : str
        What finds the face in a picture of one's own, as `xfer.landmarkers.open` takes.

    Returns
    -------
    Explorer or Notice
        `HeatmapExplorer` names the controls.

    Examples
    --------
    >>> explorer = heatmap_explorer("reports/mine")
    >>> explorer
    <heatmap explorer: reports/mine: is not a study folder: there is none; if it was moved, give its new place>
    """
    return HeatmapExplorer(opened(study), frame, landmarker)


class HeatmapExplorer(Explorer):
    """See `heatmap_explorer`.

    Attributes
    ----------
    choices : dict of str to Dropdown
        For each part of the key that tells heatmaps apart: model, expression, explainer ...
    mask : Dropdown
        The mask source.
    strength : FloatSlider
        How much of the heatmap shows over the face.
    rule : ToggleButtons
        Otsu, as many pixels as the mask, or what the slider says.
    threshold : FloatSlider
        The share of the map's range from which on pixels are kept.
    underlay : Underlay
        The face beneath, and the upload.
    score : HTML
    """

    title = "heatmap explorer"

    def __init__(self, study: Study, frame: str | None, landmarker: str) -> None:
        self.study, self.cells = study, Cells(study)
        self._own = scoring.own(study.scores)
        self._seen: tuple[tuple[str, ...], View, View] | None = None
        self.choices = {
            name: Dropdown(
                options=[(_said(name, v), v) for v in values],
                value=self.cells.start[name],
                description=_NAMES.get(name, name),
                **LABELLED,
            )
            for name, values in self.cells.choices.items()
        }
        self.mask = Dropdown(options=[str(m.name) for m in study.mask_sources.masks], description="mask", **LABELLED)
        self.strength = FloatSlider(
            0.5, min=0, max=1, step=0.05, description="heatmap", readout_format=".2f", **LABELLED
        )
        self.rule = ToggleButtons(options=_RULES, value="otsu", style={"button_width": "auto"})
        low, high = _ENDS
        self.threshold = FloatSlider(0.5, min=low, max=high, step=0.01, description="threshold", **LABELLED)
        self.score, self.underlay = HTML(), Underlay(study, frame, landmarker, self.redraw)
        watched = [*self.choices.values(), self.mask, self.rule, self.strength, self.underlay.choice]
        self.threshold.observe(self._by_hand, "value")
        controls = [*self.choices.values(), self.mask, self.rule, self.threshold, self.score, self.strength]
        super().__init__([*controls, *self.underlay.controls], watched)

    @property
    def key(self) -> dict[str, str]:
        """The chosen part of the key."""
        return {name: str(choice.value) for name, choice in self.choices.items()}

    def draw(self) -> Shown:
        """The heatmap and its score."""
        key = self.key
        heatmap, mask = self.cells.find(**key), self._mask(key["expression"])
        if heatmap is None:
            self.score.value = ""
            raise InputError(f"no heatmap has {', '.join(f'{n} {v}' for n, v in key.items())}; choose another")
        kept = self._cut(heatmap, mask)
        title = " · ".join(_said(name, value) for name, value in key.items())
        figure = overlay(
            heatmap.values,
            title=title,
            face=self.underlay.picture,
            strength=self.strength.value,
            support=self.study.support,
            mask=None if mask is None else mask.values,
            kept=kept,
        )
        alt = f"Heatmap of {title}, the outlines of mask {self.mask.value} and of the pixels above the threshold."
        return Shown(figure, self._in_study(heatmap), alt)

    def _mask(self, expression: str) -> xr.DataArray | None:
        source = next(m for m in self.study.mask_sources.masks if str(m.name) == self.mask.value)
        return source.sel(expression=expression) if expression in source.coords["expression"].values else None

    def _cut(self, heatmap: xr.DataArray, mask: xr.DataArray | None) -> np.ndarray | None:
        """The pixels that the threshold keeps, and their score on the way; None where there is no such thing."""
        if mask is None:
            self.score.value = warning(f"{self.mask.value} has no mask of {spoken(self.key['expression'])}")
            return None
        seen, truth = self._views(heatmap, mask)
        if why := str(reason(METRICS["iou"], seen, truth)):
            self.score.value = warning(f"no score: {why}")
            return None
        rule = self.threshold.value if self.rule.value == SLIDER else self.rule.value
        scale = 1.0 if seen.scale is None else float(seen.scale)
        cut, low, high = float(level(seen, truth, rule)), float(seen.low) * scale, float(seen.high) * scale
        if self.rule.value != SLIDER:
            with self.together():
                self.threshold.value = round(float(np.clip((cut - low) / (high - low), *_ENDS)), 2)
        self._say({name: float(METRICS[name](seen, truth, threshold=rule)) for name in _SHOWN})
        return (heatmap.values >= cut) & self.study.support

    def _views(self, heatmap: xr.DataArray, mask: xr.DataArray) -> tuple[View, View]:
        """What metrics see; the last ones are kept, they hold the sorted pixels."""
        which = (*(str(heatmap.coords[name].item()) for name in KEY), str(self.mask.value))
        if self._seen is None or self._seen[0] != which:
            self._seen = which, view(heatmap.values, self.study.support), view(mask.values, self.study.support)
        return self._seen[1], self._seen[2]

    def _say(self, values: dict[str, float]) -> None:
        others = " · ".join(f"{name} {values[name]:.3f}" for name in _SHOWN[1:])
        measure = self.study.mask_sources.measures[self.mask.value]
        by_eye = "<br><i>A threshold set by eye is no result.</i>" if self.rule.value == SLIDER else ""
        self.score.value = (
            f'<div role="status" style="line-height: 1.4"><b style="font-size: 1.25em">IoU {values["iou"]:.3f}</b>'
            f"<br>{others}<br>{escaped(measure)} with {escaped(self.mask.value)}{by_eye}</div>"
        )

    def _in_study(self, heatmap: xr.DataArray) -> str:
        """What the study itself says of this heatmap."""
        rows = self._own[self._own["mask"] == self.mask.value]
        for name in KEY:
            value = str(heatmap.coords[name].item())
            if (name, value) != ("fold", "all") or self.key.get("fold") != ALL_FOLDS:
                rows = rows[rows[name] == value]
        if not len(rows):
            return "The study has no score of this heatmap."
        how = f"mean over {len(rows)} folds" if len(rows) > 1 else f"{int(rows['n'].iloc[0])} faces"
        told = [str(self.study.config["threshold"]), *([how] if how != "1 faces" else [])]
        value = rows["value"].mean(skipna=False)
        why = next((why for why in rows["reason"] if why), "")
        score = (
            f"<b>{value:.3f}</b> ({escaped(', '.join(told))})" if np.isfinite(value) else escaped(f"undefined: {why}")
        )
        return f"In the study: IoU {score}"

    def _by_hand(self, change: Any) -> None:
        """The slider was moved."""
        if not self._drawing:
            with self.together():
                self.rule.value = SLIDER
            self.redraw()


def _said(name: str, value: str) -> str:
    """A value of the key as a reader sees it."""
    if name == "outcome":
        return _WORDS.get(value, value)
    return spoken(value) if name == "expression" else value
