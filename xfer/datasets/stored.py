"""Pictures that are no files here: bytes in an object of a store, or in a shard that holds many."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

from xfer.datasets.objects import StoredFile

MAX_BYTES = 100_000_000
"""A larger picture is refused before it is read."""


class StoredPicture(ABC):
    """A picture whose bytes are read on demand.

    Attributes
    ----------
    size : int
        Bytes; of what it lies in where its own number is not known without reading it.
    """

    __slots__ = ()
    size: int

    @abstractmethod
    def content(self) -> bytes:
        """The bytes of the picture's file.

        Raises
        ------
        InputError
            If what holds them is gone, cannot be read, or has changed since the data were listed.
        """


@dataclass(frozen=True, slots=True)
class Whole(StoredPicture):
    """A picture that is an object of its own."""

    file: StoredFile

    @property
    def size(self) -> int:  # type: ignore[override]
        """Bytes."""
        return self.file.size

    def content(self) -> bytes:
        """All of it; raises as `StoredPicture.content`."""
        return self.file.content()


@dataclass(frozen=True, slots=True)
class Part(StoredPicture):
    """A picture that stands in a shard, `size` bytes from byte `start`."""

    file: StoredFile
    start: int
    size: int

    def content(self) -> bytes:
        """The part; raises as `StoredPicture.content`."""
        return self.file.read(self.start, self.size)


def refusal(size: int) -> str:
    """Why a picture of so many bytes is not read; "" if it is."""
    return f"is larger than {MAX_BYTES // 10**6} MB" if size > MAX_BYTES else ""
