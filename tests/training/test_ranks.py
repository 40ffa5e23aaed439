"""Processes that train together, acted out in one: parts, shares and sums make the whole batch again."""

import socket
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from math import isnan
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import distributed, nn

from xfer import training
from xfer.errors import InputError
from xfer.guidance import Guide
from xfer.training import GuidedLoss, Settings, crew, loop, meeting
from xfer.training.batches import Batch, Batches
from xfer.training.ranks import ALONE, Place, Ranks

GUIDE = Guide(weight=2.0, layers=("0",))
VARIED = {"crop": 0.2, "grey": 0.2, "colour": 0.5, "erasing": 0.5, "class_weights": True}


@dataclass(frozen=True)
class Acted(Place):
    """A place whose sums are known beforehand; what is added up is noted."""

    sums: tuple[float, ...] = ()
    asked: list[tuple[float, ...]] = field(default_factory=list)

    def total(self, *values: float) -> list[float]:
        self.asked.append(values)
        return list(self.sums or values)


def places(processes: int) -> list[Acted]:
    return [Acted(Ranks(processes), rank, rank) for rank in range(processes)]


def batches(
    pixels: training.Pixels, settings: Settings, place: Place, faces: int = 19, epoch: int | None = 1
) -> list[Batch]:
    told = None if epoch is None else lambda: epoch
    return list(Batches(pixels, np.arange(faces), settings, 8, told, place))


def wide(network: nn.Module) -> nn.Module:
    """Without what depends on other faces or is drawn, in float64."""
    return nn.Sequential(network[0], network[2], *network[4:]).double()


def doubled(batch: Batch) -> Batch:
    return replace(batch, images=batch.images.double(), class_weights=batch.class_weights.double())


def gradients(model: nn.Module, loss: torch.Tensor) -> torch.Tensor:
    return torch.cat([each.flatten() for each in torch.autograd.grad(loss, list(model.parameters()))])


@given(faces=st.integers(0, 40), processes=st.integers(1, 9))
def test_every_face_of_a_batch_has_one_process_and_none_has_two_more_than_another(faces: int, processes: int) -> None:
    parts = [place.part(faces) for place in places(processes)]
    assert sorted(np.concatenate(parts).tolist()) == list(range(faces))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("epoch", [0, 1, None])
def test_order_and_changes_of_a_face_do_not_depend_on_its_process(
    pixels: training.Pixels, settings: Settings, epoch: int | None
) -> None:
    changed = settings.change(**VARIED)
    whole = batches(pixels, changed, ALONE, epoch=epoch)
    parts = [batches(pixels, changed, place, epoch=epoch) for place in places(3)]
    for number, batch in enumerate(whole):
        for rank in range(3):
            part = parts[rank][number]
            chosen = np.arange(rank, len(batch.labels), 3)
            assert part.faces == len(chosen)
            assert part.progress == batch.progress
            assert part.index.tolist() == batch.index[chosen].tolist()
            assert torch.equal(part.labels, batch.labels[chosen])
            torch.testing.assert_close(part.images, batch.images[chosen], rtol=0, atol=1e-6)
            torch.testing.assert_close(part.landmarks, batch.landmarks[chosen], rtol=0, atol=1e-4)


@pytest.mark.parametrize("processes", [2, 3, 5, 8])
def test_the_mean_of_the_processes_losses_and_gradients_is_the_batch_s(
    pixels: training.Pixels, settings: Settings, network: Callable, processes: int
) -> None:
    """Class weights, label smoothing and a last batch of 3 faces, which leaves processes without any."""
    model, changed = wide(network()), settings.change(**VARIED)
    parts = [batches(pixels, changed, place) for place in places(processes)]
    for number, batch in enumerate(batches(pixels, changed, ALONE)):
        whole = training.cross_entropy(model, doubled(batch))
        each = [training.cross_entropy(model, doubled(part[number])) for part in parts]
        assert sum(float(loss.detach()) for loss in each) / processes == pytest.approx(float(whole.detach()), rel=1e-6)
        mean = sum(gradients(model, loss) for loss in each) / processes
        torch.testing.assert_close(mean, gradients(model, whole), rtol=1e-5, atol=1e-7)
        assert sum(part[number].faces for part in parts) == len(batch.labels)


def test_a_face_that_stands_in_for_an_empty_part_counts_nothing(
    pixels: training.Pixels, settings: Settings, network: Callable
) -> None:
    model = wide(network())
    last = batches(pixels, settings, places(5)[4])[-1]
    assert (last.faces, last.share, len(last.labels)) == (0, 0.0, 1)
    loss = GuidedLoss(network().eval(), GUIDE, pixels.classes, 32)
    assert float(loss(network().eval(), last).detach()) == 0
    assert loss.told[1] == sum(loss.absent.values()) == 0
    assert isnan(loss.told[0])
    assert not gradients(model, training.cross_entropy(model, doubled(last))).any()


@pytest.mark.parametrize("without", [(), (0, 2, 4, 6), (1, 2, 3), range(8)])
def test_the_mean_of_a_guide_s_term_is_over_the_faces_of_all_processes(
    pixels: training.Pixels, settings: Settings, network: Callable, without: tuple[int, ...]
) -> None:
    """Also where all that take part belong to one process, and where there are none."""
    model = wide(network())
    landmarks = pixels.landmarks.copy()
    landmarks[list(without)] = np.nan
    some, still = replace(pixels, landmarks=landmarks), settings.change(batch=8)
    loss = GuidedLoss(model.float(), GUIDE, pixels.classes, 32)
    model.double()

    def parts(acted: list[Acted]) -> list[Batch]:
        return [doubled(batches(some, still, place, faces=8, epoch=None)[0]) for place in acted]

    whole = loss(model, doubled(batches(some, still, ALONE, faces=8, epoch=None)[0]))
    told, absent = loss.told, dict(loss.absent)
    acted = places(2)
    for part in parts(acted):
        loss(model, part)
    taking = [place.asked[0][0] for place in acted]
    assert sum(taking) == told[1] == 8 - len(without)
    summed = [replace(place, sums=(float(sum(taking)),)) for place in acted]
    each, terms, left = [], 0.0, dict.fromkeys(absent, 0)
    for part in parts(summed):
        each.append(loss(model, part))
        terms += loss.told[0] * loss.told[1] if loss.told[1] else 0.0
        left = {name: left[name] + count for name, count in loss.absent.items()}
    assert sum(float(one.detach()) for one in each) / 2 == pytest.approx(float(whole.detach()), rel=1e-6)
    torch.testing.assert_close(
        sum(gradients(model, one) for one in each) / 2, gradients(model, whole), rtol=1e-5, atol=1e-7
    )
    assert left == absent
    if told[1]:
        assert terms / told[1] == pytest.approx(told[0], rel=1e-6)


def test_what_is_drawn_in_a_network_differs_between_processes() -> None:
    drawn = []
    for place in places(2):
        module = loop.Module(nn.Linear(1, 1), training.cross_entropy, Settings(size=32), 1, "", lambda: None, place)
        with torch.random.fork_rng():
            module.on_train_epoch_start()
            drawn.append(torch.rand(4))
    assert not torch.equal(*drawn)


def test_one_process_is_not_part_of_the_configuration() -> None:
    one, two = Settings(size=32), Settings(size=32, processes=2)
    assert "processes" not in one.config()
    assert Settings.from_config(two.config()) == two
    assert Settings.from_config(one.config()) == one


def told(error: pytest.ExceptionInfo) -> str:
    return str(error.value)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"devices": 0}, "--devices 0: give 1 or more"),
        ({"nodes": -1}, "--nodes -1: give 1 or more"),
        (
            {"devices": 2, "strategy": "fsdp"},
            "'--strategy' must be one of auto, ddp, ddp_find_unused_parameters_true; got 'fsdp'",
        ),
        ({"strategy": "ddp"}, "--strategy ddp: is for several processes; give --devices or --nodes too"),
    ],
)
def test_numbers_and_strategies_that_cannot_be(asked: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError) as error:
        Ranks(**asked)
    assert told(error) == message


def test_fewer_gpus_than_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(InputError) as error:
        Ranks(4).require("cuda:0")
    assert told(error) == "--devices 4: there are 1 CUDA devices"
    with pytest.raises(InputError) as error:
        Ranks(2, 3).require("cuda:1")
    assert told(error) == "--device cuda:1: names one GPU; give --device cuda with --devices 2 --nodes 3"
    Ranks(1, 2).require("cuda:0")


def test_batch_norm_on_processors_is_refused(
    pixels: training.Pixels, parts: tuple, settings: Settings, network: Callable
) -> None:
    with pytest.raises(InputError) as error:
        training.fit(network(), pixels, *parts, settings, name="tiny", devices=2)
    assert told(error) == (
        "tiny: has batch norm, which several processes on CPUs cannot compute over a whole batch; "
        "leave --devices and --nodes out, train on GPUs, or take a network without it"
    )


def test_a_batch_smaller_than_the_processes(
    pixels: training.Pixels, parts: tuple, settings: Settings, network: Callable
) -> None:
    with pytest.raises(InputError) as error:
        training.fit(wide(network()), pixels, *parts, settings, devices=9)
    assert told(error) == "a batch of 8 faces is too small for 9 processes"


@pytest.mark.parametrize(
    ("error", "gone"),
    [
        (distributed.DistBackendError("a kind of network that nobody has thought of"), True),
        (distributed.DistNetworkError("the client socket has timed out"), True),
        (RuntimeError("[enforce fail at .../gloo/transport/tcp/pair.cc] Connection closed by peer"), True),
        (RuntimeError("NCCL communicator was aborted"), True),
        (RuntimeError("mat1 and mat2 shapes cannot be multiplied"), False),
        (ConnectionError("s3://box/faces.tar: does not answer"), False),
    ],
)
def test_what_tells_that_another_process_is_gone(error: Exception, gone: bool) -> None:
    assert crew._of_connection(error) is gone


def test_several_nodes_need_a_launcher() -> None:
    with pytest.raises(InputError) as error, crew.led(Ranks(2, 2)):
        pass
    assert (
        told(error) == "--devices 2 --nodes 2: start it on all nodes with srun or torchrun, a process for each device"
    )


@pytest.mark.parametrize("given", [{"SLURM_NTASKS": "3"}, {"SLURM_NTASKS": "4", "SLURM_NTASKS_PER_NODE": "4"}, {}])
def test_srun_with_other_numbers(monkeypatch: pytest.MonkeyPatch, given: dict[str, str]) -> None:
    for name, value in {"SLURM_STEP_NUM_TASKS": "4", "SLURM_NTASKS": "4", **given}.items():
        monkeypatch.setenv(name, value)
    assert meeting.launcher() == "srun"
    with pytest.raises(InputError) as error, crew.led(Ranks(2, 2)):
        pass
    assert told(error) == (
        "--devices 2 --nodes 2: does not fit what srun started; give it --nodes 2 --ntasks-per-node 2"
    )


def test_a_single_training_under_a_launcher(
    pixels: training.Pixels, parts: tuple, settings: Settings, network: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SLURM_STEP_NUM_TASKS", "2")
    with pytest.raises(InputError) as error:
        training.fit(wide(network()), pixels, *parts, settings, devices=2)
    assert told(error) == "--devices 2: with srun, call xfer.train, compare or guide, which share their trainings"


def test_a_process_that_never_comes_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meeting, "PATIENCE", timedelta(seconds=1))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    counts = {"STEP_NUM_TASKS": 2, "NTASKS": 2, "NTASKS_PER_NODE": 2, "NNODES": 1}
    given = {f"SLURM_{name}": number for name, number in {**counts, "NODEID": 0, "PROCID": 0, "LOCALID": 0}.items()}
    for name, value in {**given, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}.items():
        monkeypatch.setenv(name, str(value))
    expected = f"^--devices 2: the processes do not meet at 127.0.0.1:{port} \\(.*\\); start all of them, or set"
    with pytest.raises(ConnectionError, match=expected):
        meeting.found(Ranks(2))
