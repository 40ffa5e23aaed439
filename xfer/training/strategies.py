"""What Lightning is told of processes that train together and are there already."""

from copy import deepcopy
from typing import Any

import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.pytorch.strategies import DDPStrategy
from timm.layers.norm_act import convert_sync_batchnorm
from torch import nn

from xfer.training.ranks import Place


class _There(LightningEnvironment):
    """Lightning's own environment, that looks for no other and starts no processes."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self._place = place

    @property
    def creates_processes_externally(self) -> bool:
        return True

    def world_size(self) -> int:
        return self._place.ranks.processes

    def global_rank(self) -> int:
        return self._place.rank

    def local_rank(self) -> int:
        return self._place.local

    def node_rank(self) -> int:
        return self._place.node

    def teardown(self) -> None:
        """What others told this process stays told."""


class _Joined(DDPStrategy):
    """DDP in a process group that is there: nothing is launched, in a notebook neither."""

    def _configure_launcher(self) -> None:
        self._launcher = None


def options(place: Place, device: torch.device) -> tuple[dict[str, Any], LightningEnvironment]:
    """Of Lightning's ``Trainer``, and its environment."""
    ranks = place.ranks
    if ranks.processes == 1:
        return {"devices": [device.index or 0] if device.type == "cuda" else 1}, LightningEnvironment()
    unused = ranks.strategy == "ddp_find_unused_parameters_true"
    strategy = _Joined(find_unused_parameters=unused)
    return {"devices": ranks.devices, "num_nodes": ranks.nodes, "strategy": strategy}, _There(place)


def shared(model: nn.Module, place: Place, device: torch.device) -> nn.Module:
    """The network that this process trains: a copy whose batch norm sees the faces of all, where there are several.

    A face that stands in for an empty part of an epoch's last batch is seen too.
    """
    if place.ranks.processes == 1:
        return model
    copied = deepcopy(model)
    return copied if device.type == "cpu" else convert_sync_batchnorm(copied)
