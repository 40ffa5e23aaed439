"""Photographs from anywhere, cut out as the network sees faces, each with its maps in a file of its own."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor, nn

from xfer import landmarking, training
from xfer.assets import sha256
from xfer.datasets import Dataset, FaceSample
from xfer.datasets.files import PICTURES, shown, walk
from xfer.datasets.images import header
from xfer.errors import InputError, unknown
from xfer.explainers import choose, explain
from xfer.explainers.state import place, still
from xfer.models.facts import Facts
from xfer.models.weights import digest
from xfer.progress import Stage, followed, silent
from xfer.scoring import read_csv, write_csv
from xfer.study import faces, provenance
from xfer.study.folder import FORMAT, write_whole
from xfer.study.loading import load_model
from xfer.study.plan import EXPLAINING, device_name
from xfer.study.results import config_digest

MAPS, TABLE = "maps", "explanations.csv"
AT_ONCE = 64
"""Photographs decoded together; memory does not grow beyond them."""
COLUMNS = ("file", "map", "predicted", "probability", "left_out")


@dataclass(frozen=True, eq=False)
class Explanation:
    """One photograph with its maps.

    Attributes
    ----------
    face : uint8 array (y, x, 3)
        What the network saw.
    maps : DataArray (explainer, target, y, x)
        Raw and signed.
    predicted : str
        The class with the highest logit.
    probability : float
        Its probability, in [0, 1].
    """

    face: NDArray[np.uint8]
    maps: xr.DataArray
    predicted: str
    probability: float

    def save(self, path: Path) -> None:
        """Write an npz."""
        stored: dict[str, Any] = {
            name: np.asarray(getattr(self, name)) for name in ("face", "predicted", "probability")
        }
        stored |= {"format": FORMAT, "maps": self.maps.values}
        stored |= {name: self.maps.coords[name].values.astype(str) for name in ("explainer", "target")}
        with path.open("wb") as file:
            np.savez_compressed(file, **stored)

    @classmethod
    def open(cls, path: Path) -> "Explanation":
        """The inverse of `save`.

        Raises
        ------
        InputError
            If the file is damaged.
        """
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as told:
                coords = {name: told[name] for name in ("explainer", "target")}
                maps = xr.DataArray(told["maps"], coords, ("explainer", "target", "y", "x"), "raw")
                return cls(told["face"], maps, str(told["predicted"]), float(told["probability"]))
        except Exception as error:
            raise InputError(f"{path}: is damaged ({type(error).__name__}); delete it and run the line again") from None


def photographs(files: Iterable[str | Path]) -> Dataset:
    """Pictures by name and those below folders, each once; no picture is decoded.

    Raises
    ------
    InputError
        If a file that is named is no picture, there is none at all, or a path does not exist.
    """
    found: dict[Path, str] = {}
    for given in map(Path, files):
        if given.is_dir():
            inside = {at: name for name, at in walk(given) if isinstance(at, Path) and at.suffix.lower() in PICTURES}
            if not inside:
                raise InputError(f"{shown(given)}: no picture found; expected files such as *.jpg and *.png")
            found |= {at: shown(given / name) for at, name in inside.items()}
        else:
            header(given)
            found[given] = shown(given)
    if not found:
        raise InputError("no photograph is given; name files, or folders of them")
    return Dataset("photographs", tuple(FaceSample(name, at) for at, name in found.items()))


@followed("Photographs that are finished are kept; the same call goes on from there.")
def explain_photographs(
    model: str,
    files: Iterable[str | Path],
    *,
    out: str | Path,
    explainers: str | Sequence[str] = "layer",
    targets: Any = "predicted",
    crop: str = "face",
    landmarker: str = "mediapipe",
    device: str = "auto",
    batch_size: int = 32,
    perturbation: Mapping[str, Any] | None = None,
    progress: Stage = silent,
    **facts: Any,
) -> pd.DataFrame:
    """Explain what a network sees in photographs; what an earlier run of the same line made is kept.

    Parameters
    ----------
    model : str
        As `xfer.study.loading.load_model` takes, and `facts` for it.
    files : iterable of path
        Pictures, and folders of them.
    out : path
        A folder; gets ``explanations.csv`` and, per photograph, ``maps/DIGEST.npz``, see `Explanation`.
    explainers, targets
        As `xfer.explain` takes.
    crop : {"face", "whole"}
        A square around the face, by its landmarks, or the whole picture.
    landmarker : str
        As `xfer.landmarkers.open` takes.
    device : {"auto", "cpu", "cuda", "cuda:i"}
    batch_size : int
        The most images in one forward.
    perturbation : mapping, optional
        Settings of methods that hide parts of a face, see `xfer.explainers.perturbation.Perturbation`.

    Returns
    -------
    DataFrame
        `COLUMNS`: a row a photograph, `left_out` says why one has no map. The attribute `methods_left_out` says which
        explainers did not apply, and why, where anything was explained anew.

    Raises
    ------
    InputError
        For anything a user can mend, before any work; if no photograph is left.
    """
    network, known = load_model(model, **facts)
    choose(explainers)
    hiding = dict(perturbation or {})
    dataset, home = photographs(files), Path(out)
    network.to(device_name(device))
    found = _Cut.of(dataset, crop, hiding.get("segments") == "regions", landmarker, progress)
    if all(found.reasons):
        raise InputError(f"no photograph is left: {found.reasons[0]}")
    _make(home / MAPS)
    asked = {"explainers": explainers, "targets": targets, "batch_size": batch_size, "perturbation": hiding}
    common = {name: str(value) for name, value in asked.items()} | _made_by(network, known)
    digests = [config_digest({**common, "face": told}) for told in found.told]
    tick = progress("explaining", len(dataset))
    for start in range(0, len(dataset), AT_ONCE):
        part = [i for i in range(start, min(start + AT_ONCE, len(dataset))) if not found.reasons[i]]
        new = [i for i in part if not _kept(home / MAPS / f"{digests[i]}.npz")]
        for i, made in _explained(network, known, dataset, found, new, asked):
            write_whole(home / MAPS / f"{digests[i]}.npz", made.save)
            tick()
        for _ in range(min(AT_ONCE, len(dataset) - start) - len(new)):
            tick()
    table = _table(home, dataset, digests, found.reasons)
    table.attrs["methods_left_out"] = found.methods
    write_whole(home / TABLE, lambda aside: write_csv(table, aside))
    return table


def read(folder: str | Path) -> dict[str, Explanation]:
    """The photographs that were explained into a folder, by name; those without a map are not in it.

    Raises
    ------
    InputError
        If nothing was explained there, or a file is damaged.

    Examples
    --------
    >>> read("no/such/folder")
    Traceback (most recent call last):
    xfer.errors.InputError: no/such/folder: no explanations.csv; 'xfer explain' writes one
    """
    home = Path(folder)
    if not (home / TABLE).is_file():
        raise InputError(f"{home}: no {TABLE}; 'xfer explain' writes one")
    rows: Any = read_csv(home / TABLE).itertuples()
    return {row.file: Explanation.open(home / row.map) for row in rows if not row.left_out}


@dataclass
class _Cut:
    """Where the face is in each photograph; `reasons` says why one takes no part, `methods` which do not apply."""

    boxes: NDArray[np.float64] | None
    points: NDArray[np.float32] | None
    reasons: list[str]
    told: list[str]
    methods: str = ""

    @classmethod
    def of(cls, dataset: Dataset, crop: str, regions: bool, landmarker: str, progress: Stage) -> "_Cut":
        if crop not in faces.CROPS:
            raise unknown("crop", crop, faces.CROPS)
        if crop == "whole" and not regions:
            told = [sha256(Path(str(sample.source))) for sample in dataset.samples]
            return cls(None, None, [""] * len(dataset), told)
        table = landmarking.landmark(dataset, landmarker, progress=progress)
        points = landmarking.points(table)
        told = [f"{crop} {row} {at.tobytes().hex()}" for row, at in zip(table["sha256"], points, strict=True)]
        return cls(faces.crops(table, crop), points, faces.reasons(table), told)


def _made_by(network: nn.Module, known: Facts) -> dict[str, str]:
    """What else a map follows from."""
    file = getattr(network, "path", None)
    weights = digest(network) if file is None else sha256(file)
    versions = provenance.library_versions(*provenance.EXPLAINERS)
    return {"weights": weights, "facts": str(known), "source": provenance.source_digest(EXPLAINING), **versions}


def _kept(path: Path) -> bool:
    """Whether an earlier run made this file; a damaged one is made again."""
    try:
        return path.is_file() and bool(Explanation.open(path).predicted)
    except InputError:
        return False


def _explained(
    network: nn.Module, known: Facts, dataset: Dataset, found: _Cut, some: Sequence[int], asked: Mapping[str, Any]
) -> Iterator[tuple[int, Explanation]]:
    """Photographs by position, decoded and explained together; one that cannot be decoded gets a reason."""
    if not some:
        return
    try:
        pixels = training.read(dataset, known.size, only=some, boxes=found.boxes, landmarks=found.points)
    except InputError as error:
        found.reasons = [str(error) if i in some else reason for i, reason in enumerate(found.reasons)]
        return
    for lost in pixels.dropped:
        found.reasons[[sample.id for sample in dataset.samples].index(lost.id)] = lost.reason
    there = pixels.usable(some)
    seen = pixels.images(there)
    points = None if found.points is None else pixels.landmarks[pixels.rows(there)]
    shift, scale = (torch.tensor(values)[:, None, None] for values in (known.mean, known.std))
    hiding = {"mean": known.mean, "std": known.std, "landmarks": points, **asked["perturbation"]}
    images = (seen.float() / 255 - shift) / scale
    options: dict[str, Any] = {"layer": known.layer or "auto", "batch_size": asked["batch_size"]}
    options["settings"] = {"gradient": {"mean": known.mean, "std": known.std}, "perturbation": hiding}
    classes = known.classes or None
    maps = explain(network, images, asked["explainers"], asked["targets"], classes=classes, progress=silent, **options)
    found.methods = maps.attrs["left_out"]
    chances = _probabilities(network, images, asked["batch_size"])
    for i, at in enumerate(there):
        one = maps.isel(face=i)
        names = one.coords["target_class" if "target_class" in one.coords else "target"].values.astype(str)
        own = xr.DataArray(one.values, {"explainer": one.coords["explainer"].values, "target": names}, one.dims, "raw")
        face = seen[i].permute(1, 2, 0).contiguous().numpy()
        yield int(at), Explanation(face, own, str(one.coords["predicted"].item()), float(chances[i].max()))


def _probabilities(network: nn.Module, images: Tensor, batch_size: int) -> Tensor:
    where, dtype = place(network)
    with still(network), torch.inference_mode():
        parts = [network(part.to(where, dtype)).softmax(1).cpu() for part in images.split(batch_size)]
    return torch.cat(parts)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror}); give another --out") from None


def _table(home: Path, dataset: Dataset, digests: Sequence[str], reasons: Sequence[str]) -> pd.DataFrame:
    rows: list[tuple[Any, ...]] = []
    for sample, name, reason in zip(dataset.samples, digests, reasons, strict=True):
        if reason:
            rows.append((sample.id, "", "", np.nan, reason))
            continue
        made = Explanation.open(home / MAPS / f"{name}.npz")
        rows.append((sample.id, f"{MAPS}/{name}.npz", made.predicted, made.probability, ""))
    return pd.DataFrame(rows, columns=list(COLUMNS))
