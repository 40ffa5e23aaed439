"""The settings of methods that hide parts of a face; the defaults are the published LIME recipe."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from math import inf
from numbers import Integral
from typing import Any

import torch

from xfer.errors import InputError, unknown
from xfer.explainers.baselines import check_baseline, check_scale
from xfer.explainers.segments import SEGMENTS

FAMILY = "perturbation"

OUTPUTS = ("probability", "logit")
"""What of the network is explained."""


@dataclass(frozen=True, eq=False)
class Perturbation:
    """The settings of the family; the defaults are the published LIME recipe (Gaya-Morey et al. 2024).

    Attributes
    ----------
    samples : int
        Rows a face for LIME, KernelSHAP and RISE.
    segments : str or array
        ``"slic"``, ``"grid"``, ``"regions"`` (Action Unit regions, the rest of the face, the background), labels
        (face, y, x) or soft parts (face, player, y, x) that add up to 1.
    pieces : int
        About how many segments SLIC and the grid make.
    compactness : float
        SLIC's.
    regions : str
        A region source of `xfer.masks`.
    landmarks : array (face, 68, 2), optional
        In px of the images; needed for ``"regions"``.
    baseline : str, sequence of float or array
        See `xfer.explainers.baselines.baseline_images`.
    mean, std : float or sequence of float
        What preprocessing subtracted and divided by, in [0, 1]: what "black" is, and what SLIC sees.
    output : {"probability", "logit"}
        What is explained. Score-CAM and Ablation-CAM read logits.
    kernel_width, alpha : float
        LIME's kernel and ridge.
    window, stride : int, optional
        Occlusion's, px; by default a seventh of the shorter side, and half the window.
    cells, keep : int, float
        RISE's grid, and the chance of a cell to be seen.
    seed : int
    share : bool
        LIME and KernelSHAP use each other's rows, weighted by importance.
    autocast : bool
        Forwards in bfloat16.
    channels_last : bool
        Bring masked images to that layout, in which most networks are faster, unless the network flattens them by
        ``view``; otherwise their layout is the images'.
    """

    samples: int = 1000
    segments: Any = "slic"
    pieces: int = 30
    compactness: float = 20.0
    regions: str = "xfer"
    landmarks: Any = None
    baseline: Any = "black"
    mean: float | Sequence[float] = 0.0
    std: float | Sequence[float] = 1.0
    output: str = "probability"
    kernel_width: float = 0.25
    alpha: float = 1.0
    window: int | None = None
    stride: int | None = None
    cells: int = 8
    keep: float = 0.5
    seed: int = 0
    share: bool = False
    autocast: bool = False
    channels_last: bool = True

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        for name, allowed in (("output", OUTPUTS), ("segments", SEGMENTS)):
            value = getattr(self, name)
            if isinstance(value, str) and value not in allowed:
                raise unknown(name, value, allowed)
        least = {"samples": 2, "pieces": 1, "cells": 1, "window": 1, "stride": 1, "seed": 0}
        for name, smallest in least.items():
            value = getattr(self, name)
            if value is None and name in ("window", "stride"):
                continue
            if not isinstance(value, Integral) or value < smallest:
                raise InputError(f"{name!r} must be a whole number from {smallest}; got {value!r}")
        for name in ("compactness", "kernel_width", "alpha"):
            if not 0 < getattr(self, name) < inf:
                raise InputError(f"{name!r} must be above 0; got {getattr(self, name)}")
        if not 0 < self.keep < 1:
            raise InputError(f"'keep' must lie between 0 and 1; got {self.keep}")
        if isinstance(self.segments, str) and self.segments == "regions" and self.landmarks is None:
            raise InputError("'segments' = 'regions' needs 'landmarks' (face, 68, 2), in px of the images")
        check_baseline(self.baseline)
        check_scale(self.mean, self.std)

    @classmethod
    def read(cls, settings: Mapping[str, Any]) -> "Perturbation":
        """The settings from a mapping.

        Raises
        ------
        InputError
            For a name that is none, or a value that cannot be.

        >>> Perturbation.read({"samples": 50}).samples
        50
        """
        names = [field.name for field in fields(cls)]
        for name in settings:
            if name not in names:
                raise unknown(f"setting of {FAMILY}", name, names)
        return cls(**settings)

    def per_face(self) -> dict[str, int]:
        """How many faces each setting that is given per face has."""
        given = {"landmarks": self.landmarks, "segments": self.segments, "baseline": self.baseline}
        arrays = {name: torch.as_tensor(each) for name, each in given.items() if not isinstance(each, str | None)}
        return {name: len(each) for name, each in arrays.items() if name != "baseline" or each.ndim == 4}
