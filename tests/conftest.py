"""Fixtures shared by the suite."""

from pathlib import Path

import numpy as np
import pytest

_SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data beside the checkout; tests that need it are skipped elsewhere."""
    if not _SHARED.is_dir():
        pytest.skip("no ../shared beside the checkout: the real data is not redistributed")
    return _SHARED


@pytest.fixture(scope="session")
def published(shared: Path) -> Path:
    """The published heatmaps, masks and scores of the 12-network study."""
    return shared / "data" / "published_heatmaps"


@pytest.fixture
def rng() -> np.random.Generator:
    """A seeded generator."""
    return np.random.default_rng(20240911)
