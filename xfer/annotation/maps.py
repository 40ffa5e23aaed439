"""Raters' marks in the canonical frame: one map a rater and expression, as ``--masks human:DIR`` reads them."""

from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import xarray as xr
from numpy.typing import NDArray

from xfer import labels
from xfer.annotation.answers import attention, marked, read_answers
from xfer.annotation.collection import Collection
from xfer.annotation.order import FACE
from xfer.errors import InputError, unknown
from xfer.geometry import CanonicalFrame, load_frame
from xfer.study.folder import write_whole
from xfer.warping import to_frame

OUTCOMES = ("correct", "all")
"""Which faces make the map of an expression: those seen as it that are labelled so, or all that were seen as it."""


def maps(
    collection: Collection,
    answers: pd.DataFrame | None = None,
    *,
    outcome: str = "correct",
    everybody: bool = False,
    frame: str | Path = "xfer",
) -> xr.DataArray:
    """Where each rater saw each expression: the share of the faces on which a pixel is marked.

    The first judgement of a face counts, its return is a check. Marks are moved into the frame by the face's landmarks;
    pixels that a face's picture does not show count for nothing on that face.

    Parameters
    ----------
    collection : Collection
    answers : DataFrame, optional
        See `read_answers`.
    outcome : {"correct", "all"}
        "correct": faces that a rater saw as the data call them, as networks' heatmaps are of faces they get right;
        unlabelled faces count as seen. "all": by what the rater saw alone.
    everybody : bool
        Raters who failed the attention checks too.
    frame : str or path

    Returns
    -------
    DataArray (rater, expression, y, x)
        float32 in [0, 1]; NaN throughout where a rater has no such face. The coordinate ``faces`` (rater, expression)
        counts them.

    Raises
    ------
    InputError
        If nobody has marked anything, or nobody counts.
    """
    if outcome not in OUTCOMES:
        raise unknown("outcome", outcome, OUTCOMES)
    found = read_answers(collection) if answers is None else answers
    checked = attention(collection, found)
    counted = checked["rater"] if everybody else checked.loc[checked["reason"] == "", "rater"]
    judged = found[(found["kind"] == FACE) & found["seen"].isin(labels.EXPRESSIONS) & found["rater"].isin(counted)]
    judged = judged[judged["marks"].map(len) > 0]
    if outcome == "correct":
        judged = judged[(judged["label"] == "") | (judged["label"] == judged["seen"])]
    if judged.empty:
        raise InputError(f"{collection.home}: no map can be made; {_why(checked, outcome)}")
    return _averaged(collection, judged, load_frame(frame))


def _why(checked: pd.DataFrame, outcome: str) -> str:
    if checked.empty or not checked["faces"].sum():
        return "nobody has marked a face yet"
    if (checked["reason"] != "").all():
        return "no rater passed the attention checks"
    return "no face was seen as it is labelled" if outcome == "correct" else "no expression was marked"


def _averaged(collection: Collection, judged: pd.DataFrame, frame: CanonicalFrame) -> xr.DataArray:
    raters = sorted(judged["rater"].unique())
    expressions = sorted(judged["seen"].unique(), key=labels.EXPRESSIONS.index)
    values = np.full((len(raters), len(expressions), frame.height, frame.width), np.nan, np.float32)
    counts = np.zeros(values.shape[:2], int)
    for (rater, seen), own in judged.groupby(["rater", "seen"]):
        at = raters.index(rater), expressions.index(seen)
        values[at], counts[at] = _mean(collection, own, frame)
    coords = {"rater": raters, "expression": expressions, "faces": (("rater", "expression"), counts)}
    attrs = {"frame": frame.name}
    return xr.DataArray(values, coords, ("rater", "expression", "y", "x"), collection.home.name, attrs)


def _mean(collection: Collection, own: pd.DataFrame, frame: CanonicalFrame) -> tuple[NDArray[np.float32], int]:
    """The mean map of some answers, and of how many; NaN if no face can be placed."""
    total = np.zeros((frame.height, frame.width))
    shown = np.zeros_like(total)
    kept = 0
    for answer in own.itertuples():
        placed = _placed(marked(collection, answer), collection.points(str(answer.face)), frame)
        if placed is not None:
            known = ~np.isnan(placed)
            total[known] += placed[known]
            shown += known
            kept += 1
    if not kept:
        return np.full(total.shape, np.nan, np.float32), 0
    return np.divide(total, shown, out=np.zeros_like(total), where=shown > 0).astype(np.float32), kept


def _placed(
    painted: NDArray[np.bool_], points: NDArray[np.float64], frame: CanonicalFrame
) -> NDArray[np.floating] | None:
    """Marks in the frame; None for a face that is left out, as its heatmap would be."""
    image = torch.from_numpy(painted.astype(np.float32))[None, None]
    warped = to_frame(image, torch.from_numpy(points)[None], frame)
    return warped.values[0, 0].numpy() if bool(warped.kept[0]) else None


def write_maps(collection: Collection, made: xr.DataArray) -> list[Path]:
    """Write maps as ``{rater}_{expression}.npy`` into the collection's folder, in place of earlier ones.

    ``--masks human:DIR`` with that folder reads them; raters' own files are not touched.
    """
    for rater in collection.raters():
        for old in collection.home.glob(f"{rater}_*.npy"):
            old.unlink()
    written = []
    for rater in made.coords["rater"].values:
        for expression in made.coords["expression"].values:
            one = made.sel(rater=rater, expression=expression).values
            if not np.isnan(one).all():
                path = collection.home / f"{rater}_{expression}.npy"
                write_whole(path, partial(_save, values=one))
                written.append(path)
    return written


def _save(path: Path, values: NDArray[np.float32]) -> None:
    with path.open("wb") as file:
        np.save(file, values, allow_pickle=False)
