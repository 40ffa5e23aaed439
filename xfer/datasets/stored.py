"""Pictures that are no files here: bytes in an object of a store, or in a shard that holds many."""

from abc import ABC, abstractmethod
from collections.abc import Hashable
from typing import Any

MAX_BYTES = 100_000_000
"""A larger picture is refused before it is read."""


class StoredPicture(ABC):
    """A picture whose bytes are read on demand.

    Attributes
    ----------
    file : StoredFile
        What it lies in.
    size : int
        Bytes; of what it lies in where its own number is not known without reading it.
    """

    __slots__ = ()
    file: Any
    size: int

    @abstractmethod
    def content(self) -> bytes:
        """The bytes of the picture's file.

        Raises
        ------
        InputError
            If what holds them is gone, cannot be read, or has changed since the data were listed.
        """

    @abstractmethod
    def parted(self) -> tuple[Hashable, tuple[int, int], str]:
        """What `joined` makes it of again: what many have in common, and two numbers and a text of its own."""

    @classmethod
    @abstractmethod
    def joined(cls, shared: Any, numbers: tuple[int, int], text: str) -> "StoredPicture":
        """The picture that `parted` took apart."""


def refusal(size: int) -> str:
    """Why a picture of so many bytes is not read; "" if it is."""
    return f"is larger than {MAX_BYTES // 10**6} MB" if size > MAX_BYTES else ""
