"""A killed training goes on where it was and ends with the bytes of an undisturbed one."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from xfer import training
from xfer.training import Settings, loop, weights


class Killed(BaseException):
    """Ends a run where a kill would."""


def test_killed_at_any_write_the_same_bytes(
    pixels: training.Pixels,
    parts: tuple,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: Settings,
    network: Callable,
) -> None:
    whole = training.fit(network(), pixels, *parts, settings, folder=tmp_path / "undisturbed")
    real = weights.put
    writes = 0

    def counting(path: Path, write) -> None:
        nonlocal writes
        writes += 1
        if writes == last:
            raise Killed
        real(path, write)

    monkeypatch.setattr(weights, "put", counting)
    monkeypatch.setattr(loop, "put", counting)
    for last in range(1, 9):
        writes = 0
        folder = tmp_path / str(last)
        try:
            training.fit(network(), pixels, *parts, settings, folder=folder)
        except Killed:
            writes = -100
            resumed = training.fit(network(), pixels, *parts, settings, folder=folder)
            assert resumed.digest == whole.digest
            pd.testing.assert_frame_equal(
                resumed.log.drop(columns="seconds"), whole.log.drop(columns="seconds"), check_exact=True
            )
        else:
            assert last > 6
            break


def test_killed_by_the_system_at_a_random_batch(
    pixels: training.Pixels,
    parts: tuple,
    tmp_path: Path,
    rng: np.random.Generator,
    settings: Settings,
    network: Callable,
) -> None:
    whole = training.fit(network(), pixels, *parts, settings, folder=tmp_path / "undisturbed")
    batches = -(-len(parts[0]) // 8)
    last = int(rng.integers(batches + 1, 3 * batches))
    script = f"""
        import os, signal, sys
        sys.path.insert(0, {str(Path(__file__).parent)!r})
        from pathlib import Path
        from conftest import FACES, SETTINGS, build, datasets, training
        faces = datasets.open("synthetic", faces=FACES, size=32)
        seen = 0
        def tick():
            global seen
            seen += 1
            if seen == {last}:
                os.kill(os.getpid(), signal.SIGKILL)
        parts = training.hold_out(faces, range(48), 0.25, 0)
        training.fit(build(), faces, *parts, SETTINGS, folder=Path({str(tmp_path)!r}), progress=lambda *_: tick)
    """
    root = str(Path(__file__).resolve().parents[2])
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env=os.environ | {"PYTHONPATH": root},
        capture_output=True,
        text=True,
    )
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    held = pd.read_csv(tmp_path / "network.csv")
    assert len(held) == (last - 1) // batches
    seen = []
    resumed = training.fit(
        network(), pixels, *parts, settings, folder=tmp_path, progress=lambda *_: lambda: seen.append(1)
    )
    assert len(seen) == (3 - len(held)) * batches
    assert resumed.digest == whole.digest


def test_ctrl_c_is_a_keyboard_interrupt_and_the_next_call_goes_on(
    pixels: training.Pixels, parts: tuple, tmp_path: Path, settings: Settings, network: Callable
) -> None:
    whole = training.fit(network(), pixels, *parts, settings, folder=tmp_path / "undisturbed")
    seen = []

    def tick() -> None:
        seen.append(1)
        if len(seen) == 8:
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job is born deaf to it
    try:
        with pytest.raises(KeyboardInterrupt):
            training.fit(network(), pixels, *parts, settings, folder=tmp_path, progress=lambda *_: tick)
        assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert training.fit(network(), pixels, *parts, settings, folder=tmp_path).digest == whole.digest


def test_a_finished_training_is_read_not_repeated(
    pixels: training.Pixels, parts: tuple, tmp_path: Path, settings: Settings, network: Callable
) -> None:
    first = training.fit(network(), pixels, *parts, settings, folder=tmp_path)
    stages = []
    model = network()

    def stage(*told: object):
        stages.append(told)
        return lambda: None

    again = training.fit(model, pixels, *parts, settings, folder=tmp_path, progress=stage)
    assert stages == []
    assert (again.digest, again.epoch, again.accuracy) == (first.digest, first.epoch, first.accuracy)
    assert torch.equal(model[0].weight, first.state["0.weight"])
    training.fit(network(), pixels, *parts, replace(settings, lr=1e-3), folder=tmp_path, progress=stage)
    assert len(stages) == 1


def test_a_foreign_checkpoint_is_not_run(
    pixels: training.Pixels, parts: tuple, tmp_path: Path, settings: Settings, network: Callable
) -> None:
    class Evil:
        def __reduce__(self) -> tuple:
            return (os.system, (f"touch {tmp_path / 'run'}",))

    torch.save({"callbacks": {"xfer": Evil()}}, tmp_path / "network.ckpt")
    whole = training.fit(network(), pixels, *parts, settings, folder=tmp_path)
    assert not (tmp_path / "run").exists()
    assert whole.digest == training.fit(network(), pixels, *parts, settings, folder=tmp_path / "b").digest
