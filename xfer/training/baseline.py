"""What needs no network: a linear classifier on small grey faces, printed beside every accuracy."""

from dataclasses import dataclass

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
    mean, deviation = seen.mean(axis=0), seen.std(axis=0)
    deviation[deviation == 0] = 1
    seen, held, unseen = ((part - mean) / deviation for part in (seen, held, unseen))
    labels = pixels.labels[pixels.rows(train)]
    best: tuple[float, float, Array] | None = None
    start = np.zeros((seen.shape[1] + 1, len(pixels.classes)))
    for c in PENALTIES:
        start = logistic(seen, labels, len(pixels.classes), c, start)
        right = accuracy(table(pixels, pixels.rows(validation), probabilities(held, start)))
        if best is None or right > best[0]:
            best = right, c, start
    assert best is not None
    predictions = table(pixels, pixels.rows(test), probabilities(unseen, best[2]))
    return Baseline(accuracy(predictions), best[1], best[0], predictions)


def grey(pixels: Pixels, indices: ArrayLike, side: int = SIDE) -> Array:
    """Faces as rows of grey values in [0, 1]: float64 (face, side * side)."""
    chosen = np.asarray(indices, np.intp).reshape(-1)
    found = [np.empty((0, side**2))]
    for start in range(0, len(chosen), _BLOCK):
        images = pixels.images(chosen[start : start + _BLOCK]).float() / 255
        light = (images * torch.tensor(_GREY).reshape(3, 1, 1)).sum(dim=1, keepdim=True)
        small = functional.interpolate(light, (side, side), mode="bilinear", antialias=True)
        found.append(small.flatten(1).double().numpy())
    return np.concatenate(found)


def logistic(features: Array, labels: NDArray[np.int64], classes: int, c: float, start: Array | None = None) -> Array:
    """Multinomial logistic regression with an L2 penalty by L-BFGS.

    Parameters
    ----------
    features : array (face, feature)
    labels : array (face,)
        From 0 to `classes` - 1.
    classes : int
    c : float
        The inverse penalty, as in `sklearn.linear_model.LogisticRegression`.
    start : array (feature + 1, class), optional

    Returns
    -------
    array (feature + 1, class)
        The weights, and in the last row the intercepts.
    """
    shape = (features.shape[1] + 1, classes)
    truth = np.eye(classes)[labels]
    scale = 1 / len(features)

    def objective(flat: Array) -> tuple[float, Array]:
        weights = flat.reshape(shape)
        logits = features @ weights[:-1] + weights[-1]
        penalty = weights[:-1] / c
        value = -(truth * log_softmax(logits, axis=1)).sum() + (weights[:-1] * penalty).sum() / 2
        error = softmax(logits, axis=1) - truth
        slope = np.vstack([features.T @ error + penalty, error.sum(axis=0)])
        return float(value * scale), (slope * scale).ravel()

    first = np.zeros(shape) if start is None else start
    options = {"maxiter": 1000, "ftol": 1e-12, "gtol": 1e-6}
    return minimize(objective, first.ravel(), jac=True, method="L-BFGS-B", options=options).x.reshape(shape)


def probabilities(features: Array, weights: Array) -> Array:
    """The classes' probabilities (face, class) under the weights of `logistic`."""
    return softmax(features @ weights[:-1] + weights[-1], axis=1)
