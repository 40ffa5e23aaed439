"""Controls of guided training: which map a face gets, its own or, on purpose, another."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from torch import Tensor

from xfer.guidance.atlas import Atlas
from xfer.registry import Registry

if TYPE_CHECKING:
    from xfer.guidance.settings import Guide

Paint: TypeAlias = Callable[[Tensor, Tensor, int, int], Tensor]
"""``(points (face, 68, 2) in px of the canvas, labels (face,), height, width) -> maps (face, height, width)``, new and
each from 0 to 1. What it gives faces without landmarks, and of classes without Action Units, is not used."""


@dataclass(frozen=True)
class Control:
    """A control and what it declares.

    Attributes
    ----------
    name : str
    function : callable
        ``(guide, atlas) -> paint``, see `Paint`.
    title : str
        Which map a face gets, in words.
    answers : str
        The question that the difference between ``au`` and it answers.
    """

    name: str
    function: Callable[["Guide", Atlas], Any]
    title: str
    answers: str


CONTROLS: Registry[Control] = Registry("control", "xfer.guidance.controls", Control)
