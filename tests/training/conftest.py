"""A network, faces and settings small enough to train in a tenth of a second."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from xfer import datasets, training
from xfer.datasets import Dataset
from xfer.training import Settings

FACES = 64
SETTINGS = Settings(
    size=32,
    epochs=3,
    batch=8,
    lr=3e-3,
    flip=True,
    rotation=10,
    shift=0.05,
    contrast=0.1,
    label_smoothing=0.05,
    clip=1.0,
    channels_last=True,
)


@pytest.fixture(scope="module")
def faces() -> Dataset:
    return datasets.open("synthetic", faces=FACES, size=32)


@pytest.fixture(scope="module")
def pixels(faces: Dataset) -> training.Pixels:
    return training.read(faces, 32, workers=1)


@pytest.fixture(scope="module")
def parts(faces: Dataset) -> tuple[np.ndarray, np.ndarray]:
    return training.hold_out(faces, range(48), 0.25, 0)


def build() -> nn.Module:
    """Small, with everything that has a state of its own in training: BatchNorm and dropout."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.AdaptiveAvgPool2d(4),
            nn.Flatten(),
            nn.Linear(128, 6),
        )


@pytest.fixture(scope="session")
def network() -> Callable[[], nn.Module]:
    return build


@pytest.fixture(scope="session")
def settings() -> Settings:
    return SETTINGS
