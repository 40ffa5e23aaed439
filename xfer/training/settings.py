"""How a network is trained: every number of it, as the study's config holds it."""

from dataclasses import dataclass
from math import isfinite
from typing import Any, ClassVar

import torch

from xfer.config import Configured
from xfer.errors import InputError, unknown

OPTIMISERS = ("adamw", "adam", "rmsprop", "sgd", "sgd_nesterov")
SCHEDULES = ("one_cycle", "constant", "step")
PRECISIONS = ("32", "bf16")
Triple = tuple[float, float, float]


@dataclass(frozen=True)
class Settings(Configured):
    """The settings of one training.

    Attributes
    ----------
    size : int
        Side of the faces the network sees, px.
    epochs, batch : int
    optimiser : {"adamw", "adam", "rmsprop", "sgd", "sgd_nesterov"}
        SGD has the momentum 0.9.
    lr, weight_decay : float
        The learning rate; with `schedule` "one_cycle" the highest.
    wide : int
        A dense layer of n inputs, n above this, learns at the rate lr * wide / n, as a step of an adaptive optimiser
        moves its output n times as far as one input does; 0 for one rate for all.
    schedule : {"one_cycle", "constant", "step"}
        OneCycle warms up, then falls along a cosine (Smith and Topin 2019, doi:10.1117/12.2520589).
    warm_up : float
        The share of the steps in which OneCycle's rate rises.
    step_epochs : int
    step_factor : float
        With `schedule` "step" the rate is multiplied by the factor every so many epochs.
    label_smoothing : float
        In [0, 1).
    clip : float
        The largest norm of the gradient; 0 for any.
    precision : {"32", "bf16"}
        What is asked for; `Fitted.precision` tells what the device could.
    channels_last : bool
    class_weights : bool
        Weigh a face by (faces / classes / faces of its class).
    flip : bool
        Mirror half of the training faces.
    rotation : float
        The largest turn of a training face, degrees.
    shift : float
        The largest move of a training face, in sides.
    contrast : float
        The largest change of a training face's contrast, relative.
    crop : float
        The largest share of a training face's area that is cut off; the square that is left is enlarged to the whole.
    grey, colour, erasing : float
        The shares of training faces in shades of grey, in other colours and with a rectangle erased, see
        `xfer.training.augmentation`.
    mean, std : tuple of 3 float
        ``(face / 255 - mean) / std`` per channel.
    seed : int
    validation : float
        The share of the training faces, in whole subjects, that chooses the epoch.
    patience : int
        Epochs without a better one after which training stops; 0 for never.
    threads : int
        Of the CPU, in every process; the weights depend on it. 0 leaves the number alone.
    processes : int
        How many train the network together, each with a part of every batch; the weights depend on it as far as the
        sums of floats do. Not part of the configuration where it is 1.
    """

    kind: ClassVar[str] = "training"

    size: int
    epochs: int = 4
    batch: int = 32
    optimiser: str = "adamw"
    lr: float = 1e-3
    weight_decay: float = 0.01
    wide: int = 0
    schedule: str = "one_cycle"
    warm_up: float = 0.3
    step_epochs: int = 4
    step_factor: float = 0.9
    label_smoothing: float = 0.0
    clip: float = 0.0
    precision: str = "32"
    channels_last: bool = False
    class_weights: bool = False
    flip: bool = False
    rotation: float = 0.0
    shift: float = 0.0
    contrast: float = 0.0
    crop: float = 0.0
    grey: float = 0.0
    colour: float = 0.0
    erasing: float = 0.0
    mean: Triple = (0.0, 0.0, 0.0)
    std: Triple = (1.0, 1.0, 1.0)
    seed: int = 0
    validation: float = 0.1
    patience: int = 0
    threads: int = 1
    processes: int = 1

    def __post_init__(self) -> None:
        vocabularies = {"optimiser": OPTIMISERS, "schedule": SCHEDULES, "precision": PRECISIONS}
        for name, allowed in vocabularies.items():
            if getattr(self, name) not in allowed:
                raise unknown(name, getattr(self, name), allowed)
        for name, (low, high) in _RANGES.items():
            value = getattr(self, name)
            if not isfinite(value) or not low <= value <= high:
                raise InputError(f"training setting {name!r} must be from {low:g} to {high:g}; got {value!r}")
        if self.lr <= 0 or min(self.std) <= 0 or self.validation <= 0:
            raise InputError("training settings 'lr', 'std' and 'validation' must be above 0")
        if self.processes > self.batch:
            raise InputError(f"a batch of {self.batch} faces is too small for {self.processes} processes")

    def config(self) -> dict[str, Any]:
        """As plain values; without `processes` where one trains alone.

        >>> "processes" in Settings(size=32).config(), Settings(size=32, processes=2).config()["processes"]
        (False, 2)
        """
        told = super().config()
        return told if self.processes > 1 else {name: told[name] for name in told if name != "processes"}

    @property
    def augmented(self) -> bool:
        """Whether training faces are changed."""
        return self.flip or any((self.rotation, self.shift, self.contrast)) or self.varied

    @property
    def varied(self) -> bool:
        """Whether they are changed in ways that draw random numbers of their own."""
        return any((self.crop, self.grey, self.colour, self.erasing))


_RANGES: dict[str, tuple[float, float]] = {
    "size": (16, 2048),
    "epochs": (1, 10_000),
    "batch": (1, 65_536),
    "lr": (0, 100),
    "weight_decay": (0, 100),
    "wide": (0, 1e9),
    "warm_up": (0.01, 0.99),
    "label_smoothing": (0, 0.99),
    "clip": (0, 1e9),
    "rotation": (0, 180),
    "shift": (0, 0.5),
    "contrast": (0, 0.99),
    "step_epochs": (1, 10_000),
    "step_factor": (0, 1),
    "crop": (0, 0.99),
    "grey": (0, 1),
    "colour": (0, 1),
    "erasing": (0, 1),
    "seed": (0, 2**31),
    "validation": (0, 0.9),
    "patience": (0, 10_000),
    "threads": (0, 1024),
    "processes": (1, 65_536),
}


def usable_precision(wanted: str, device: torch.device) -> tuple[str, str]:
    """The precision a device can do fast, and why it is not the wanted one ("" where it is).

    bfloat16 on a processor without its instructions is emulated, and slower than float32.
    """
    if wanted == "32" or _bf16(device):
        return wanted, ""
    return "32", f"bf16 was asked for; this {device.type} has no bf16 instructions"


def _bf16(device: torch.device) -> bool:
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    told: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    if told:
        return bool(told.get("avx512_bf16") or told.get("amx_bf16"))
    asked = getattr(torch.cpu, "_is_avx512_bf16_supported", None)
    return bool(asked and asked())
