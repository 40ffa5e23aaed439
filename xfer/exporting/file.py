"""The file: traced, compared with torch, and only then put in its place."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from xfer.errors import InputError
from xfer.explainers.state import still
from xfer.exporting.graph import EXPLAINER, heatmap_graph
from xfer.models.facts import Facts
from xfer.onnx_files import first_line, open_network
from xfer.training.weights import put

TOLERANCE = 1e-4
"""How far onnxruntime may be from torch, in units of the largest value, or of 1 for logits smaller than that."""

INPUT, OUTPUTS = "faces", ("logits", "heatmap")
_TRIED = (1, 3)
"""Batches that the file is compared on."""


@dataclass(frozen=True)
class Exported:
    """A file that was written.

    Attributes
    ----------
    file : Path
    facts : Facts
        As its metadata hold them, under the key ``xfer``.
    opset : int
    grid : tuple of 2 int
        Rows and columns of its heatmaps; () without.
    difference : float
        The largest between onnxruntime and torch, in the units of `TOLERANCE`.
    """

    file: Path
    facts: Facts
    opset: int
    grid: tuple[int, ...]
    difference: float


def write(name: str, module: nn.Module, facts: Facts, target: Path, *, with_heatmap: bool, **more: str) -> Exported:
    """Trace a network, write it aside, compare it with torch, move it in.

    Parameters
    ----------
    name : str
        For messages.
    module : nn.Module
        In float32 on the CPU; left as it was.
    facts : Facts
        Written into the file's metadata, with the opset and `more`.
    target : Path
    with_heatmap : bool
        A second output ``heatmap`` (face, class, gy, gx), see `heatmap_graph`, at the facts' layer.

    Raises
    ------
    InputError
        If the network cannot be traced, or the file would give other numbers than torch.
    """
    with still(module):
        return _write(name, module, facts, target, with_heatmap, more)


def _write(
    name: str, module: nn.Module, facts: Facts, target: Path, with_heatmap: bool, more: dict[str, str]
) -> Exported:
    with _refusals(name):
        graph = heatmap_graph(module, facts.layer, facts.size) if with_heatmap else module
        program = torch.onnx.export(
            graph,
            (torch.zeros(2, 3, facts.size, facts.size),),
            dynamo=True,
            verbose=False,
            input_names=[INPUT],
            output_names=OUTPUTS[: 1 + with_heatmap],
            dynamic_shapes=({0: torch.export.Dim("face")},),
        )
    assert program is not None
    opset = program.model.opset_imports[""]
    explainer = {"explainer": EXPLAINER} if with_heatmap else {}
    program.model.metadata_props.update(facts.told(opset=opset, **explainer, **more))
    found: list[tuple[tuple[int, ...], float]] = []

    def save(aside: Path) -> None:
        program.save(aside, external_data=False)
        found.append(_compared(name, aside, graph, facts.size))

    put(target, save)
    return Exported(target, facts, opset, *found[0])


def _compared(name: str, file: Path, graph: nn.Module, size: int) -> tuple[tuple[int, ...], float]:
    """The heatmaps' grid, and how far a file is from torch.

    Raises
    ------
    InputError
        If it is farther than `TOLERANCE`.
    """
    session = open_network(file, threads=torch.get_num_threads()).session
    generator = torch.Generator().manual_seed(0)
    grid: tuple[int, ...] = ()
    worst = 0.0
    for faces in (torch.rand(n, 3, size, size, generator=generator) for n in _TRIED):
        with torch.no_grad():
            wanted = graph(faces)
        wanted = wanted if isinstance(wanted, tuple) else (wanted,)
        given = [torch.from_numpy(each) for each in session.run(None, {INPUT: faces.numpy()})]
        grid = tuple(given[1].shape[2:]) if len(given) > 1 else ()
        for output, here, there in zip(OUTPUTS, wanted, given, strict=False):
            off = _difference(here, there, 1.0 if output == OUTPUTS[0] else 0.0)
            if not off <= TOLERANCE:
                raise InputError(
                    f"{name}: is not written: its output {output!r} is off by {off:.2g} of the largest value"
                )
            worst = max(worst, off)
    return grid, worst


def _difference(here: Tensor, there: Tensor, unit: float) -> float:
    """The largest difference over the largest value, or over `unit` where that is larger; 0 where both are 0."""
    if here.shape != there.shape:
        return float("inf")
    off, largest = float((here - there).abs().max()), max(float(here.abs().max()), unit)
    return off / largest if largest else off


@contextmanager
def _refusals(name: str) -> Iterator[None]:
    """One line in place of what torch says about networks that it cannot trace; its warnings are left out."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except InputError:
        raise
    except Exception as error:  # tracing runs the network's own code, which may raise anything
        root: BaseException = error
        while root.__cause__ is not None:
            root = root.__cause__
        raise InputError(f"{name}: cannot be traced for ONNX ({type(root).__name__}: {first_line(root)})") from error
