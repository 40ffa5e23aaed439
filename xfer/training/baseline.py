"""What needs no network: a linear classifier on small grey faces, printed beside every accuracy."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from torch.nn import functional

from xfer.training.evaluation import accuracy, table
from xfer.training.pixels import Pixels

SIDE = 24
PENALTIES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Values of C that are tried."""

_GREY = (0.299, 0.587, 0.114)
_BLOCK = 1024
Array = NDArray[np.float64]
Scale = tuple[Array | float, Array | float]


@dataclass(frozen=True)
class Baseline:
    """The linear classifier's result.

    Attributes
    ----------
    accuracy : float
        On the test faces.
    c : float
        The inverse penalty that the validation faces chose.
    validation_accuracy : float
    predictions : DataFrame
        Of the test faces, as `evaluate` returns them.
    """

    accuracy: float
    c: float
    validation_accuracy: float
    predictions: pd.DataFrame


def linear_baseline(
    pixels: Pixels, train: ArrayLike, validation: ArrayLike, test: ArrayLike, side: int = SIDE
) -> Baseline:
    """Multinomial logistic regression on standardised grey pixels.

    The weights minimise ``sum of cross entropies + |w|^2 / (2 C)``, the intercepts are free; C is chosen on the
    validation faces, the smallest of equals; the test faces choose nothing.

    Parameters
    ----------
    pixels : Pixels
    train, validation, test : sequence of int
        Positions in the data set.
    side : int
        Of the grey pictures, px.

    Returns
    -------
    Baseline
    """
    train, validation = pixels.labelled(train), pixels.labelled(validation)
    seen, held, unseen = (grey(pixels, part, side) for part in (train, validation, test))
    scale = _scale(seen)
    labels = pixels.labels[pixels.rows(train)]
    best: tuple[float, float, Array] | None = None
    start = np.zeros((seen.shape[1] + 1, len(pixels.classes)))
    for c in PENALTIES:
        start = logistic(seen, labels, len(pixels.classes), c, start, scale)
        right = accuracy(table(pixels, pixels.rows(validation), probabilities(held, start, scale)))
        if best is None or right > best[0]:
            best = right, c, start
    assert best is not None
    predictions = table(pixels, pixels.rows(test), probabilities(unseen, best[2], scale))
    return Baseline(accuracy(predictions), best[1], best[0], predictions)


def _scale(pictures: NDArray[np.uint8]) -> Scale:
    """Mean and standard deviation of every pixel, exact, without a copy of the pictures."""
    total, squares = (np.zeros(pictures.shape[1], np.int64) for _ in range(2))
    for part in _parts(pictures):
        wide = part.astype(np.int64)
        total += wide.sum(axis=0)
        squares += (wide**2).sum(axis=0)
    mean = total / len(pictures)
    deviation = np.sqrt(np.maximum(squares / len(pictures) - mean**2, 0))
    return mean, np.where(deviation > 0, deviation, 1)


def _parts(rows: NDArray[Any]) -> Iterator[NDArray[Any]]:
    return (rows[start : start + _BLOCK] for start in range(0, len(rows), _BLOCK))


def grey(pixels: Pixels, indices: ArrayLike, side: int = SIDE) -> NDArray[np.uint8]:
    """Faces as rows of grey values: uint8 (face, side * side)."""
    chosen = np.asarray(indices, np.intp).reshape(-1)
    found = [np.empty((0, side**2), np.uint8)]
    for start in range(0, len(chosen), _BLOCK):
        images = pixels.images(chosen[start : start + _BLOCK]).float()
        light = (images * torch.tensor(_GREY).reshape(3, 1, 1)).sum(dim=1, keepdim=True)
        small = functional.interpolate(light, (side, side), mode="bilinear", antialias=True)
        found.append(small.flatten(1).round().clamp(0, 255).to(torch.uint8).numpy())
    return np.concatenate(found)


def logistic(
    features: NDArray[Any],
    labels: NDArray[np.int64],
    classes: int,
    c: float,
    start: Array | None = None,
    scale: Scale = (0.0, 1.0),
) -> Array:
    """Multinomial logistic regression with an L2 penalty by L-BFGS.

    Parameters
    ----------
    features : array (face, feature)
        Of any type of number; looked at some rows at a time.
    labels : array (face,)
        From 0 to `classes` - 1.
    classes : int
    c : float
        The inverse penalty, as in `sklearn.linear_model.LogisticRegression`.
    start : array (feature + 1, class), optional
    scale : pair of array (feature,) or float
        Mean and standard deviation that the features are standardised by.

    Returns
    -------
    array (feature + 1, class)
        The weights of the standardised features, and in the last row the intercepts.
    """
    shape = (features.shape[1] + 1, classes)
    truth = np.eye(classes)[labels]

    def objective(flat: Array) -> tuple[float, Array]:
        weights = flat.reshape(shape)
        penalty = weights[:-1] / c
        value, slope = (weights[:-1] * penalty).sum() / 2, np.vstack([penalty, np.zeros(classes)])
        for rows, wanted in zip(_parts(features), _parts(truth), strict=True):
            standard = (rows - scale[0]) / scale[1]
            logits = standard @ weights[:-1] + weights[-1]
            value -= (wanted * log_softmax(logits, axis=1)).sum()
            error = softmax(logits, axis=1) - wanted
            slope[:-1] += standard.T @ error
            slope[-1] += error.sum(axis=0)
        return float(value / len(features)), slope.ravel() / len(features)

    first = np.zeros(shape) if start is None else start
    options = {"maxiter": 1000, "ftol": 1e-12, "gtol": 1e-6}
    return minimize(objective, first.ravel(), jac=True, method="L-BFGS-B", options=options).x.reshape(shape)


def probabilities(features: NDArray[Any], weights: Array, scale: Scale = (0.0, 1.0)) -> Array:
    """The classes' probabilities (face, class) under the weights of `logistic`."""
    return softmax((features - scale[0]) / scale[1] @ weights[:-1] + weights[-1], axis=1)
