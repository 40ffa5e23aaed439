"""Weights on disk."""

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from xfer import training
from xfer.errors import InputError


def test_there_and_back(network: Callable, tmp_path: Path) -> None:
    state = network().to(memory_format=torch.channels_last).state_dict()
    path = tmp_path / "w.safetensors"
    digests = {training.write_weights(path, state, {"epoch": 3, "key": "abc"}) for _ in range(8)}
    assert digests == {training.digest(path)}
    found, facts = training.read_weights(path)
    assert facts == {"epoch": 3, "format": 1, "key": "abc"}
    assert all(torch.equal(found[name], tensor) for name, tensor in state.items())
    training.load_into(network(), found, "w")
    assert [p.name for p in tmp_path.iterdir()] == ["w.safetensors"]


def test_pickles_and_halves_are_refused(network: Callable, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    with pytest.raises(InputError, match="no such file"):
        training.read_weights(path)
    training.write_weights(path, network().state_dict())
    whole = path.read_bytes()
    for wrong in (whole[: len(whole) // 2], pickle.dumps({"a": 1}), b""):
        path.write_bytes(wrong)
        with pytest.raises(InputError, match=r"w\.safetensors: not a whole safetensors file .*; pickles are not read$"):
            training.read_weights(path)


def test_weights_of_another_network(network: Callable) -> None:
    model = network()
    state = model.state_dict()
    before = {name: tensor.clone() for name, tensor in state.items()}
    other = dict(state, extra=torch.ones(1))
    del other["0.bias"]
    other["6.weight"] = torch.ones(2, 128)
    told = (
        "w: weights of another network: 0.bias is missing; extra is not of this network; "
        "6.weight is (2, 128), not (6, 128)"
    )
    with pytest.raises(InputError) as caught:
        training.load_into(model, other, "w")
    assert str(caught.value) == told
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_a_failed_write_leaves_the_old_file(network: Callable, tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    training.write_weights(path, network().state_dict())
    before = path.read_bytes()

    def fail(aside: Path) -> None:
        aside.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        training.weights.put(path, fail)
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1
