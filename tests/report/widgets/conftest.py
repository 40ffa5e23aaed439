"""Studies to look at: one of heatmaps from files, one that trained a tiny network and kept the map of every face."""

from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

import xfer
from xfer import geometry
from xfer.study import Study

NETWORKS = ("alpha", "beta", "gamma", "delta")
FOLDS = ("CV1", "CV2", "CV3", "CV4")
EXPRESSIONS = ("anger", "disgust", "fear", "happiness")


def write_maps(folder: Path, networks=NETWORKS, folds=FOLDS, expressions=EXPRESSIONS) -> Path:
    """Smooth maps on the canonical frame, one file a network, fold and expression."""
    draw, frame = np.random.default_rng(7), geometry.load_frame()
    folder.mkdir()
    for network in networks:
        for expression in expressions:
            base = gaussian_filter(draw.random((frame.height, frame.width)), 20)
            for fold in folds:
                noisy = base + 0.3 * gaussian_filter(draw.random(base.shape), 20)
                np.save(folder / f"{network}_{fold}_{expression}.npy", (noisy - noisy.min()).astype(np.float32))
    return folder


@pytest.fixture(scope="session")
def imported(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Four networks, four expressions, four folds, two mask sources."""
    home = tmp_path_factory.mktemp("widgets")
    maps = write_maps(home / "maps")
    return xfer.compare(
        heatmaps=maps, pattern="{model}_{fold}_{expression}.npy", masks="ekman,xfer/emfacs", metrics="iou",
        draws=0, out=home / "imported",
    )  # fmt: skip


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """Two explainers on one tiny network of two epochs, the maps of single faces kept."""
    return xfer.compare(
        "songnet", drawn=72, training={"epochs": 2, "size": 64, "precision": "32"}, pretrained="no", metrics="iou",
        draws=0, workers=1, per_face=True, explainers="grad_cam,saliency",
        out=tmp_path_factory.mktemp("widgets") / "trained",
    )  # fmt: skip
