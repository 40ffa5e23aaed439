"""What a reader finds: faces kept, faces dropped with their reasons, and the data set they make."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import Any

from xfer import labels
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

    samples: list[FaceSample] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    _seen: dict[str, FaceSample] = field(default_factory=dict)
    _alone: int = 0

    def drop(self, name: str, reason: str) -> None:
        """Leave a face out."""
        self.dropped.append(Dropped(shown(name), reason))

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
            self.dropped.append(source)
            return
        try:
            expression = None if label is None else labels.expression(label)
        except InputError:
            self.drop(name, unknown_label(what, str(label)))
            return
        face = FaceSample(shown(name), source, expression, **facts)
        if (first := self._seen.get(face.id)) is not None:
            self.drop(name, "is listed a second time" + _unlike(first, face))
            return
        self._seen[face.id] = face
        self._alone += not face.subject
        self.samples.append(face if face.subject else replace(face, subject=face.id))

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
        notes = list(self.notes)
        if self._alone and self._alone == len(self.samples):
            notes.append(NO_SUBJECTS)
        elif self._alone:
            notes.append(f"faces without a subject, each a subject of its own: {self._alone}")
        dataset = Dataset(name, tuple(self.samples), tuple(self.dropped), tuple(notes))
        dataset.require_faces()
        return dataset


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
