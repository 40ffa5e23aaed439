"""Fixtures shared by the suite."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from xfer.study import plan, results

_SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture(scope="session", autouse=True)
def few_draws() -> Iterator[None]:
    """Studies of the suite draw little, unless a test asks for more."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(results, "DRAWS", 20)
        for name, protocol in plan.PROTOCOLS.items():
            patch.setitem(plan.PROTOCOLS, name, replace(protocol, draws=20, randomised=0))
        yield


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
