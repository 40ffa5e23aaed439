"""What a study takes of the settings of methods that hide parts of a face."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from xfer.errors import InputError
from xfer.explainers.perturbation import Perturbation

_OWN = ("landmarks", "mean", "std", "seed")
"""What a study says of every batch of faces."""


def hiding_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of the methods that hide parts of a face, as they were given; pixels, landmarks and seed are a study's.

    Raises
    ------
    InputError
        If there is no such setting, or a value cannot be.

    >>> hiding_settings({"samples": 50})
    {'samples': 50}
    """
    for name in settings:
        if name in _OWN:
            raise InputError(f"setting {name!r} of the methods that hide parts of a face is the study's own")
    Perturbation.read({**settings, "landmarks": np.zeros((1, 68, 2))})
    return dict(settings)
