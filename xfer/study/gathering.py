"""The faces of a study made ready for its networks: landmarks, crops, folds, pictures, and what needs no network."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xfer import landmarking, scoring
from xfer.datasets import Dataset
from xfer.geometry import CanonicalFrame
from xfer.progress import Stage
from xfer.study import dealing, faces, folder, provenance, stages
from xfer.study.dealing import Fold
from xfer.study.engine import Engine
from xfer.study.mean_face import LEAST, mean_face, write_mean_face
from xfer.study.plan import Plan
from xfer.study.recognition import BASELINE, MEAN_FACE
from xfer.study.results import config_digest
from xfer.training import Pixels, linear_baseline
from xfer.training.pixels import read_sizes


@dataclass(frozen=True)
class Gathered:
    """Faces with landmarks, divided.

    Attributes
    ----------
    dataset : Dataset
    points : array (face, 68, 2)
        (x, y) in px of the upright pictures, NaN where there are none.
    boxes : array (face, 4) or None
        The part of each picture that networks see; None for the whole.
    table : DataFrame
        Of landmarks, see `xfer.landmarking`.
    salted : DataFrame
        ``faces.parquet``: id, expression, salted subject, parts, used, reason.
    folds : tuple of Fold
    notes : tuple of str
        Remarks about the division.
    digest : str
        Of the pictures, labels, landmarks and crops.
    """

    dataset: Dataset
    points: NDArray[np.float32]
    boxes: NDArray[np.float64] | None
    table: pd.DataFrame
    salted: pd.DataFrame
    folds: tuple[Fold, ...]
    notes: tuple[str, ...]
    digest: str

    @property
    def tested(self) -> NDArray[np.intp]:
        """The positions of all test faces."""
        return np.unique(np.concatenate([fold.test for fold in self.folds]))

    def fold_digest(self, fold: Fold) -> str:
        """Of the names of the faces in every part of a fold."""
        parts = (fold.train, fold.validation, fold.test)
        return config_digest({"parts": [self.dataset.take(part).column("id") for part in parts]})

    def blocks(self, fold: Fold, most: int) -> NDArray[np.intp]:
        """The block of subjects of each test face of a fold."""
        return dealing.blocks(self.dataset.take(fold.test).column("subject"), most)

    @contextmanager
    def pictures(self, sizes: Iterable[int], home: Path, progress: Stage) -> Iterator[Mapping[int, Pixels]]:
        """The faces with landmarks at some sizes, decoded once; scratch files that go with the block."""
        wanted = sorted(set(sizes))
        if not wanted:
            yield {}
            return
        usable = np.flatnonzero(landmarking.complete(self.points))
        tick = progress("reading faces", len(usable))
        options: dict[str, Any] = {"boxes": self.boxes, "landmarks": self.points, "scratch": home, "shared": True}
        with stages.recorded(home, "pictures"):
            found = read_sizes(self._as_landmarked(), wanted, only=usable, tick=tick, **options)
        try:
            yield found
        finally:
            for pixels in found.values():
                pixels.close()

    def _as_landmarked(self) -> Dataset:
        """The faces, whose files must be those that the landmarks were found in."""
        return self.dataset.changed(sha256=self.table["sha256"].array)


@stages.timed("landmarks")
def gather(home: Path, plan: Plan, progress: Stage, engine: Engine | None = None) -> Gathered:
    """Landmarks, crops and folds of a plan's faces; ``landmarks.parquet`` and ``faces.parquet`` are written.

    Raises
    ------
    InputError
        If no landmarker can be opened, or too few faces or subjects are left.
    """
    told, dataset = plan.config["data"], plan.dataset
    table = faces.landmarks(dataset, home, plan.landmarker, progress, engine)
    points = landmarking.points(table)
    boxes = None if told["crop"] == "whole" else faces.crops(table, told["crop"])
    usable = landmarking.complete(points)
    dealt = dealing.assign(dataset, usable, plan.config["folds"], plan.config["seed"])
    salted = faces.write_table(home, dataset, table, dealt)
    digest = config_digest({"data": told["digest"], "landmarks": faces.digest(table), "crop": told["crop"]})
    return Gathered(dataset, points, boxes, table, salted, dealt.folds, dealt.notes, digest)


@stages.timed("linear classifier")
def baselines(home: Path, gathered: Gathered, plan: Plan, pixels: Mapping[int, Pixels], progress: Stage) -> None:
    """Write ``baseline.csv``: the linear classifier's accuracy on every fold's test faces."""
    if not pixels or not needs_baselines(home, gathered, plan):
        return
    small, rows = pixels[min(pixels)], []
    tick = progress("linear classifier", len(gathered.folds))
    for fold in gathered.folds:
        train, validation, test = (small.labelled(part) for part in (fold.train, fold.validation, fold.test))
        found = linear_baseline(small, train, validation, test)
        rows.append((fold.name, baseline_digest(fold, gathered, plan), found.accuracy, found.c, len(test)))
        tick()
    table = pd.DataFrame(rows, columns=["fold", "digest", "accuracy", "c", "n_test"])
    folder.write_whole(home / BASELINE, lambda p: scoring.write_csv(table, p))


def linear_accuracies(home: Path) -> dict[str, float]:
    """The linear classifier's accuracy on every fold's test faces; empty where it is not known."""
    if not (home / BASELINE).is_file():
        return {}
    table = scoring.read_csv(home / BASELINE)
    return {str(fold): float(value) for fold, value in zip(table["fold"], table["accuracy"], strict=True)}


def needs_baselines(home: Path, gathered: Gathered, plan: Plan) -> bool:
    """Whether ``baseline.csv`` is missing, or of other faces."""
    try:
        held = set(scoring.read_csv(home / BASELINE)["digest"])
    except (OSError, ValueError, KeyError):
        return True
    return held != {baseline_digest(fold, gathered, plan) for fold in gathered.folds}


def baseline_digest(fold: Fold, gathered: Gathered, plan: Plan) -> str:
    """Of all that the linear classifier's accuracy follows from."""
    size = min(network.settings.size for network in plan.networks)
    facts = {"faces": gathered.digest, "fold": gathered.fold_digest(fold), "size": size}
    return config_digest({**facts, "source": provenance.source_digest(("datasets", "training"))})


@stages.timed("mean face")
def portrait(
    home: Path, gathered: Gathered, frame: CanonicalFrame, pixels: Mapping[int, Pixels], progress: Stage
) -> None:
    """Write ``mean_face.png``, the mean of the test faces on the frame."""
    if not pixels or not needs_portrait(home, gathered):
        return
    found, _ = mean_face(pixels[max(pixels)], gathered.tested, frame, progress)
    if found is not None:
        write_mean_face(home, found)


def needs_portrait(home: Path, gathered: Gathered) -> bool:
    """Whether ``mean_face.png`` is missing although there are people enough to make one of."""
    people = set(gathered.dataset.take(gathered.tested).column("subject"))
    return not (home / MEAN_FACE).is_file() and len(people) >= LEAST
