"""Weights in files: strict, safe, told apart."""

import hashlib
import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from xfer.errors import InputError
from xfer.models import build
from xfer.models.weights import check, digest, expected_shapes, read, write


@pytest.fixture
def song() -> nn.Module:
    return build("songnet", 6, size=64, seed=1)


@pytest.fixture
def file(song: nn.Module, tmp_path: Path) -> Path:
    write(song, tmp_path / "song.safetensors")
    return tmp_path / "song.safetensors"


def refusal(path: Path, model: nn.Module) -> str:
    before = digest(model)
    with pytest.raises(InputError) as error:
        read(model, path, "songnet")
    assert digest(model) == before
    text = str(error.value)
    assert text.startswith(f"--weights songnet={path}: ")
    assert "\n" not in text
    return text.removeprefix(f"--weights songnet={path}: ")


def test_what_was_written_is_read(song: nn.Module, file: Path) -> None:
    other = build("songnet", 6, size=64, seed=2)
    assert digest(other) != digest(song)
    read(other, file, "songnet")
    assert digest(other) == digest(song)
    assert [p.name for p in file.parent.iterdir()] == [file.name]


def test_the_same_weights_are_the_same_bytes(song: nn.Module, file: Path, tmp_path: Path) -> None:
    write(build("songnet", 6, size=64, seed=1), tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == file.read_bytes()


def test_the_digest_is_a_hash_over_sorted_tensors() -> None:
    state = {"b": torch.tensor([[1.5, -2.0]]), "a": torch.tensor(3)}
    total = hashlib.sha256()
    for name, kind, values in (("a", "torch.int64", state["a"]), ("b", "torch.float32", state["b"])):
        total.update(json.dumps([name, kind, list(values.shape)]).encode() + values.numpy().tobytes())
    assert digest(state) == total.hexdigest() == digest(dict(reversed(state.items())))


@pytest.mark.parametrize(
    "other",
    [
        {"b": torch.zeros(2)},
        {"a": torch.zeros(1, 2)},
        {"a": torch.zeros(2, dtype=torch.bfloat16)},
        {"a": torch.tensor([0.0, -0.0])},
        {},
    ],
)
def test_the_digest_tells_names_shapes_kinds_and_bits(other: dict[str, torch.Tensor]) -> None:
    assert digest(other) != digest({"a": torch.zeros(2)})


def test_the_digest_does_not_see_strides() -> None:
    values = torch.rand(3, 4)
    assert digest({"a": values.t()}) == digest({"a": values.t().contiguous()})


def test_weights_of_another_size_name_the_tensor(song: nn.Module, tmp_path: Path) -> None:
    write(build("songnet", 7, size=96), tmp_path / "f")
    assert refusal(tmp_path / "f", song) == (
        "the weights are for another network: tensors 2 of another shape ('classifier.0.weight' 7 x 1152 instead of "
        "6 x 512, 'classifier.0.bias' 7 instead of 6)"
    )


def test_weights_of_another_network_name_some_tensors(song: nn.Module, tmp_path: Path) -> None:
    write(build("weinet", 6, size=48), tmp_path / "f")
    text = refusal(tmp_path / "f", song)
    assert text.startswith(
        "the weights are for another network: tensors 2 missing ('features.10.weight', 'features.10.bias'), 7 of "
        "another shape ('features.0.weight' 32 x 3 x 7 x 7 instead of 64 x 3 x 5 x 5, "
    )
    write(nn.Sequential(song, nn.Linear(2, 2)), tmp_path / "f")
    assert refusal(tmp_path / "f", song) == (
        "the weights are for another network: tensors 10 missing ('features.0.weight', 'features.0.bias', ...), 12 "
        "unknown ('0.classifier.0.bias', '0.classifier.0.weight', ...)"
    )


def test_a_file_cut_off_is_told(song: nn.Module, file: Path) -> None:
    whole = file.read_bytes()
    for length in (0, 5, 8, 200, len(whole) - 1):
        file.write_bytes(whole[:length])
        assert refusal(file, song).startswith("cut off or no safetensors file (")


class Harm:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return exec, ("raise SystemExit('the pickle ran')",)


@pytest.mark.parametrize("name", ["f.pt", "f.safetensors"])
def test_a_pickle_is_refused_unopened_whatever_its_name(song: nn.Module, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    expected = "this is a pickle, which can run any code when opened; save the weights with safetensors.torch.save_file"
    path.write_bytes(pickle.dumps(Harm()))
    assert refusal(path, song) == expected
    torch.save({"a": Harm()}, path)
    assert refusal(path, song) == expected


def test_a_missing_file_is_told(song: nn.Module, tmp_path: Path) -> None:
    assert refusal(tmp_path / "none", song) == "there is no such file"
    assert refusal(tmp_path, song) == "there is no such file"


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_refused(song: nn.Module, file: Path, value: float) -> None:
    state = load_file(file)
    state["features.3.bias"][2] = value
    save_file(state, file)
    assert refusal(file, song) == "tensor 'features.3.bias' holds numbers that are not finite"


def test_the_header_is_enough_to_check(file: Path) -> None:
    check(file, "songnet", expected_shapes("songnet", 6, 64))
    with pytest.raises(InputError, match="of another shape"):
        check(file, "songnet", expected_shapes("songnet", 6, 96))
