"""Which classes are explained: all, the predicted one, or some of every face's own."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from xfer.errors import InputError, unknown

__all__ = ["WORDS", "Targets", "columns", "read_targets"]

WORDS = ("all", "predicted")
"""What targets can be in words: every class, or the one with the highest logit."""

Targets = str | Tensor
"""A word, or class indices (face, target)."""


def read_targets(targets: Any, faces: int, classes: Sequence[str] | None = None) -> Targets:
    """Check what a caller gave, before anything is computed.

    Parameters
    ----------
    targets : str, int, or array-like of int or str
        ``"all"``; ``"predicted"``; one class for all faces; (face,) one class a face; (face, target) some a
        face; (1, target) the same ones for every face.
    faces : int
    classes : sequence of str, optional
        The classes' names, in the order of the logits; then targets may be names.

    Returns
    -------
    str or int64 tensor (face, target)

    Raises
    ------
    InputError
        If there are fewer or more rows than faces, or a value is no class.

    Examples
    --------
    >>> read_targets([2, 0], faces=2).tolist()
    [[2], [0]]
    >>> read_targets([["happiness", "fear"]], faces=2, classes=["anger", "fear", "happiness"]).tolist()
    [[2, 1], [2, 1]]
    """
    if isinstance(targets, str) and targets in WORDS:
        return targets
    if isinstance(targets, str) and classes is None:
        raise unknown("targets", targets, WORDS)
    values = targets.detach().cpu().numpy() if isinstance(targets, Tensor) else _array(targets)
    if values.dtype.kind in "US":
        values = _indices(values, classes)
    if values.dtype.kind not in "iu" or values.ndim > 2 or values.size == 0:
        raise InputError(
            "'targets' must be 'all', 'predicted' or class numbers (face,) or (face, target); "
            f"got values of type {values.dtype} and shape {values.shape}"
        )
    table = values.reshape(1, 1) if values.ndim == 0 else values[:, None] if values.ndim == 1 else values
    if len(table) != faces and not (len(table) == 1 and values.ndim != 1):
        raise InputError(
            f"'targets' has {len(table)} rows for {faces} faces: give one class a face, "
            "(1, target) classes for every face, or 'all'"
        )
    return torch.from_numpy(np.broadcast_to(table, (faces, table.shape[1])).astype(np.int64))


def _array(targets: Any) -> np.ndarray:
    try:
        return np.asarray(targets)
    except ValueError:
        raise InputError("'targets' must have the same number of classes for every face") from None


def _indices(names: np.ndarray, classes: Sequence[str] | None) -> np.ndarray:
    if classes is None:
        raise InputError("'targets' are names: give 'classes', the names in the order of the logits")
    order = {name: index for index, name in enumerate(classes)}
    for name in names.flat:
        if name not in order:
            raise unknown("targets", name, classes)
    return np.vectorize(order.__getitem__, otypes=[np.int64])(names)


def columns(targets: Targets, logits: Tensor, start: int) -> Tensor:
    """The classes (face, target) explained in one batch, on the logits' device.

    Parameters
    ----------
    targets : str or tensor
        From `read_targets`.
    logits : tensor (face, class)
        Of the batch.
    start : int
        The position of the batch's first face.

    Raises
    ------
    InputError
        If a class does not exist.
    """
    count = logits.shape[1]
    if isinstance(targets, Tensor):
        wrong = targets[(targets < 0) | (targets >= count)]
        if len(wrong):
            raise InputError(
                f"'targets' asks for class {int(wrong[0])}; the network has {count} classes, 0 to {count - 1}"
            )
        return targets[start : start + len(logits)].to(logits.device)
    if targets == "predicted":
        return logits.detach().argmax(1, keepdim=True)
    return torch.arange(count, device=logits.device).expand(len(logits), count)
