"""``--devices``, ``--nodes`` and ``--strategy``: what is refused, in one line, before anything is written."""

from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize("command", ["train", "guide", "compare"])
@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (("--devices", "2", "--engine", "ray"), "--devices 2: a network that several processes train is not for Ray"),
        (("--devices", "2", "--workers", "2"), "--workers 2: with --devices 2 one network is trained after another"),
        (("--nodes", "2"), "--devices 1 --nodes 2: start it on all nodes with srun or torchrun"),
        (("--strategy", "ddp"), "--strategy ddp: is for several processes"),
        (("--devices", "0"), "Invalid value for '--devices'"),
        (("--devices", "64", "--device", "cpu"), "a batch of 16 faces is too small for 64 processes"),
        (("--devices", "2", "--device", "cpu"), "songnet_bn: has batch norm, which several processes on CPUs cannot"),
    ],
)
def test_what_makes_no_sense(
    run: Run, refused: Callable, tmp_path: Path, command: str, asked: tuple[str, ...], told: str
) -> None:
    model = ("--models", "songnet_bn") if command == "compare" else ("songnet_bn",)
    refused(run(command, *model, *asked), told)
    assert list(tmp_path.iterdir()) == []


def test_heatmaps_that_are_there_are_not_trained(run: Run, refused: Callable) -> None:
    refused(run("compare", "--heatmaps", "maps", "--devices", "2"), "--devices are for networks, not for --heatmaps")
