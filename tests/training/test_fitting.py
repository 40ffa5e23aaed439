"""Fitting a network: learning, repeatability, who chooses what, and what it refuses."""

import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from xfer import datasets, training
from xfer.datasets import Dataset
from xfer.errors import InputError
from xfer.training import Settings, TrainingError, fitting, loop, weights


def test_loss_falls_and_the_planted_cue_is_learnt(network: Callable) -> None:
    # the background alone carries the class, so a working loop cannot fail to learn it
    cued = datasets.open("synthetic", faces=90, size=32, cue="background")
    train, held = training.hold_out(cued, range(90), 0.2, 0)
    settings = Settings(size=32, epochs=8, batch=8, lr=1e-2)
    fitted = training.fit(network(), cued, train, held, settings)
    losses = fitted.log["train_loss"]
    assert losses.iloc[-1] < 0.5 * losses.iloc[0]
    assert fitted.accuracy > 0.6


def test_log(pixels: training.Pixels, parts: tuple, tmp_path: Path, settings: Settings, network: Callable) -> None:
    fitted = training.fit(network(), pixels, *parts, settings, folder=tmp_path, name="tiny")
    written = pd.read_csv(tmp_path / "tiny.csv")
    assert tuple(written.columns) == fitting.LOG == tuple(fitted.log.columns)
    assert written["epoch"].tolist() == [1, 2, 3]
    pd.testing.assert_frame_equal(written, fitted.log, check_exact=True)
    best = written.sort_values(["validation_accuracy", "validation_loss"], ascending=[False, True]).iloc[0]
    assert fitted.epoch == best["epoch"]
    assert fitted.accuracy == best["validation_accuracy"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["tiny.csv", "tiny.safetensors"]


@pytest.mark.skipif(not hasattr(signal, "SIGPROF"), reason="this system has no profiling signal")
def test_a_library_s_profiling_signal_does_not_end_the_process_afterwards(
    pixels: training.Pixels, parts: tuple, settings: Settings, network: Callable
) -> None:
    if "mediapipe" not in sys.modules:  # whose timer runs, and would end this process here
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
    training.fit(network(), pixels, *parts, settings)
    signal.raise_signal(signal.SIGPROF)
    assert signal.getsignal(signal.SIGPROF) is signal.SIG_IGN


def test_the_chosen_epoch_is_what_comes_back(
    pixels: training.Pixels, parts: tuple, settings: Settings, network: Callable
) -> None:
    model = network()
    fitted = training.fit(model, pixels, *parts, settings)
    assert not model.training
    predictions = training.evaluate(model, pixels, parts[1], settings)
    assert training.accuracy(predictions) == fitted.accuracy
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, fitted.state[name])


def test_same_seed_same_bytes_and_another_seed_others(
    pixels: training.Pixels, parts: tuple, tmp_path: Path, settings: Settings, network: Callable
) -> None:
    runs = [
        training.fit(network(), pixels, *parts, replace(settings, seed=seed), folder=tmp_path / place)
        for seed, place in [(0, "a"), (0, "b"), (1, "c")]
    ]
    assert runs[0].digest == runs[1].digest != runs[2].digest
    assert runs[0].digest == weights.digest(tmp_path / "a" / "network.safetensors")


def test_with_and_without_a_folder_the_same(
    pixels: training.Pixels, parts: tuple, tmp_path: Path, settings: Settings, network: Callable
) -> None:
    kept = training.fit(network(), pixels, *parts, settings, folder=tmp_path)
    loose = training.fit(network(), pixels, *parts, settings)
    assert kept.state.keys() == loose.state.keys()
    assert all(torch.equal(kept.state[name], loose.state[name]) for name in kept.state)
    assert loose.path is None
    assert loose.digest == ""


def test_the_process_is_left_as_it_was(
    pixels: training.Pixels, parts: tuple, settings: Settings, network: Callable
) -> None:
    before = torch.get_rng_state(), torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    handler = signal.getsignal(signal.SIGINT)
    training.fit(network(), pixels, *parts, replace(settings, epochs=1))
    assert torch.equal(before[0], torch.get_rng_state())
    assert before[1:] == (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled())
    assert signal.getsignal(signal.SIGINT) == handler


def test_silence(
    pixels: training.Pixels,
    parts: tuple,
    capfd: pytest.CaptureFixture[str],
    settings: Settings,
    network: Callable,
) -> None:
    training.fit(network(), pixels, *parts, replace(settings, epochs=1))
    assert capfd.readouterr() == ("", "")


def test_progress_counts_batches(pixels: training.Pixels, parts: tuple, settings: Settings, network: Callable) -> None:
    told: list = []
    batches = -(-len(parts[0]) // 8)

    def stage(name: str, steps: int):
        told.append((name, steps))
        return lambda: told.append("tick")

    training.fit(network(), pixels, *parts, settings, name="tiny", progress=stage)
    assert told == [("tiny: training", 3 * batches), *["tick"] * (3 * batches)]


def test_faces_outside_the_parts_are_never_opened(
    faces: Dataset, parts: tuple, tmp_path: Path, settings: Settings, network: Callable
) -> None:
    def closed() -> np.ndarray:
        raise AssertionError("a test face was opened")

    inside = set(np.concatenate(parts).tolist())
    guarded = [s if i in inside else replace(s, source=closed) for i, s in enumerate(faces.samples)]
    guarded_faces = replace(faces, samples=tuple(guarded))
    open_run = training.fit(network(), faces, *parts, settings, folder=tmp_path / "a")
    shut_run = training.fit(network(), guarded_faces, *parts, settings, folder=tmp_path / "b")
    assert open_run.digest == shut_run.digest


def test_pixels_outside_the_parts_change_nothing(
    faces: Dataset,
    pixels: training.Pixels,
    parts: tuple,
    tmp_path: Path,
    settings: Settings,
    network: Callable,
) -> None:
    outside = [replace(s, source=lambda: np.zeros((32, 32, 3), np.uint8)) for s in faces.samples[48:]]
    other = training.read(replace(faces, samples=(*faces.samples[:48], *outside)), 32)
    assert not other.images([50]).equal(pixels.images([50]))
    digests = {
        training.fit(network(), p, *parts, settings, folder=tmp_path / str(i)).digest
        for i, p in enumerate((pixels, other))
    }
    assert len(digests) == 1


def test_early_stopping_waits_for_patience(
    pixels: training.Pixels, parts: tuple, tmp_path: Path, settings: Settings, network: Callable
) -> None:
    def unlearn(model: nn.Module, batch: training.Batch) -> torch.Tensor:
        return -training.cross_entropy(model, batch)

    changed = replace(settings, epochs=9, patience=2)
    fitted = training.fit(network(), pixels, *parts, changed, loss=unlearn, folder=tmp_path)
    assert len(fitted.log) == fitted.epoch + 2 < 9


def test_progress_chooses_accuracy_then_loss() -> None:
    progress = loop.Progress("", 8)
    accuracies, losses = [0.5, 0.7, 0.7, 0.7, 0.6], [1.0, 0.9, 0.8, 0.8, 0.1]
    better = [
        progress.enter({"epoch": i, "validation_accuracy": a, "validation_loss": v})
        for i, (a, v) in enumerate(zip(accuracies, losses, strict=True), start=1)
    ]
    assert better == [True, True, True, False, False]
    assert progress.best["epoch"] == 3
    assert progress.finished(Settings(size=32, epochs=9, patience=2))
    assert not progress.finished(Settings(size=32, epochs=9, patience=3))
    assert progress.finished(Settings(size=32, epochs=5))


def test_the_loss_is_an_argument_and_sees_the_batch(
    pixels: training.Pixels, parts: tuple, settings: Settings, network: Callable
) -> None:
    seen: list[training.Batch] = []

    def guided(model: nn.Module, batch: training.Batch) -> torch.Tensor:
        seen.append(batch)
        return training.classification(model(batch.images), batch) + 0 * batch.landmarks.nansum()

    train = parts[0][2:]
    changed = replace(settings, epochs=1, class_weights=True)
    training.fit(network(), pixels, train, parts[1], changed, loss=guided)
    index = torch.cat([b.index for b in seen]).tolist()
    assert sorted(index) == sorted(train.tolist())
    labels = torch.cat([b.labels for b in seen])
    assert labels.tolist() == pixels.labels[index].tolist()
    shares = 34 / 6 / np.bincount(pixels.labels[train])
    assert all(torch.equal(b.class_weights, torch.tensor(shares).float()) for b in seen)
    assert len(set(shares)) > 1
    assert seen[0].landmarks.shape == (8, 68, 2)
    assert seen[0].label_smoothing == 0.05


def test_loss_nan_names_epoch_and_batch_and_keeps_the_last_good_epoch(
    pixels: training.Pixels, parts: tuple, tmp_path: Path, settings: Settings, network: Callable
) -> None:
    seen = []

    def breaking(model: nn.Module, batch: training.Batch) -> torch.Tensor:
        seen.append(1)
        value = training.cross_entropy(model, batch)
        return value * float("nan") if len(seen) == 7 else value

    batches = -(-len(parts[0]) // 8)
    where = f"epoch {6 // batches + 1}, batch {6 % batches + 1}"
    with pytest.raises(TrainingError, match=rf"^tiny: the loss is nan in {where}; the last good epoch is kept"):
        training.fit(network(), pixels, *parts, settings, loss=breaking, name="tiny", folder=tmp_path)
    state, facts = training.read_weights(tmp_path / "tiny.best.safetensors")
    assert facts["epoch"] == 1
    assert all(torch.isfinite(t).all() for t in state.values())


def test_validation_loss_nan(pixels: training.Pixels, parts: tuple, settings: Settings, network: Callable) -> None:
    class Odd(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = network()

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.inner(images) * (1 if self.training else float("nan"))

    with pytest.raises(TrainingError, match=r"^network: the validation loss is nan in epoch 1"):
        training.fit(Odd(), pixels, *parts, settings)


def test_out_of_memory_halves_the_batch_and_says_so(
    pixels: training.Pixels, parts: tuple, settings: Settings, network: Callable
) -> None:
    def hungry(model: nn.Module, batch: training.Batch) -> torch.Tensor:
        if len(batch.images) > 4:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return training.cross_entropy(model, batch)

    fitted = training.fit(network(), pixels, *parts, settings, loss=hungry)
    assert fitted.batch == 4
    assert fitted.remarks == ("memory ran out with 8 faces in a batch; trained with 4",)
    small = training.fit(network(), pixels, *parts, replace(settings, batch=4), loss=hungry)
    assert all(torch.equal(fitted.state[name], small.state[name]) for name in small.state)


def test_out_of_memory_with_the_smallest_batch(
    pixels: training.Pixels, parts: tuple, settings: Settings, network: Callable
) -> None:
    def hungry(model: nn.Module, batch: training.Batch) -> torch.Tensor:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")

    told = r"^network: out of memory with 4 faces of 32 px in a batch; use smaller faces or a smaller network$"
    with pytest.raises(TrainingError, match=told):
        training.fit(network(), pixels, *parts, settings, loss=hungry)


def test_other_errors_pass_through(
    pixels: training.Pixels, parts: tuple, settings: Settings, network: Callable
) -> None:
    def wrong(model: nn.Module, batch: training.Batch) -> torch.Tensor:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        training.fit(network(), pixels, *parts, settings, loss=wrong)


def test_bf16_falls_back_where_the_processor_has_none(
    pixels: training.Pixels,
    parts: tuple,
    monkeypatch: pytest.MonkeyPatch,
    settings: Settings,
    network: Callable,
) -> None:
    monkeypatch.setattr(training.settings, "_bf16", lambda device: False)
    fitted = training.fit(network(), pixels, *parts, replace(settings, epochs=1, precision="bf16"))
    assert fitted.precision == "32"
    assert fitted.remarks == ("bf16 was asked for; this cpu has no bf16 instructions",)


def test_bf16_trains_in_bf16(
    pixels: training.Pixels,
    parts: tuple,
    monkeypatch: pytest.MonkeyPatch,
    settings: Settings,
    network: Callable,
) -> None:
    monkeypatch.setattr(training.settings, "_bf16", lambda device: True)
    kinds = set()

    def noting(model: nn.Module, batch: training.Batch) -> torch.Tensor:
        logits = model(batch.images)
        kinds.add(logits.dtype)
        return training.classification(logits, batch)

    changed = replace(settings, epochs=1, precision="bf16")
    fitted = training.fit(network(), pixels, *parts, changed, loss=noting)
    assert kinds == {torch.bfloat16}
    assert {t.dtype for n, t in fitted.state.items() if "tracked" not in n} == {torch.float32}


def test_refusals(pixels: training.Pixels, parts: tuple, faces: Dataset, settings: Settings, network: Callable) -> None:
    train, held = parts
    with pytest.raises(InputError, match=r"^network: subject '.+' is in the training and in the validation part$"):
        training.fit(network(), pixels, train, [*held, train[0]], settings)
    with pytest.raises(InputError, match=r"^network: 39 training and 0 validation faces are too few$"):
        training.fit(network(), pixels, range(39), [], settings)
    no_fear = [i for i in train if faces.samples[i].expression != "fear"]
    with pytest.raises(InputError, match=r"^network: no training face shows fear; leave it out with --expressions$"):
        training.fit(network(), pixels, no_fear, held, settings)
    one = replace(pixels, classes=("anger",), labels=np.zeros_like(pixels.labels))
    with pytest.raises(InputError, match=r"^network: at least two expressions are needed to train; there is anger$"):
        training.fit(network(), one, train, held, settings)
