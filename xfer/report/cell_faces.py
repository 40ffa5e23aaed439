"""The single faces behind a heatmap, for the page of a study that kept their maps and is asked to show them."""

import base64
import io
from typing import Any

import numpy as np
from PIL import Image

from xfer.report.blocks import number
from xfer.report.canvas import decimal, spoken
from xfer.report.pixels import levels
from xfer.study import Study
from xfer.study.kept_faces import SIDE, KeptFace, KeptFaces

MOST = 8
"""Faces of one heatmap; those that were not recognised come first."""

_SMALL = 112
"""Pixels of a picture's longer side."""

_LINES = ((0, 17), (17, 22), (22, 27), (27, 31), (31, 36), (36, 42), (42, 48), (48, 60), (60, 68))
"""Jaw, brows, nose, eyes and lips among the 68 landmarks."""

_CLOSED = (36, 42, 48, 60)


class CellFaces:
    """Whose faces stand behind each heatmap; each person is stored once.

    Parameters
    ----------
    study : Study
    wanted : bool
        Without it, or where the study kept no maps of single faces, there are none.

    Attributes
    ----------
    people : list of dict
        ``picture`` (data URI, "" where it is not known) and ``lines`` (the path of the landmarks in a square of 100).
    """

    def __init__(self, study: Study, wanted: bool) -> None:
        self.people: list[dict[str, str]] = []
        self._kept = KeptFaces(study) if wanted and study.config.get("per_face") else None
        self._places: dict[str, int] = {}

    def of(self, model: str, expression: str, explainer: str) -> dict[str, Any]:
        """What the script is told of the faces of one cell: ``shown``, in words, and ``faces``."""
        if self._kept is None or explainer not in self._kept.explainers:
            return {}
        table = self._kept.table
        rows = table[(table["model"] == model) & (table["expression"] == expression)]
        first = rows.head(MOST)
        shown = f"{len(first)} of {len(rows)} faces" + (", wrong answers first" if not rows["right"].all() else "")
        return {"shown": shown, "faces": [self._face(row, explainer) for row in first.itertuples()]}

    def _face(self, row: Any, explainer: str) -> dict[str, Any]:
        assert self._kept is not None
        heatmap = self._kept.map(row.model, row.fold, row.face, explainer)
        answer = "recognised" if row.right else f"taken for {spoken(row.predicted)}"
        told = f"{answer}, p {number(row.probability, 2).text}"
        return {"who": self._who(row.face), "size": list(heatmap.shape), "told": told, **levels(heatmap)}

    def _who(self, name: str) -> int:
        """The place of a person among `people`."""
        if name not in self._places:
            assert self._kept is not None
            self._places[name] = len(self.people)
            self.people.append(_person(self._kept.face(name)))
        return self._places[name]


def _person(face: KeptFace) -> dict[str, str]:
    shape = (SIDE, SIDE) if face.picture is None else face.picture.shape[:2]
    return {"picture": "" if face.picture is None else _jpeg(face.picture), "lines": _lines(face.points, shape)}


def _lines(points: np.ndarray | None, shape: tuple[int, ...]) -> str:
    if points is None:
        return ""
    scaled = (points + 0.5) * 100 / np.array([shape[1], shape[0]])
    text = [f"{decimal(x, 1)} {decimal(y, 1)}" for x, y in scaled]
    return "".join(f"M{'L'.join(text[a:b])}{'Z' if a in _CLOSED else ''}" for a, b in _LINES)


def _jpeg(pixels: np.ndarray) -> str:
    small = Image.fromarray(pixels)
    small.thumbnail((_SMALL, _SMALL))
    held = io.BytesIO()
    small.save(held, format="JPEG", quality=82)
    return f"data:image/jpeg;base64,{base64.b64encode(held.getvalue()).decode('ascii')}"
