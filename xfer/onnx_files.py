"""ONNX files from strangers: looked at before they are run, and never followed out of their folder."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from xfer.errors import InputError

if TYPE_CHECKING:
    import onnx

LARGEST = 2**31 - 1
"""Bytes of a file together with its external data; protobuf itself takes no more."""

DOMAINS = ("", "ai.onnx", "ai.onnx.ml", "com.microsoft")
"""Whose operators onnxruntime brings along."""


@dataclass(frozen=True)
class Opened:
    """A network that can be run.

    Attributes
    ----------
    session : onnxruntime.InferenceSession
        On the CPU.
    metadata : dict of str to str
        What the file says about itself.
    makers : dict of str to str
        For the name of every value the operator that makes it, and the name of its first input:
        ``{"p": ("Softmax", "logits")}``.
    digest : str
        The sha256 (hex) of the file, with its external data behind it where it has any.
    parameters : int
        How many floating numbers it holds.
    """

    session: Any
    metadata: dict[str, str]
    makers: dict[str, tuple[str, str]]
    digest: str
    parameters: int


def open_network(path: Path, *, threads: int = 1) -> Opened:
    """Look at a file, and make a session of it if nothing is wrong with it.

    Parameters
    ----------
    path : Path
    threads : int
        Of the CPU.

    Raises
    ------
    InputError
        If the file is missing, larger than 2.1 GB, cut off or no ONNX; asks for custom operators or an opset that is
        not known here; has external data that are missing, cut off or outside its folder, or weights that are NaN; or
        if onnxruntime refuses it.
    """
    import onnxruntime

    model = _read(path)
    _check_operators(path, model)
    _check_weights(path, model)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # every state of onnxruntime is a class of its own
        why = first_line(error, f"Load model from {path} failed:")
        raise InputError(f"{path}: onnxruntime {onnxruntime.__version__} cannot run it ({why})") from error
    makers = {name: (node.op_type, next(iter(node.input), "")) for node in model.graph.node for name in node.output}
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    return Opened(session, metadata, makers, _digest(path, model), _parameters(model))


def first_line(error: BaseException, known: str = "") -> str:
    r"""The beginning of what an error says, without what is known already.

    >>> first_line(ValueError("no such layer\nat 0x7f"))
    'no such layer'
    """
    return next(iter(str(error).replace(known, "").strip().splitlines()), type(error).__name__)[:200]


def _read(path: Path) -> "onnx.ModelProto":
    """The file as it is, without its external data."""
    import onnx
    from google.protobuf.message import DecodeError

    if not path.is_file():
        raise InputError(f"{path}: no such file; give a network in ONNX")
    _check_size(path, path.stat().st_size)
    try:
        model = onnx.ModelProto.FromString(path.read_bytes())
    except DecodeError:
        raise InputError(f"{path}: cannot be read as ONNX (cut off, or of another kind)") from None
    if not model.graph.node:
        raise InputError(f"{path}: cannot be read as ONNX (there is no graph in it)")
    return model


def _digest(path: Path, model: "onnx.ModelProto") -> str:
    from onnx import TensorProto

    outside = {_external(path, each) for each in _tensors(model) if each.data_location == TensorProto.EXTERNAL}
    found = sha256()
    for file in (path, *sorted(outside)):
        with file.open("rb") as stream:
            for part in iter(lambda: stream.read(1 << 20), b""):
                found.update(part)
    return found.hexdigest()


def _parameters(model: "onnx.ModelProto") -> int:
    return sum(prod(each.dims) for each in model.graph.initializer if each.data_type in _floats())


def _floats() -> tuple[int, ...]:
    from onnx import TensorProto

    return TensorProto.FLOAT, TensorProto.DOUBLE, TensorProto.FLOAT16, TensorProto.BFLOAT16


def _check_size(path: Path, size: int) -> None:
    if size > LARGEST:
        raise InputError(
            f"{path}: holds {size / 1e9:.1f} GB with its external data; at most {LARGEST / 1e9:.1f} GB are read"
        )


def _check_operators(path: Path, model: "onnx.ModelProto") -> None:
    import onnx

    newest = onnx.defs.onnx_opset_version()
    for known in model.opset_import:
        if known.domain in DOMAINS[:2] and known.version > newest:
            raise InputError(
                f"{path}: is written for opset {known.version}; the installed onnx {onnx.__version__} knows {newest} "
                "at most: export it again for an older opset, or upgrade onnx and onnxruntime"
            )
    own = {(function.domain, function.name) for function in model.functions}
    foreign = {
        f"{node.domain}.{node.op_type}"
        for node in chain(_nodes(model.graph.node), *(_nodes(function.node) for function in model.functions))
        if node.domain not in DOMAINS and (node.domain, node.op_type) not in own
    }
    if foreign:
        raise InputError(
            f"{path}: needs custom operators ({', '.join(sorted(foreign)[:5])}), and no code is loaded for a file: "
            "export it with operators of ONNX only"
        )


def _check_weights(path: Path, model: "onnx.ModelProto") -> None:
    """Refuse external data that must not or cannot be read, and values that are NaN.

    Infinite values are allowed: masks of attention hold them.
    """
    from onnx import TensorProto, checker, numpy_helper

    size, seen = path.stat().st_size, set()
    for tensor in _tensors(model):
        if tensor.data_location == TensorProto.EXTERNAL:
            file = _external(path, tensor)
            size += 0 if file in seen else file.stat().st_size
            seen.add(file)
            _check_size(path, size)
        if tensor.data_type not in _floats():
            continue
        try:
            values = np.asarray(numpy_helper.to_array(tensor, str(path.parent)))
        except (ValueError, TypeError, OSError, RuntimeError, checker.ValidationError) as error:
            raise InputError(f"{path}: tensor {tensor.name!r} is damaged ({first_line(error)})") from error
        if wrong := int(np.isnan(values).sum()):
            raise InputError(
                f"{path}: {wrong} of {values.size} values of {tensor.name!r} are NaN: its training diverged or the "
                "file is damaged"
            )


def _external(path: Path, tensor: "onnx.TensorProto") -> Path:
    """The file that holds a tensor's values."""
    told = {entry.key: entry.value for entry in tensor.external_data}
    location, folder = told.get("location", ""), path.parent.resolve()
    file = (folder / location).resolve()
    if not location or not file.is_relative_to(folder):
        raise InputError(
            f"{path}: tensor {tensor.name!r} has its values in {location!r}, outside the file's folder, which is never "
            "left: export it as one file"
        )
    if not file.is_file():
        raise InputError(f"{path}: its external data {location!r} is missing; put it beside the file")
    try:
        end = int(told.get("offset") or 0) + int(told.get("length") or 0)
    except ValueError:
        raise InputError(f"{path}: tensor {tensor.name!r} is damaged (offset or length is no number)") from None
    if end > (there := file.stat().st_size):
        raise InputError(f"{path}: its external data {location!r} is cut off: {there:,} of at least {end:,} bytes")
    return file


def _nodes(nodes: Iterable["onnx.NodeProto"]) -> Iterator["onnx.NodeProto"]:
    """Nodes, with those of the graphs inside them."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for graph in (attribute.g, *attribute.graphs):
                yield from _nodes(graph.node)


def _tensors(model: "onnx.ModelProto") -> Iterator["onnx.TensorProto"]:
    """Every tensor of a file, wherever it stands."""
    nodes = list(chain(_nodes(model.graph.node), *(_nodes(function.node) for function in model.functions)))
    attributes = [attribute for node in nodes for attribute in node.attribute]
    graphs = [model.graph, *(graph for each in attributes for graph in (each.g, *each.graphs))]
    for graph in graphs:
        yield from graph.initializer
        yield from chain(*((each.values, each.indices) for each in graph.sparse_initializer))
    for each in attributes:
        yield from (each.t, *each.tensors)
        yield from chain(*((part.values, part.indices) for part in (each.sparse_tensor, *each.sparse_tensors)))
