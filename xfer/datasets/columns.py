"""Facts of many faces by column; what is long waits in a scratch file of no name, which goes with the process."""

import operator
import tempfile
import weakref
from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, overload

import numpy as np
import pyarrow as pa

from xfer.errors import InputError

IN_MEMORY = 2**18
"""A column of more bytes goes to a scratch file."""

_TOGETHER = 2**12


class Scratch:
    """Bytes that are written one after another, and then read as often as one likes."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115
        self.size = 0
        weakref.finalize(self, self._file.close)

    def write(self, content: bytes) -> None:
        """Add some.

        Raises
        ------
        InputError
            If the system's folder for such files has no room.
        """
        with _room():
            self._file.write(content)
        self.size += len(content)

    def sealed(self) -> Any:
        """All so far, as a buffer: mapped into memory where it is a file; raises as `write`."""
        if self.size > IN_MEMORY:
            with _room():
                self._file.flush()
            return pa.py_buffer(np.memmap(self._file, np.uint8, "r", shape=(self.size,)))
        self._file.seek(0)
        return pa.py_buffer(self._file.read())


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        place = tempfile.gettempdir()
        raise InputError(
            f"{place}: cannot hold what is told of the faces ({error.strerror}); "
            "let TMPDIR name a folder with more room"
        ) from None


class Records:
    """Takes byte strings one by one, and keeps few of them in memory.

    >>> records = Records()
    >>> for content in (b"a", b"", b"bc"):
    ...     records.append(content)
    >>> len(records), records.sealed().to_pylist()
    (3, [b'a', b'', b'bc'])
    """

    def __init__(self) -> None:
        self._content, self._ends = Scratch(), Scratch()
        self._last = array("q", [0])

    def __len__(self) -> int:
        """How many there are."""
        return self._ends.size // 8 + len(self._last) - 1

    def append(self, content: bytes) -> None:
        """Take the next; raises as `Scratch.write`."""
        self._content.write(content)
        self._last.append(self._content.size)
        if len(self._last) > _TOGETHER:
            self._flush()

    def _flush(self) -> None:
        self._ends.write(self._last.tobytes())
        del self._last[:]

    def sealed(self) -> Any:
        """All so far: an Arrow array of binary."""
        self._flush()
        buffers = [None, self._ends.sealed(), self._content.sealed()]
        return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(self), buffers)


class Texts(Sequence[str]):
    r"""Strings, surrogates among them, in 8 bytes and their own length each; the content of sealed `Records`.

    >>> texts = Texts.of(["ann", "", "caf\udce9"])
    >>> texts[0], list(texts[1:]) == ["", "caf\udce9"], texts == ("ann", "", "caf\udce9")
    ('ann', True, True)
    """

    def __init__(self, content: Any) -> None:
        self.content = content

    @classmethod
    def of(cls, texts: Iterable[str]) -> "Texts":
        """From strings."""
        records = Records()
        for text in texts:
            records.append(encoded(text))
        return cls(records.sealed())

    def __len__(self) -> int:
        """How many there are."""
        return len(self.content)

    @overload
    def __getitem__(self, place: int) -> str: ...
    @overload
    def __getitem__(self, place: slice) -> "Texts": ...
    def __getitem__(self, place: int | slice) -> "str | Texts":
        """One of them, or some."""
        if isinstance(place, slice):
            return Texts(self.content[place])
        return decoded(self.content[int(place)].as_py())

    def __iter__(self) -> Iterator[str]:
        """All of them."""
        return (decoded(each.as_py()) for each in self.content)

    def __eq__(self, other: object) -> bool:
        """Whether another sequence holds the same strings."""
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(operator.eq, self, other))

    __hash__ = None  # type: ignore[assignment]


def encoded(text: str) -> bytes:
    """A string as `Records` keep it, whatever is in it."""
    return text.encode("utf-8", "surrogatepass")


def decoded(content: bytes) -> str:
    """The string of `encoded`."""
    return content.decode("utf-8", "surrogatepass")
