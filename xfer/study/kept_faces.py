"""The single faces of a study: what a network answered, the map that was kept, the picture where it is known.

A study folder holds no pictures. Drawn faces are drawn again; photographs are read where the data set is given.
"""

from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from xfer import datasets, landmarking
from xfer.datasets import Dataset, FaceSample
from xfer.errors import InputError
from xfer.study import faces
from xfer.study.folder import MAPS
from xfer.study.places import here
from xfer.study.recognition import LANDMARKS
from xfer.study.study import Study

SIDE = 192
"""The longer side in px at which a picture is looked at."""
_HELD = 96
"""Pictures kept in memory."""


@dataclass(frozen=True, eq=False)
class KeptFace:
    """One face as networks saw it.

    Attributes
    ----------
    picture : uint8 array (y, x, 3) or None
        None where the pictures are not known.
    points : array (68, 2) or None
        Landmarks in px of the picture; of a square of `SIDE` px where there is none.
    """

    picture: NDArray[np.uint8] | None
    points: NDArray[np.float64] | None


class KeptFaces:
    """The test faces of a study whose maps were kept (``per_face=True``).

    Parameters
    ----------
    study : Study
    data : str, optional
        As `xfer.datasets.open` takes: where the pictures of a study of photographs are.

    Attributes
    ----------
    table : DataFrame
        A row a network, fold and face: model, fold, face, expression, predicted, ``probability`` of that answer in
        [0, 1], ``right``; wrong answers first, the surest of them on top.
    explainers : tuple of str

    Raises
    ------
    InputError
        If the study kept no maps of single faces, a file is damaged, or `data` are not its faces.
    """

    def __init__(self, study: Study, data: str | None = None) -> None:
        self._maps, self.explainers = _read(study)
        self.table = _answers(study.predictions, self._maps)
        self._landmarks = landmarking.read(study.folder / LANDMARKS)
        self._rows = {str(name): row for row, name in enumerate(self._landmarks["file"])}
        self._points = landmarking.points(self._landmarks).astype(float)
        self._boxes = faces.crops(self._landmarks, study.config["data"]["crop"])
        self._samples = _samples(study, data, set(self.table["face"]))
        self._seen: OrderedDict[str, KeptFace] = OrderedDict()

    @property
    def pictures(self) -> bool:
        """Whether the pictures are known."""
        return bool(self._samples)

    def map(self, model: str, fold: str, face: str, explainer: str) -> NDArray[np.float32]:
        """The raw, signed map (gy, gx) of a face over the whole picture, of the expression it was explained for."""
        held, order = self._maps[model, fold]
        found: NDArray[np.float32] = held[order[face], self.explainers.index(explainer)]
        return found

    def face(self, name: str) -> KeptFace:
        """A face by its name in the data set."""
        if name not in self._seen:
            self._seen[name] = self._look(name)
            if len(self._seen) > _HELD:
                self._seen.popitem(last=False)
        return self._seen[name]

    def _look(self, name: str) -> KeptFace:
        row = self._rows[name]
        size = self._landmarks[["width", "height"]].to_numpy(float)[row]
        left, top, right, bottom = (0.0, 0.0, *size) if self._boxes is None else self._boxes[row]
        scale = SIDE / max(right - left, bottom - top)
        points = (self._points[row] + 0.5 - [left, top]) * scale - 0.5
        known = points if np.isfinite(points).all() else None
        if name not in self._samples:
            return KeptFace(None, known)
        shape = (max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale)))
        whole = Image.fromarray(self._samples[name].load())
        part = whole.resize(shape, Image.Resampling.BILINEAR, box=(left, top, right, bottom), reducing_gap=2.0)
        return KeptFace(np.asarray(part), known)


_Held = tuple[NDArray[np.float32], dict[str, int]]


def _read(study: Study) -> tuple[dict[tuple[str, str], _Held], tuple[str, ...]]:
    """Maps (face, explainer, gy, gx) by network and fold, with the row of each face; the explainers."""
    files = [here(study.folder / MAPS / f"{unit}.npz") for unit in study.provenance.get("shards", ())]
    there = [path for path in files if path.is_file()]
    if not there:
        raise InputError(f"{study.place}: kept no maps of single faces; make it with per_face=True (--per-face)")
    found: dict[tuple[str, str], _Held] = {}
    explainers: tuple[str, ...] = ()
    for path in there:
        told = _stored(path)
        order = {str(face): row for row, face in enumerate(told["face"])}
        found[str(told["model"]), str(told["fold"])] = told["maps"], order
        explainers = tuple(map(str, told["explainer"]))
    return found, explainers


def _stored(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            told = {name: stored[name] for name in ("face", "model", "fold", "explainer", "maps")}
        if told["maps"].shape[:2] != (len(told["face"]), len(told["explainer"])) or told["maps"].ndim != 4:
            raise ValueError(f"maps of {told['maps'].shape}")
    except Exception as error:
        text = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError(f"{path}: is damaged ({text}); delete it and run the study's 'xfer compare' line") from None
    return told


def _answers(predictions: pd.DataFrame, maps: dict[tuple[str, str], _Held]) -> pd.DataFrame:
    keys = zip(predictions["model"], predictions["fold"].astype(str), predictions["face"], strict=True)
    kept = [(model, fold) in maps and face in maps[model, fold][1] for model, fold, face in keys]
    table = predictions[kept].reset_index(drop=True)
    columns = [f"p_{name}" for name in table["predicted"]]
    places = table.columns.get_indexer(pd.Index(columns))
    table = table.assign(
        fold=table["fold"].astype(str),
        probability=table.to_numpy(object)[np.arange(len(table)), places].astype(float),
        right=table["expression"] == table["predicted"],
    )[["model", "fold", "face", "expression", "predicted", "probability", "right"]]
    surest = table.assign(doubt=-table["probability"]).sort_values(["right", "doubt", "face"], kind="stable")
    return surest.drop(columns="doubt").reset_index(drop=True)


def _samples(study: Study, data: str | None, wanted: set[str]) -> dict[str, FaceSample]:
    """The faces with their pictures; none where these are not known."""
    told = study.config["data"]
    if data is None and study.config["source"] != faces.DRAWN:
        return {}
    dataset = _drawn_again(study) if data is None else datasets.open(data)
    found = {sample.id: sample for sample in dataset.samples if sample.id in wanted}
    if data is None and faces.facts(dataset)["digest"] != told["digest"]:
        return {}
    if absent := sorted(wanted - set(found)):
        raise InputError(
            f"{data}: has no face {absent[0]!r}, which the study {study.name!r} has; give the data it was made with"
        )
    return found


def _drawn_again(study: Study) -> Dataset:
    told, size = study.config["data"], landmarking.read(study.folder / LANDMARKS)["width"]
    return faces.open_faces(
        faces.DRAWN,
        expressions=list(told["expressions"]),
        faces=told["faces"],
        size=int(size.max()),
        seed=study.config["seed"],
    )
