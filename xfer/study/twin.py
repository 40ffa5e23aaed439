"""A unit of a twin study: one arm trained from one seed, explained from outside, and scored face by face."""

from dataclasses import dataclass

from torch import nn

from xfer.guidance import Guide
from xfer.study.folder import slug
from xfer.study.looking import Looking, Truth
from xfer.study.unit import Unit


@dataclass(frozen=True)
class Twin(Unit):
    """One arm and seed.

    Attributes
    ----------
    arm : str
        See `xfer.study.arms.Arm`.
    looked_at : Guide or None
        Whose layer and maps every arm is looked at with.
    truth : Truth or None
    floors : bool
        Whether it keeps what trivial maps score on its test faces.
    """

    arm: str = ""
    looked_at: Guide | None = None
    truth: Truth | None = None
    floors: bool = False

    @property
    def control(self) -> str:
        """The part of the key that tells what guided it: the arm."""
        return self.arm

    @property
    def name(self) -> str:
        """As in file names, and in what is told of it."""
        return f"{slug(self.network)}-{slug(self.arm)}-s{self.settings.seed}-f{slug(self.fold)}"

    def witness(self, model: nn.Module) -> Looking | None:
        """What scores the test faces one by one."""
        if self.truth is None or self.looked_at is None:
            return None
        return Looking(model, self.pixels, self.settings, self.looked_at, self.truth, floors=self.floors)
