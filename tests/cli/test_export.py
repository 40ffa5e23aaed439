"""``xfer export`` as a user meets it."""

from collections.abc import Callable
from pathlib import Path

from xfer import models
from xfer.models.onnx import OnnxNetwork
from xfer.training import write_weights

Run = Callable[..., tuple[int, str, str]]
Check = Callable[..., None]


def test_a_network_goes_out(run: Run, tmp_path: Path) -> None:
    write_weights(tmp_path / "song.safetensors", models.build("songnet", 2, size=48).state_dict())
    words = ("--size", "48", "--mean", "0.5", "--std", "0.2,0.3,0.4", "--labels", "happy, sad")
    code, out, err = run("export", "songnet=song.safetensors", "--onnx", "song.onnx", *words)
    assert (code, err) == (0, "")
    assert out.startswith("song.onnx: faces (face, 3, 48, 48) -> logits (face, 2); opset ")
    facts = OnnxNetwork(tmp_path / "song.onnx").facts
    assert (facts.mean, facts.std, facts.classes) == ((0.5,) * 3, (0.2, 0.3, 0.4), ("happiness", "sadness"))


def test_bad_input_gets_one_line(run: Run, refused: Check) -> None:
    words = ("export", "songnet=song.safetensors", "--onnx", "song.onnx")
    refused(run(*words), "song.safetensors: no such file")
    refused(run(*words, "--mean", "0.5;0.5"), "--mean must be one number, or three with commas; got '0.5;0.5'")
    refused(run("export", "songnet", "--onnx", "song.onnx"), "model 'songnet' has no weights of its own; write ")
    refused(run("export", "onnx:song.onnx", "--onnx", "song.onnx"), "onnx:song.onnx: is in ONNX already")
    refused(run("compare", "--models", "onnx:song.onnx"), "song.onnx: no such file; give a network in ONNX")


def test_help_is_shown(run: Run) -> None:
    code, out, err = run("export", "--help")
    assert (code, err) == (0, "")
    assert "STUDY_DIR#NAME/FOLD" in out
