"""The face beneath a heatmap: the study's mean face, a drawn one, one's own, or none."""

from collections.abc import Callable
from typing import Any

import numpy as np
from ipywidgets import HTML, Dropdown, FileUpload, Widget

from xfer import geometry
from xfer.errors import InputError
from xfer.report.widgets.explorer import LABELLED, escaped, warning
from xfer.study import Study
from xfer.study.own_face import OwnFace, drawn_face, own_face

MEAN, DRAWN, OWN, NOBODY = "mean face", "drawn face", "your own", "none"

LARGEST = 9_000_000
"""Bytes of an upload: a message of more than 10 MiB ends the connection of browser and kernel and is lost unseen."""

PRIVATE = (
    f"Your picture stays in the kernel's memory; nothing is written. A file of more than {LARGEST / 1e6:g} MB does not "
    "get there: save it as a smaller JPEG first."
)


class Underlay:
    """Which face lies beneath the heatmaps of a study, and the controls to choose it.

    Attributes
    ----------
    choice : Dropdown
    upload : FileUpload
    line : HTML
        What became of an upload.
    note : HTML
        What can be uploaded.
    """

    def __init__(self, study: Study, frame: str | None, landmarker: str, changed: Callable[[], None]) -> None:
        self._mean, self._landmarker, self._changed = study.mean_face, landmarker, changed
        self._frame = frame_of(study, frame)
        self._own: OwnFace | None = None
        self.choice = Dropdown(options=self._options(), description="face", **LABELLED)
        self.upload = FileUpload(
            accept="image/*", description="Place a face of your own", layout={"width": "calc(100% - 4px)"}
        )
        self.line, self.note = HTML(), HTML(_small(PRIVATE))
        self.upload.observe(self._uploaded, "value")

    @property
    def controls(self) -> list[Widget]:
        """From top to bottom; without an upload where the frame is not known."""
        return [self.choice, *([self.upload, self.line, self.note] if self._frame else [])]

    @property
    def picture(self) -> np.ndarray | None:
        """The chosen face (y, x, 4) in [0, 1]."""
        if self.choice.value == OWN and self._own is not None:
            return self._own.picture
        if self.choice.value == DRAWN and self._frame is not None:
            return drawn_face(self._frame)
        return self._mean if self.choice.value == MEAN else None

    def _options(self) -> list[str]:
        there = {OWN: self._own is not None, MEAN: self._mean is not None, DRAWN: self._frame is not None}
        return [*(name for name, known in there.items() if known), NOBODY]

    def _uploaded(self, change: Any) -> None:
        """Place a picture, and forget the file."""
        if not self.upload.value or self._frame is None:
            return
        file = self.upload.value[-1]
        name, content = str(file["name"]), bytes(file["content"])
        self.upload.value = ()
        try:
            if len(content) > LARGEST:
                raise InputError(
                    f"{name}: has {len(content) / 1e6:.0f} MB; save it as a JPEG of at most {LARGEST / 1e6:g}"
                )
            self._own = own_face(content, name, geometry.load_frame(self._frame), self._landmarker)
        except InputError as error:
            self.line.value = warning(str(error))
            return
        self.line.value = _small("; ".join((f"{name} is in place", *self._own.notes)))
        if self.choice.value == OWN:
            self._changed()
        else:
            self.choice.options = self._options()
            self.choice.value = OWN


def frame_of(study: Study, frame: str | None) -> str | None:
    """The name or file of the canonical frame of a study's canvas; None where it is not known.

    Raises
    ------
    InputError
        If the frame that is given has another canvas.
    """
    named = str(study.masks.attrs.get("frame"))
    if frame is None:
        return named if named in geometry.frame_names() else None
    found, size = geometry.load_frame(frame), study.support.shape
    if (found.height, found.width) != size:
        raise InputError(
            f"frame {found.name!r} is {found.height} x {found.width}, the heatmaps are {size[0]} x {size[1]}"
        )
    return frame


def _small(text: str) -> str:
    return f'<div role="status" style="line-height: 1.4; font-size: 0.9em">{escaped(text)}</div>'
