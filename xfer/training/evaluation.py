"""How well a network does on faces: predictions, accuracy, recall, macro-F1, confusion."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from torch import nn

from xfer.training.batches import inputs
from xfer.training.pixels import Pixels
from xfer.training.settings import Settings


def evaluate(
    model: nn.Module,
    pixels: Pixels,
    indices: ArrayLike,
    settings: Settings,
    *,
    device: str = "cpu",
    batch: int | None = None,
) -> pd.DataFrame:
    """Predict faces, in float32.

    Parameters
    ----------
    model : nn.Module
        Its mode and device are put back afterwards.
    pixels : Pixels
    indices : sequence of int
        Positions in the data set.
    settings : Settings
        Those it was trained with.
    device : str
    batch : int, optional
        Faces at a time; the settings' by default.

    Returns
    -------
    DataFrame
        One row a face: id, subject, expression ("" where unlabelled), predicted, then ``p_CLASS`` for every class.
    """
    chosen = np.asarray(indices, np.intp).reshape(-1)
    rows, step = pixels.rows(chosen), batch or settings.batch
    found = [np.empty((0, len(pixels.classes)), np.float32)]
    training, home = model.training, next(model.parameters()).device
    try:
        model.to(device).eval()
        with torch.inference_mode():
            for start in range(0, len(chosen), step):
                logits = model(inputs(pixels, chosen[start : start + step], settings).to(device))
                found.append(logits.float().softmax(dim=1).cpu().numpy())
    finally:
        model.train(training).to(home)
    return table(pixels, rows, np.concatenate(found))


def table(pixels: Pixels, rows: Sequence[int] | np.ndarray, probabilities: np.ndarray) -> pd.DataFrame:
    """Predictions with probabilities (face, class) as `evaluate` returns them."""
    names = np.array([*pixels.classes, ""])
    facts = {
        "id": [pixels.ids[r] for r in rows],
        "subject": [pixels.subjects[r] for r in rows],
        "expression": names[pixels.labels[rows]],
        "predicted": names[probabilities.argmax(axis=1)],
    }
    return pd.DataFrame(facts | {f"p_{name}": probabilities[:, i] for i, name in enumerate(pixels.classes)})


def accuracy(predictions: pd.DataFrame) -> float:
    """The share of labelled faces that are predicted right; NaN without any."""
    known = predictions[predictions["expression"] != ""]
    return float((known["expression"] == known["predicted"]).mean()) if len(known) else float("nan")


def confusion(predictions: pd.DataFrame, classes: Sequence[str]) -> pd.DataFrame:
    """Faces by true (rows) and predicted (columns) expression."""
    counts = pd.crosstab(predictions["expression"], predictions["predicted"])
    whole = counts.reindex(index=list(classes), columns=list(classes), fill_value=0)
    return whole.rename_axis(index="expression", columns="predicted")


def recall(predictions: pd.DataFrame, classes: Sequence[str]) -> pd.Series:
    """The share of each expression's faces that are predicted right; NaN where no face shows it."""
    counts = confusion(predictions, classes)
    right = pd.Series(np.diag(counts).astype(float), index=counts.index, name="recall")
    return right / counts.sum(axis=1).replace(0, np.nan)


def macro_f1(predictions: pd.DataFrame, classes: Sequence[str]) -> float:
    """The mean F1 of the expressions that occur or are predicted; NaN without any."""
    counts = confusion(predictions, classes).to_numpy(float)
    found = counts.sum(axis=0) + counts.sum(axis=1)
    there = found > 0
    return float(np.mean(2 * np.diag(counts)[there] / found[there])) if there.any() else float("nan")
