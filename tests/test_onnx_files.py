"""Files that must not be opened, each with its one line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from xfer import onnx_files
from xfer.errors import InputError
from xfer.onnx_files import open_network

OnnxFile = Callable[..., Path]
TABLE = np.ones((3, 4), np.float32).tobytes()


def refused(path: Path, message: str) -> None:
    with pytest.raises(InputError) as caught:
        open_network(path)
    assert str(caught.value) == f"{path}: {message}"


def outside(location: str, **more: int) -> Callable[[onnx.ModelProto], None]:
    """A change that leaves the weights in another file."""

    def change(model: onnx.ModelProto) -> None:
        (tensor,) = model.graph.initializer
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in {"location": location, **more}.items():
            entry = tensor.external_data.add()
            entry.key, entry.value = key, str(value)

    return change


def test_a_sound_file_is_opened(onnx_file: OnnxFile) -> None:
    opened = open_network(onnx_file(change=lambda model: helper.set_model_props(model, {"a": "b"})))
    (logits,) = opened.session.run(None, {"faces": np.ones((2, 3, 8, 8), np.float32)})
    np.testing.assert_allclose(logits, [[1.2, 1.5, 1.8, 2.1]] * 2, rtol=1e-6)
    assert opened.metadata == {"a": "b"}
    assert opened.makers["v0"] == ("MatMul", "means")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    refused(tmp_path / "net.onnx", "no such file; give a network in ONNX")
    refused(tmp_path, "no such file; give a network in ONNX")


def test_a_file_of_another_kind(tmp_path: Path) -> None:
    path = tmp_path / "net.onnx"
    path.write_text("hello")
    refused(path, "cannot be read as ONNX (cut off, or of another kind)")
    path.write_bytes(b"")
    refused(path, "cannot be read as ONNX (there is no graph in it)")


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_a_file_that_is_cut_off(onnx_file: OnnxFile, share: float) -> None:
    path = onnx_file()
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    refused(path, "cannot be read as ONNX (cut off, or of another kind)")


def test_a_file_that_is_too_large(onnx_file: OnnxFile, monkeypatch: pytest.MonkeyPatch) -> None:
    path = onnx_file()
    monkeypatch.setattr(onnx_files, "LARGEST", 100)
    refused(path, "holds 0.0 GB with its external data; at most 0.0 GB are read")


def test_external_data_count_too(onnx_file: OnnxFile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = onnx_file(change=outside("table.bin"))
    (tmp_path / "table.bin").write_bytes(TABLE)
    open_network(path)
    monkeypatch.setattr(onnx_files, "LARGEST", path.stat().st_size + len(TABLE) - 1)
    refused(path, "holds 0.0 GB with its external data; at most 0.0 GB are read")


def test_an_opset_of_the_future(onnx_file: OnnxFile) -> None:
    refused(
        onnx_file(opset=999),
        f"is written for opset 999; the installed onnx {onnx.__version__} knows {onnx.defs.onnx_opset_version()} at "
        "most: export it again for an older opset, or upgrade onnx and onnxruntime",
    )


def test_custom_operators(onnx_file: OnnxFile) -> None:
    def change(model: onnx.ModelProto) -> None:
        branch = helper.make_graph([helper.make_node("Secret", ["x"], ["y"], domain="com.evil")], "b", [], [])
        model.graph.node.append(helper.make_node("Loop", ["v0"], ["w"], body=branch))
        model.graph.node.append(helper.make_node("Nms", ["v0"], ["u"], domain="mmdeploy"))

    refused(
        onnx_file(change=change),
        "needs custom operators (com.evil.Secret, mmdeploy.Nms), and no code is loaded for a file: export it with "
        "operators of ONNX only",
    )


def test_functions_of_the_file_itself_are_no_custom_operators(onnx_file: OnnxFile) -> None:
    def change(model: onnx.ModelProto) -> None:
        known = [helper.make_opsetid("", 17)]
        double = helper.make_function(
            "own", "Double", ["a"], ["b"], [helper.make_node("Add", ["a", "a"], ["b"])], known
        )
        model.functions.append(double)
        model.opset_import.append(helper.make_opsetid("own", 1))
        model.graph.node.append(helper.make_node("Double", ["v0"], ["twice"], domain="own"))
        model.graph.output[0].name = "twice"

    opened = open_network(onnx_file(change=change))
    (logits,) = opened.session.run(None, {"faces": np.ones((1, 3, 8, 8), np.float32)})
    np.testing.assert_allclose(logits, [[2.4, 3.0, 3.6, 4.2]], rtol=1e-6)


def test_what_onnxruntime_refuses(onnx_file: OnnxFile) -> None:
    with pytest.raises(InputError) as caught:
        open_network(onnx_file(tail=["Unheard"]))
    start = f"net.onnx: onnxruntime {onnxruntime.__version__} cannot run it ([ONNXRuntimeError] : 10 : INVALID_GRAPH : "
    assert start in str(caught.value)
    assert "Unheard" in str(caught.value)
    assert str(caught.value).count("net.onnx") == 1
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("location", ["../table.bin", "/etc/hostname", "sub/../../table.bin", ""])
def test_external_data_outside_the_folder_are_never_read(onnx_file: OnnxFile, tmp_path: Path, location: str) -> None:
    (tmp_path.parent / "table.bin").write_bytes(TABLE)
    refused(
        onnx_file(change=outside(location)),
        f"tensor 'table' has its values in {location!r}, outside the file's folder, which is never left: export it as "
        "one file",
    )


def test_a_link_out_of_the_folder_is_not_followed(onnx_file: OnnxFile, tmp_path: Path) -> None:
    (tmp_path.parent / "linked.bin").write_bytes(TABLE)
    (tmp_path / "table.bin").symlink_to(tmp_path.parent / "linked.bin")
    refused(
        onnx_file(change=outside("table.bin")),
        "tensor 'table' has its values in 'table.bin', outside the file's folder, which is never left: export it as "
        "one file",
    )


def test_external_data_in_an_attribute_are_found_too(onnx_file: OnnxFile) -> None:
    def change(model: onnx.ModelProto) -> None:
        held = onnx.ModelProto()
        held.graph.initializer.append(numpy_helper.from_array(np.ones(2, np.float32), "deep"))
        outside("../deep.bin")(held)
        branch = helper.make_graph(
            [helper.make_node("Constant", [], ["y"], value=held.graph.initializer[0])], "b", [], []
        )
        model.graph.node.append(helper.make_node("If", ["v0"], ["w"], then_branch=branch, else_branch=branch))

    with pytest.raises(InputError, match=r"tensor 'deep' has its values in '\.\./deep\.bin', outside"):
        open_network(onnx_file(change=change))


def test_external_data_that_are_missing_or_cut_off(onnx_file: OnnxFile, tmp_path: Path) -> None:
    path = onnx_file(change=outside("table.bin", offset=0, length=48))
    refused(path, "its external data 'table.bin' is missing; put it beside the file")
    (tmp_path / "table.bin").write_bytes(TABLE[:20])
    refused(path, "its external data 'table.bin' is cut off: 20 of at least 48 bytes")
    refused(
        onnx_file(change=outside("table.bin", length="long")),  # type: ignore[arg-type]
        "tensor 'table' is damaged (offset or length is no number)",
    )


def test_memory_is_not_external_data(onnx_file: OnnxFile) -> None:
    """onnxruntime's own tag for data at an address of its process."""
    path = onnx_file(change=outside("*/_ORT_MEM_ADDR_/*", offset=4096, length=48))
    refused(path, "its external data '*/_ORT_MEM_ADDR_/*' is missing; put it beside the file")


def test_weights_that_are_not_numbers(onnx_file: OnnxFile) -> None:
    table = np.ones((3, 4), np.float32)
    table[1, 2:] = np.nan
    refused(
        onnx_file(weights=table),
        "2 of 12 values of 'table' are NaN: its training diverged or the file is damaged",
    )


def test_a_tensor_with_too_few_values(onnx_file: OnnxFile) -> None:
    def change(model: onnx.ModelProto) -> None:
        model.graph.initializer[0].raw_data = TABLE[:12]

    with pytest.raises(InputError, match=r"net\.onnx: tensor 'table' is damaged \(.+\)$"):
        open_network(onnx_file(change=change))


def test_errors_are_cut_to_a_line() -> None:
    errors: list[tuple[Any, str]] = [(ValueError("\n a\nb"), "a"), (ValueError(), "ValueError")]
    assert [onnx_files.first_line(error) for error, _ in errors] == [line for _, line in errors]
