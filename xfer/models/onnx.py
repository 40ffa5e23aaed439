"""``onnx:PATH``: a network from anywhere, in ONNX, whose logits are all that can be had of it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from xfer.errors import InputError, unknown
from xfer.models.facts import Facts, named, triple
from xfer.onnx_files import Opened, first_line, open_network

LAYOUTS = ("NCHW", "NHWC")
COLOURS = ("RGB", "BGR", "grey")
OUTPUTS = ("logits", "probabilities")

LUMA = (0.299, 0.587, 0.114)
"""Grey of red, green and blue, ITU-R BT.601."""

SMALLEST = float(np.finfo(np.float32).tiny)
"""What a probability of 0 is taken for before its logarithm."""

_PASSING = ("Identity", "Cast", "Reshape", "Squeeze", "Flatten")
"""Operators between a softmax and the output that leave the numbers alone."""


class OnnxNetwork(nn.Module):
    """A network in ONNX as a module without parameters: logits on the CPU, and no gradients.

    Where the graph ends in a softmax, logits are the logarithms of the probabilities: they differ from the network's
    own by one number a face, which neither its softmax nor the order of classes notices, but a map of a single logit
    does. A probability of 0 is taken for 1.2e-38.

    Parameters
    ----------
    path : path
        It is never left: external data lie in its folder. Nothing in it is executed but operators of ONNX.
    size : int, optional
        Side of the faces, px, for a network that takes any.
    mean, std : float or 3 floats, optional
        See `Facts`; red first, whatever `colour`.
    classes : sequence of str, optional
        Names in the order of the logits; aliases of expressions are understood.
    any_labels : bool
        Keep names that are no expressions as they are.
    layout : {"NCHW", "NHWC"}, optional
        Told by the file where it names three channels; NCHW where it does not.
    colour : {"RGB", "BGR", "grey"}, optional
        What the network takes: RGB by default, "grey" for one channel.
    outputs : {"logits", "probabilities"}, optional
        Told by the end of the graph.
    threads : int, optional
        Of the CPU; as many as torch has by default.

    What is not given is read from the metadata that `xfer.export` writes. Where there are none: mean 0 and std 1, so
    faces in [0, 1], and classes without names.

    Attributes
    ----------
    facts : Facts
    gradients : bool
        False: methods that ask for gradients refuse it.
    digest : str
    parameter_count : int
        As in `xfer.onnx_files.Opened`.

    Raises
    ------
    InputError
        As `open_network`; if it takes anything but one batch of square faces as float32, gives anything but one row
        of logits a face, gives numbers that are not finite for a grey face, or an argument does not fit.
    """

    gradients = False

    def __init__(
        self,
        path: str | Path,
        *,
        size: int | None = None,
        mean: float | Sequence[float] | None = None,
        std: float | Sequence[float] | None = None,
        classes: Sequence[str] | None = None,
        any_labels: bool = False,
        layout: str | None = None,
        colour: str | None = None,
        outputs: str | None = None,
        threads: int | None = None,
    ) -> None:
        super().__init__()
        _check_words(layout=(layout, LAYOUTS), colour=(colour, COLOURS), outputs=(outputs, OUTPUTS))
        self.path = Path(path)
        opened = open_network(self.path, threads=threads or torch.get_num_threads())
        self.digest, self.parameter_count = opened.digest, opened.parameters
        self._session = opened.session
        self._source, shape = _input(self.path, opened)
        self._output = _output(self.path, opened)
        self._batch = shape[0] if isinstance(shape[0], int) else 0
        self._last = (layout or _layout(shape)) == "NHWC"
        channels, sides = (shape[3], shape[1:3]) if self._last else (shape[1], shape[2:4])
        self._colour = _colour(self.path, channels, colour)
        self._probabilities = (outputs or _kind(opened, self._output)) == "probabilities"
        told = Facts.read(opened.metadata, str(self.path))
        self._size = _fixed(self.path, sides)
        side = _side(self.path, self._size, size, told)
        own = told or Facts(side)
        shift, scale = own.mean if mean is None else triple(mean), own.std if std is None else triple(std)
        count = self(torch.full((1, 3, side, side), 0.5)).shape[1]
        names = own.classes if classes is None else classes
        if names:
            names = named(names, count, any_labels=any_labels)
        self.facts = Facts(side, shift, scale, tuple(names), own.layer)

    def forward(self, images: Tensor) -> Tensor:
        """Logits (face, class) of faces (face, 3, y, x), red first, as `facts` prepares them.

        Raises
        ------
        InputError
            If the faces do not fit, or a logit is not finite.
        """
        fixed = self._size
        if images.ndim != 4 or images.shape[1] != 3 or (fixed and images.shape[2:] != (fixed, fixed)):
            side = fixed or "size"
            raise InputError(f"{self.path}: takes faces (face, 3, {side}, {side}); got {tuple(images.shape)}")
        values = images.detach().to("cpu", torch.float32)
        if self._colour == "BGR":
            values = values.flip(1)
        if self._colour == "grey":
            values = (values * torch.tensor(LUMA)[:, None, None]).sum(1, keepdim=True)
        if self._last:
            values = values.permute(0, 2, 3, 1)
        parts = values.split(self._batch or len(values))
        found = torch.from_numpy(np.concatenate([self._run(part.contiguous().numpy()) for part in parts]))
        logits = self._logs(found) if self._probabilities else found
        if not (sound := logits.isfinite().all(1)).all():
            raise InputError(f"{self.path}: gives logits that are not finite for face {int(sound.int().argmin())}")
        return logits.to(images.device)

    def _run(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """One batch; filled up with its last face where the network takes so many and no fewer."""
        faces = len(values)
        if missing := max(self._batch - faces, 0):
            values = np.concatenate([values, values[-1:].repeat(missing, 0)])
        try:
            (found,) = self._session.run([self._output], {self._source: values})
        except Exception as error:  # every state of onnxruntime is a class of its own
            raise InputError(f"{self.path}: fails on faces of shape {values.shape} ({first_line(error)})") from error
        found = np.asarray(found)
        rows = found.reshape(len(found), -1) if found.ndim and len(found) else found
        if rows.ndim != 2 or len(rows) != len(values) or rows.shape[1] < 2 or max(found.shape[1:]) != rows.shape[1]:
            raise InputError(f"{self.path}: gives {found.shape} for {len(values)} faces; needed is (face, class)")
        return rows[:faces].astype(np.float32)

    def _logs(self, found: Tensor) -> Tensor:
        wrong = (found < 0).any(1) | ((found.sum(1) - 1).abs() > 0.01)
        if wrong.any():
            raise InputError(f"{self.path}: a face's outputs do not add up to 1: they are no probabilities")
        return found.clamp_min(SMALLEST).log()


def _check_words(**given: tuple[str | None, Sequence[str]]) -> None:
    for name, (value, allowed) in given.items():
        if value is not None and value not in allowed:
            raise unknown(name, value, allowed)


def _input(path: Path, opened: Opened) -> tuple[str, list[Any]]:
    """The input's name and its shape: a number, or a name or None where it can be any."""
    inputs = opened.session.get_inputs()
    if len(inputs) != 1 or len(inputs[0].shape) != 4:
        told = ", ".join(f"{each.name} {each.shape}" for each in inputs)
        raise InputError(f"{path}: takes {told}; needed is one input (face, 3, size, size) or (face, size, size, 3)")
    if inputs[0].type != "tensor(float)":
        raise InputError(f"{path}: takes {inputs[0].type}; needed is float32, tensor(float): export it with that input")
    return inputs[0].name, inputs[0].shape


def _output(path: Path, opened: Opened) -> str:
    """The name of the output that holds a row a face; "logits" where there are several."""
    outputs = opened.session.get_outputs()
    rows = [each.name for each in outputs if len(each.shape) == 2]
    names = [each.name for each in outputs if each.name == "logits"] or (
        rows if len(outputs) > 1 else [outputs[0].name]
    )
    if len(names) != 1:
        told = ", ".join(f"{each.name} {each.shape}" for each in outputs)
        raise InputError(f"{path}: gives {told}; needed is one output (face, class), or one of the name 'logits'")
    return names[0]


def _layout(shape: Sequence[Any]) -> str:
    last = shape[3] in (1, 3) and shape[1] not in (1, 3)
    return "NHWC" if last else "NCHW"


def _colour(path: Path, channels: Any, colour: str | None) -> str:
    if channels not in (1, 3) and isinstance(channels, int):
        raise InputError(f"{path}: takes {channels} channels; needed are 3, or 1 for grey")
    grey = channels == 1
    if colour is not None and isinstance(channels, int) and (colour == "grey") != grey:
        raise InputError(f"{path}: takes {channels} channels, which are not {colour}")
    return colour or ("grey" if grey else "RGB")


def _fixed(path: Path, sides: Sequence[Any]) -> int:
    """The side that the graph asks for, 0 for any."""
    known = {side for side in sides if isinstance(side, int)}
    if len(known) > 1:
        raise InputError(f"{path}: takes faces of {sides[0]} x {sides[1]} px; needed are square ones")
    return next(iter(known), 0)


def _side(path: Path, fixed: int, given: int | None, told: Facts | None) -> int:
    side = given or (told.size if told else 0) or fixed
    if fixed and side != fixed:
        raise InputError(f"{path}: takes faces of {fixed} px, not of {side} px")
    if not side:
        raise InputError(f"{path}: takes faces of any size; say which it was trained with, 'size' in px")
    return side


def _kind(opened: Opened, output: str) -> str:
    """Whether the graph ends in a softmax."""
    value = output
    for _ in opened.makers:
        operator, before = opened.makers.get(value, ("", ""))
        if operator not in _PASSING:
            return "probabilities" if operator == "Softmax" else "logits"
        value = before
    return "logits"
