"""How a training is guided: every number of it, as the study's config holds it."""

from collections.abc import Collection
from dataclasses import dataclass
from math import cos, isfinite, pi
from typing import ClassVar

from xfer.config import Configured
from xfer.errors import InputError, unknown

SCHEDULES = ("constant", "linear", "cosine")
STRIDES = (0, 8, 16, 32)


@dataclass(frozen=True)
class Guide(Configured):
    """What pulls a network's attention where, and how hard.

    Attributes
    ----------
    control : str
        Of `xfer.guidance.controls.CONTROLS`: the map a face gets. ``none`` is plain training.
    loss : str
        Of `xfer.guidance.losses.LOSSES`.
    weight : float
        The term's factor beside the cross entropy.
    layers : tuple of str or int
        As in `xfer.guidance.layers.find`; several are averaged.
    masks : str
        The mask source the maps are drawn from.
    schedule : {"constant", "linear", "cosine"}
        How the weight goes on after the warm-up: it stays, or falls to 0 at the end.
    warm_up : float
        The share of the training in which the weight rises from 0.
    output_stride : {0, 8, 16, 32}
        Of the network, see `xfer.models.build`; 0 is the network's own.
    seed : int
        Of the controls that draw at random.
    """

    kind: ClassVar[str] = "guide"

    control: str = "au"
    loss: str = "au_cosine"
    weight: float = 4.0
    layers: tuple[str | int, ...] = ("last",)
    masks: str = "belharbi2024"
    schedule: str = "constant"
    warm_up: float = 0.0
    output_stride: int = 0
    seed: int = 0

    def __post_init__(self) -> None:
        from xfer.guidance.controls import CONTROLS
        from xfer.guidance.losses import LOSSES

        vocabularies: dict[str, Collection[str]] = {"control": CONTROLS, "loss": LOSSES, "schedule": SCHEDULES}
        for name, allowed in vocabularies.items():
            if getattr(self, name) not in allowed:
                raise unknown(name, getattr(self, name), allowed)
        if not isfinite(self.weight) or self.weight < 0:
            raise InputError(f"the guide's 'weight' must be 0 or more; got {self.weight!r}")
        if not 0 <= self.warm_up < 1:
            raise InputError(f"the guide's 'warm_up' must be at least 0 and below 1; got {self.warm_up!r}")
        if self.output_stride not in STRIDES:
            allowed_strides = ", ".join(map(str, STRIDES))
            raise InputError(f"'output_stride' must be one of {allowed_strides}; got {self.output_stride!r}")
        if not self.layers or isinstance(self.layers, str):
            raise InputError(f"the guide's 'layers' must name at least one layer, as in ('last',); got {self.layers!r}")

    def weight_at(self, progress: float) -> float:
        """The weight after a share of the training, [0, 1].

        >>> guide = Guide(weight=4.0, warm_up=0.2, schedule="linear")
        >>> [guide.weight_at(p) for p in (0.0, 0.1, 0.2, 0.6, 1.0)]
        [0.0, 2.0, 4.0, 2.0, 0.0]
        """
        if progress < self.warm_up:
            return self.weight * progress / self.warm_up
        gone = min(1.0, (progress - self.warm_up) / (1 - self.warm_up))
        left = {"constant": 1.0, "linear": 1 - gone, "cosine": (1 + cos(pi * gone)) / 2}
        return self.weight * left[self.schedule]
