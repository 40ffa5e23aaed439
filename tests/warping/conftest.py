"""Frames shared by the tests of warping."""

from pathlib import Path

import pytest

from xfer import geometry
from xfer.geometry import CanonicalFrame


@pytest.fixture
def published_frame(tmp_path: Path) -> CanonicalFrame:
    """The template as the published study's kind of frame."""
    rows = [f"{i + 1},{x},{y}" for i, (x, y) in enumerate(geometry.load_frame("xfer").points[:68])]
    file = tmp_path / "mean.csv"
    file.write_text("\n".join(["point,x,y", *rows]))
    return geometry.load_frame(file)
