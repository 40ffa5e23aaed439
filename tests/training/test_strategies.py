"""What Lightning is told: places as they are, nothing launched, batch norm over all processes on GPUs."""

import pytest
import torch
from timm.layers import BatchNormAct2d
from torch import nn

from xfer.training.ranks import ALONE, Place, Ranks
from xfer.training.strategies import options, shared

CUDA, CPU = torch.device("cuda"), torch.device("cpu")


@pytest.fixture
def normed() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), BatchNormAct2d(4), nn.BatchNorm2d(4), nn.Flatten())


def test_batch_norm_on_gpus_sees_the_faces_of_all_processes(normed: nn.Module) -> None:
    """The activation that timm's has in it is kept, and so are the names of the weights."""
    found = shared(normed, Place(Ranks(2), 1, 1), CUDA)
    norms = [module for module in found.modules() if isinstance(module, nn.SyncBatchNorm)]
    assert len(norms) == 2
    assert isinstance(norms[0].act, nn.ReLU)
    assert found.state_dict().keys() == normed.state_dict().keys()
    assert not any(isinstance(module, nn.SyncBatchNorm) for module in normed.modules())


def test_the_network_of_one_process_is_itself_and_of_several_a_copy(normed: nn.Module) -> None:
    assert shared(normed, ALONE, CUDA) is normed
    copied = shared(normed, Place(Ranks(2)), CPU)
    assert copied is not normed
    assert all(torch.equal(a, b) for a, b in zip(copied.parameters(), normed.parameters(), strict=True))


def test_lightning_is_told_the_places_and_starts_nothing() -> None:
    place = Place(Ranks(4, 2, "ddp_find_unused_parameters_true"), 6, 2, 1)
    told, environment = options(place, CUDA)
    assert (told["devices"], told["num_nodes"]) == (4, 2)
    assert told["strategy"]._ddp_kwargs == {"find_unused_parameters": True}
    told["strategy"]._configure_launcher()
    assert told["strategy"].launcher is None
    assert environment.creates_processes_externally
    assert (environment.world_size(), environment.global_rank()) == (8, 6)
    assert (environment.node_rank(), environment.local_rank()) == (1, 2)
    assert place.device(torch.device("cuda:0")) == torch.device("cuda:2")


@pytest.mark.parametrize(("device", "devices"), [(CPU, 1), (CUDA, [0]), (torch.device("cuda:3"), [3])])
def test_one_process_has_the_device_that_is_named(device: torch.device, devices: object) -> None:
    assert options(ALONE, device)[0] == {"devices": devices}
    assert ALONE.device(device) == device
