"""The same picture twice: in two splits it leaks, under two labels it contradicts itself."""

from collections import defaultdict
from hashlib import sha256
from typing import NamedTuple

from xfer.datasets.samples import Dataset, FaceSample


class Duplicate(NamedTuple):
    """Faces whose decoded pictures are the same to the pixel.

    Attributes
    ----------
    faces : tuple of FaceSample
        Two or more, in the order of the data set.
    """

    faces: tuple[FaceSample, ...]

    @property
    def splits(self) -> tuple[str, ...]:
        """The splits they lie in; two or more are a leak."""
        return tuple(sorted({f.split for f in self.faces}))

    @property
    def expressions(self) -> tuple[str, ...]:
        """What they are labelled as; two or more contradict each other."""
        return tuple(sorted({f.expression for f in self.faces if f.expression}))


def duplicates(dataset: Dataset, workers: int | None = None) -> list[Duplicate]:
    """Groups of faces with the same picture, whatever their files' names, formats and metadata.

    Pictures that cannot be decoded are skipped; `Dataset.faces` tells them.
    """
    groups: dict[bytes, list[FaceSample]] = defaultdict(list)
    for face, picture in dataset.faces(workers):
        if not isinstance(picture, str):
            groups[sha256(repr(picture.shape).encode() + picture.tobytes()).digest()].append(face)
    return [Duplicate(tuple(group)) for group in groups.values() if len(group) > 1]
