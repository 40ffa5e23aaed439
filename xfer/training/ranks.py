"""How many processes train a network together, which of them this is, and what they add up."""

from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed
from numpy.typing import NDArray
from torch import nn

from xfer.errors import InputError, unknown

STRATEGIES = ("auto", "ddp", "ddp_find_unused_parameters_true")
"""Lightning's names of what xfer's losses are right with; ``auto`` is ``ddp``. The last is for networks that leave
parameters out of a step."""


@dataclass(frozen=True)
class Ranks:
    """How many processes train a network together.

    Attributes
    ----------
    devices : int
        Processes on a node, on ``cuda`` each with a GPU of its own.
    nodes : int
    strategy : {"auto", "ddp", "ddp_find_unused_parameters_true"}

    Raises
    ------
    InputError
        If there is no such strategy or nothing to have one for.

    Examples
    --------
    >>> Ranks(4, 2).processes, str(Ranks(4, 2)), str(Ranks(4))
    (8, '--devices 4 --nodes 2', '--devices 4')
    """

    devices: int = 1
    nodes: int = 1
    strategy: str = "auto"

    def __post_init__(self) -> None:
        for name, count in (("devices", self.devices), ("nodes", self.nodes)):
            if count < 1:
                raise InputError(f"--{name} {count}: give 1 or more")
        if self.strategy not in STRATEGIES:
            raise unknown("--strategy", self.strategy, STRATEGIES)
        if self.strategy != "auto" and self.processes == 1:
            raise InputError(f"--strategy {self.strategy}: is for several processes; give --devices or --nodes too")

    def __str__(self) -> str:
        return f"--devices {self.devices}" + (f" --nodes {self.nodes}" if self.nodes > 1 else "")

    @property
    def processes(self) -> int:
        """All of them."""
        return self.devices * self.nodes

    def require(self, device: str) -> None:
        """That every process of a node finds its GPU.

        Raises
        ------
        InputError

        Examples
        --------
        >>> Ranks(2).require("cpu")
        """
        if self.processes == 1 or device == "cpu":
            return
        if device != "cuda:0":
            raise InputError(f"--device {device}: names one GPU; give --device cuda with {self}")
        if self.devices > (there := torch.cuda.device_count()):
            raise InputError(f"--devices {self.devices}: there are {there} CUDA devices")

    def require_whole_batches(self, model: nn.Module, name: str, device: str) -> None:
        """That a network's batch norm sees whole batches, which on CPUs it does in one process only.

        Raises
        ------
        InputError
        """
        if self.processes > 1 and device == "cpu" and has_batch_norm(model):
            raise InputError(
                f"{name}: has batch norm, which several processes on CPUs cannot compute over a whole batch; "
                "leave --devices and --nodes out, train on GPUs, or take a network without it"
            )


ONE = Ranks()
"""A process that trains by itself."""


@dataclass(frozen=True)
class Place:
    """Which of the processes that train together this is.

    Attributes
    ----------
    ranks : Ranks
    rank : int
        Among all; 0 is the first, which alone writes.
    local : int
        Among those of its node.
    node : int
    """

    ranks: Ranks = ONE
    rank: int = 0
    local: int = 0
    node: int = 0

    def part(self, faces: int) -> NDArray[np.intp]:
        """Which faces of a batch are this process's; none of the last batch where that has too few.

        >>> [Place(Ranks(2), rank).part(5).tolist() for rank in range(2)]
        [[0, 2, 4], [1, 3]]
        """
        return np.arange(self.rank, faces, self.ranks.processes)

    def device(self, named: torch.device) -> torch.device:
        """The one of this process, of a device that is named for all."""
        alone = self.ranks.processes == 1 or named.type == "cpu"
        return named if alone else torch.device(named.type, self.local)

    def total(self, *values: float) -> list[float]:
        """Sums over the processes, in the order of their ranks, so that all have the same; all must ask for them.

        >>> Place().total(1, 0.5)
        [1, 0.5]
        """
        if self.ranks.processes == 1:
            return list(values)
        own = torch.tensor(values, dtype=torch.float64)
        found = [torch.empty_like(own) for _ in range(self.ranks.processes)]
        torch.distributed.all_gather(found, own)
        return torch.stack(found).sum(0).tolist()


ALONE = Place()
"""The place in `ONE`."""


def has_batch_norm(model: nn.Module) -> bool:
    """Whether some layer's output for a face depends on the other faces of its batch.

    >>> has_batch_norm(nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8))), has_batch_norm(nn.GroupNorm(2, 8))
    (True, False)
    """
    return any(isinstance(module, nn.modules.batchnorm._BatchNorm) for module in model.modules())
