"""What a reader finds: faces kept, faces dropped with their reasons, and the data set they make."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from xfer import labels
from xfer.datasets.faces import Columns, Faces
from xfer.datasets.files import shown
from xfer.datasets.objects import Place
from xfer.datasets.samples import Dataset, Dropped, FaceSample
from xfer.errors import InputError

NO_SUBJECTS = "no subjects are told: every face counts as a subject of its own, so one person may be in several folds"


@dataclass
class Listing:
    """The faces of a data set while it is read.

    A face whose label is unknown or whose id was seen before is dropped; a face without a subject is its own.
    """

    notes: list[str] = field(default_factory=list)
    _faces: Columns = field(default_factory=Columns)
    _dropped: list[tuple[int, Dropped]] = field(default_factory=list)

    def drop(self, name: str, reason: str) -> None:
        """Leave a face out."""
        self.lose(Dropped(shown(name), reason))

    def lose(self, dropped: Dropped) -> None:
        """Tell of a face that is left out."""
        self._dropped.append((len(self._faces), dropped))

    def keep(self, name: str, source: Any, label: str | None, *, what: str = "label", **facts: Any) -> None:
        """Enter a face under its relative name.

        Parameters
        ----------
        name : str
        source : Path, StoredPicture, Dropped or callable
            What `FaceSample.source` takes, or why there is none.
        label : str or None
            An expression or alias; None if nobody labelled it.
        what : str
            Where the label stands ("folder"), for the reason if it is unknown.
        **facts
            The other fields of `FaceSample`.
        """
        if isinstance(source, Dropped):
            self.lose(source)
            return
        try:
            expression = None if label is None else labels.expression(label)
        except InputError:
            self.drop(name, unknown_label(what, str(label)))
            return
        self._faces.append(FaceSample(shown(name), source, expression, **facts))

    def code(self, name: str, source: Any, code: str, codes: Mapping[str, str], **facts: Any) -> None:
        """Enter a face whose label is a code of the data set's own; other codes are dropped."""
        if code in codes or isinstance(source, Dropped):
            self.keep(name, source, codes.get(code), **facts)
        else:
            self.drop(name, f"label {shown(code)!r} is none of its expressions")

    def dataset(self, name: str) -> Dataset:
        """The data set of what was entered.

        Raises
        ------
        InputError
            If that is nothing.
        """
        faces, again = _once(self._faces.sealed())
        dropped = [each for _, each in sorted([*self._dropped, *again], key=lambda told: told[0])]
        notes, alone = list(self.notes), faces.alone()
        if alone and alone == len(faces):
            notes.append(NO_SUBJECTS)
        elif alone:
            notes.append(f"faces without a subject, each a subject of its own: {alone}")
        dataset = Dataset(name, faces, tuple(dropped), tuple(notes))
        dataset.require_faces()
        return dataset


def _once(faces: Faces) -> tuple[Faces, list[tuple[int, Dropped]]]:
    """The faces whose name comes for the first time, and the others with their places."""
    names = np.fromiter(map(hash, faces.texts("id")), np.int64, len(faces))
    _, which, count = np.unique(names, return_inverse=True, return_counts=True)
    first: dict[str, FaceSample] = {}
    lost: list[tuple[int, Dropped]] = []
    for place in np.flatnonzero(count[which] > 1).tolist():
        face = faces[place]
        if face.id in first:
            lost.append((place, Dropped(face.id, "is listed a second time" + _unlike(first[face.id], face))))
        first.setdefault(face.id, face)
    if not lost:
        return faces, lost
    return faces.take(np.delete(np.arange(len(faces)), [place for place, _ in lost])), lost


def _unlike(first: FaceSample, again: FaceSample) -> str:
    """How a second listing of a face contradicts the first.

    >>> _unlike(FaceSample("a.jpg", Path("a.jpg"), split="train"), FaceSample("a.jpg", Path("a.jpg"), split="test"))
    ", with split 'test' after 'train'"
    """
    told = ((name, getattr(first, name), getattr(again, name)) for name in ("split", "expression", "subject"))
    return "".join(f", with {name} {now!r} after {then!r}" for name, then, now in told if now != then)


def unknown_label(what: str, text: str) -> str:
    """Why a label is not used, with the nearest expression.

    >>> unknown_label("folder", "hapy")
    "folder 'hapy' is not an expression (did you mean 'happy'?)"
    """
    near = get_close_matches(text.strip().lower(), (*labels.EXPRESSIONS, *labels.ALIASES), n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return f"{what} {shown(text)!r} is not an expression{hint}"


def title(reader: str, path: Place) -> str:
    """A data set's name: the reader's and the last part of the path, nothing of where it lies.

    >>> title("folder", Path("photos/mine")), title("folder", "s3://bucket/mine")
    ('folder:mine', 'folder:mine')
    """
    return f"{reader}:{shown(path.resolve().name if isinstance(path, Path) else PurePosixPath(path).name)}"
