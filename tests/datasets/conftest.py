"""Tiny pictures for data sets that the tests write, as files, in tar shards and in Parquet."""

import tarfile
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

Picture = Callable[..., Path]


@pytest.fixture
def picture() -> Picture:
    """Write a picture of one colour, different for every file name, making its folders."""

    def write(path: Path, shade: int | None = None, side: int = 20) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        colour = sum(path.as_posix().encode("utf-8", "surrogateescape")) % 200 if shade is None else shade
        Image.fromarray(np.full((side, side, 3), colour, np.uint8)).save(path)
        return path

    return write


@pytest.fixture(scope="session")
def png() -> Callable[[int], bytes]:
    """The file of a picture of one colour."""

    def make(shade: int, side: int = 20) -> bytes:
        stream = BytesIO()
        Image.fromarray(np.full((side, side, 3), shade, np.uint8)).save(stream, "PNG")
        return stream.getvalue()

    return make


@pytest.fixture(scope="session")
def tar() -> Callable[..., Path]:
    """Write a tar of members by name, or by what a test makes of one."""

    def write(path: Path, *members: tuple[str | tarfile.TarInfo, bytes | str]) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tarfile.open(path, "w") as shard:
            for given, told in members:
                member = tarfile.TarInfo(given) if isinstance(given, str) else given
                content = told.encode() if isinstance(told, str) else told
                member.size = len(content)
                shard.addfile(member, BytesIO(content))
        return path

    return write


@pytest.fixture(scope="session")
def table() -> Callable[..., Path]:
    """Write a Parquet file, in row groups of two rows."""

    def write(path: Path, metadata: dict[str, str] | None = None, group: int = 2, **columns: Sequence[Any]) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table(columns).replace_schema_metadata(metadata), path, row_group_size=group)
        return path

    return write
