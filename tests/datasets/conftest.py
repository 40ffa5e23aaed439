"""Tiny pictures for data sets that the tests write."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
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
