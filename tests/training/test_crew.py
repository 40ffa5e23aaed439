"""Two processes train as one does, go on after a kill, and end together."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from xfer import training
from xfer.guidance import Guide
from xfer.training import GuidedLoss, Settings, TrainingError, crew
from xfer.training.batches import Batch
from xfer.training.ranks import Ranks

pytestmark = pytest.mark.ranks

RTOL, ATOL = 1e-5, 1e-6
"""Sums of floats of 24 bits over 11 faces, in another order, differ by some 1e-7 relative; twelve steps multiply that
by less than a hundred."""


def build(seed: int = 0) -> nn.Module:
    """Small, without batch norm and dropout."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(128, 6)
        )


@pytest.fixture(scope="module")
def uneven(settings: Settings) -> Settings:
    """36 training faces: three batches of 6 and 5 faces, one of 2 and 1; the last of 12 for validation stands alone."""
    return settings.change(batch=11, class_weights=True)


@pytest.fixture(scope="module", autouse=True)
def pair() -> Iterator[None]:
    """One second process for all the tests that do not end it."""
    with crew.led(Ranks(2)):
        yield


def other() -> int | None:
    """Its number."""
    assert crew._crew is not None
    return crew._crew._others[0].pid if crew._crew._others else None


def fit(pixels: training.Pixels, parts: tuple, settings: Settings, **options) -> training.Fitted:
    return training.fit(build(), pixels, *parts, settings, **options)


def guided(pixels: training.Pixels, parts: tuple, settings: Settings, **options) -> training.Fitted:
    model = build()
    loss = GuidedLoss(model, Guide(weight=2.0, layers=("0",)), pixels.classes, settings.size)
    return training.fit(model, pixels, *parts, settings, loss=loss, **options)


@pytest.mark.parametrize("optimiser", ["sgd", "adamw"])
@pytest.mark.parametrize("train", [fit, guided])
def test_one_process_and_two_agree(
    pixels: training.Pixels, parts: tuple, uneven: Settings, train, optimiser: str, tmp_path: Path
) -> None:
    """Weights and log, of batches that no two processes share evenly, with faces that no guide takes part in."""
    landmarks = pixels.landmarks.copy()
    landmarks[pixels.rows(parts[0][:9])] = np.nan
    some = replace(pixels, landmarks=landmarks)
    changed = uneven.change(optimiser=optimiser, lr={"sgd": 0.1, "adamw": 3e-3}[optimiser])
    one = train(some, parts, changed, folder=tmp_path / "one")
    two = train(some, parts, changed, folder=tmp_path / "two", devices=2)
    assert one.epoch == two.epoch
    pd.testing.assert_frame_equal(
        two.log.drop(columns="seconds"), one.log.drop(columns="seconds"), rtol=RTOL, atol=ATOL
    )
    moved = [float((one.state[name] - start).abs().max()) for name, start in build().state_dict().items()]
    assert min(moved) > 100 * ATOL
    for name, tensor in one.state.items():
        torch.testing.assert_close(two.state[name], tensor, rtol=RTOL, atol=ATOL)
    assert one.log["guided_faces"].tolist() == ([27] * 3 if train is guided else [0] * 3)
    facts = [training.read_weights(each.path)[1] for each in (one, two) if each.path]
    assert [each["settings"].get("processes") for each in facts] == [None, 2]
    assert facts[0]["key"] != facts[1]["key"]
    assert sorted(p.name for p in (tmp_path / "two").iterdir()) == ["network.csv", "network.safetensors"]


def test_a_loss_that_is_not_finite_in_one_process_ends_both_alike(
    pixels: training.Pixels, parts: tuple, uneven: Settings, tmp_path: Path
) -> None:
    def breaking(model: nn.Module, batch: Batch) -> torch.Tensor:
        value = training.cross_entropy(model, batch)
        return value * float("nan") if batch.place.rank == 1 and batch.progress > 0.4 else value

    fit(pixels, parts, uneven.change(epochs=1), devices=2)
    before = other()
    with pytest.raises(TrainingError) as error:
        fit(pixels, parts, uneven, loss=breaking, devices=2, folder=tmp_path, name="tiny")
    assert str(error.value) == (
        "tiny: the loss is nan in epoch 2, batch 2; the last good epoch is kept; lower the learning rate, or train in "
        "precision 32"
    )
    assert training.read_weights(tmp_path / "tiny.best.safetensors")[1]["epoch"] == 1
    fit(pixels, parts, uneven.change(epochs=1), devices=2)
    assert other() == before


def test_killed_in_one_process_and_gone_on_with_the_same_bytes(
    pixels: training.Pixels, parts: tuple, uneven: Settings, tmp_path: Path
) -> None:
    marker = tmp_path / "killed"

    def dying(model: nn.Module, batch: Batch) -> torch.Tensor:
        if batch.place.rank == 1 and batch.progress > 0.4 and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return training.cross_entropy(model, batch)

    options = {"loss": dying, "devices": 2, "name": "tiny"}
    with pytest.raises(TrainingError) as error:
        fit(pixels, parts, uneven, folder=tmp_path / "killed once", **options)
    assert str(error.value) == "a process that trained with this one was killed, most likely for its memory"
    assert len(pd.read_csv(tmp_path / "killed once" / "tiny.csv")) == 1
    seen: list[int] = []
    resumed = fit(
        pixels,
        parts,
        uneven,
        folder=tmp_path / "killed once",
        progress=lambda *_: lambda: seen.append(1),
        **options,
    )
    assert len(seen) == 2 * 4
    undisturbed = fit(pixels, parts, uneven, folder=tmp_path / "undisturbed", **options)
    assert resumed.digest == undisturbed.digest
    told = [each.log.drop(columns="seconds") for each in (resumed, undisturbed)]
    pd.testing.assert_frame_equal(*told, check_exact=True)


def test_memory_that_one_process_lacks_halves_the_batch_of_both(
    pixels: training.Pixels, parts: tuple, uneven: Settings
) -> None:
    def hungry(model: nn.Module, batch: Batch) -> torch.Tensor:
        if batch.place.rank == 1 and len(batch.labels) > 3:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return training.cross_entropy(model, batch)

    fitted = fit(pixels, parts, uneven.change(epochs=1), loss=hungry, devices=2)
    assert fitted.remarks == ("memory ran out with 11 faces in a batch; trained with 5",)


def test_what_the_first_process_runs_into_is_not_what_the_other_fails_with_after_it(
    pixels: training.Pixels, parts: tuple, uneven: Settings
) -> None:
    def hungry(model: nn.Module, batch: Batch) -> torch.Tensor:
        if len(batch.labels) > 3 and batch.place.rank == 0:
            raise torch.OutOfMemoryError("CUDA out of memory")
        if len(batch.labels) > 3:
            time.sleep(0.5)
            raise RuntimeError("[gloo/transport/tcp/pair.cc] Connection closed by peer")
        return training.cross_entropy(model, batch)

    fitted = fit(pixels, parts, uneven.change(epochs=1), loss=hungry, devices=2)
    assert fitted.remarks == ("memory ran out with 11 faces in a batch; trained with 5",)


def test_what_one_process_runs_into_is_what_is_raised(pixels: training.Pixels, parts: tuple, uneven: Settings) -> None:
    def failing(model: nn.Module, batch: Batch) -> torch.Tensor:
        if batch.place.rank == 1:
            raise ValueError("the second alone")
        return training.cross_entropy(model, batch)

    with pytest.raises(ValueError, match=r"^the second alone$"):
        fit(pixels, parts, uneven, loss=failing, devices=2)


STUDY = """
    import sys
    from xfer import cli
    from xfer.study import networks

    whole = networks.train

    def small(model, **options):
        return whole(model, **options, drawn=72, training={"epochs": 1, "batch": 10})

    networks.train = small
    cli.main(["train", "songnet", "--pretrained", "no", "--device", "cpu", "--devices", "2", *sys.argv[1:]])
"""


def of_srun(rank: int, *arguments: str) -> subprocess.Popen:
    """``xfer train`` with few faces, as Slurm starts it."""
    numbers = {"STEP_NUM_TASKS": 2, "NTASKS": 2, "NTASKS_PER_NODE": 2, "NNODES": 1, "NODEID": 0}
    told = {f"SLURM_{name}": str(number) for name, number in numbers.items()}
    own = {"SLURM_PROCID": str(rank), "SLURM_LOCALID": str(rank), "SLURM_JOB_ID": str(os.getpid())}
    place = {"MASTER_ADDR": "127.0.0.1", "PYTHONPATH": str(Path(__file__).resolve().parents[2])}
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(STUDY), *arguments],
        env=os.environ | told | own | place,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize(("data", "codes"), [("synthetic", (0, 0)), ("csv:nowhere.csv", (2, 1))])
def test_under_srun_the_first_process_leads_and_all_end(tmp_path: Path, data: str, codes: tuple[int, int]) -> None:
    """The same line twice; also where it is bad input, which the first alone tells."""
    study = tmp_path / "study"
    started = [of_srun(rank, "--data", data, "--out", str(study)) for rank in range(2)]
    told = [each.communicate(timeout=300) for each in started]
    assert tuple(each.returncode for each in started) == codes, told
    assert told[1] == ("", "")
    if data == "synthetic":
        assert "songnet-f0.safetensors: accuracy 0." in told[0][0]
        assert "processes = 2" in (study / "study.toml").read_text()
        assert (study / "checkpoints" / "songnet-f0.safetensors").is_file()
    else:
        assert told[0][0] == ""
        assert told[0][1].startswith("xfer: ")
        assert "nowhere.csv" in told[0][1]
