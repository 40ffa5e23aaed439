"""True interventions on drawn faces: the same face without an Action Unit, and what the network then says.

This is the only causal number beside an attribution: nothing but the Action Unit differs between the two pictures.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import Tensor, nn

from xfer.datasets.synthetic import Face, draw
from xfer.explainers.action_units import members
from xfer.explainers.shared_pass import logits_of
from xfer.explainers.state import place, still

NOT_DRAWN = "not a drawn face: no intervention"
OTHER_CLASS = "not the expression the face shows"
NO_UNIT = "no Action Unit"
NOT_SHOWN = "the face shows none of its Action Units"
FEW = "fewer than 3 interventions"
CONSTANT = "constant values"

FEWEST = 3
"""Interventions on a face below which ranks say nothing."""

Prepare = Callable[[NDArray[np.uint8]], Tensor]
"""A picture (y, x, 3) as the network takes it: (channel, y, x)."""


def without(face: Face, codes: Iterable[str]) -> Face:
    """The same face with some Action Units at 0.

    >>> without(Face(3, action_units={"AU6": 0.5, "AU12": 1.0}), ["AU12"]).action_units
    {'AU6': 0.5, 'AU12': 0.0}
    """
    return replace(face, action_units={**face.action_units, **dict.fromkeys(codes, 0.0)})


def shown_units(face: Face, player: str) -> tuple[str, ...]:
    """The Action Units of a player that a face shows.

    >>> shown_units(Face(3, action_units={"AU12": 1.0, "AU6": 0.0}), "AU6/12/25")
    ('AU12',)
    """
    return tuple(code for code in members(player) if face.action_units.get(code, 0.0) > 0)


def effects(
    model: nn.Module,
    face: Face,
    players: Sequence[str],
    target: int,
    *,
    size: int,
    prepare: Prepare,
    output: str = "probability",
    batch_size: int = 32,
) -> dict[tuple[str, ...], float]:
    """What a network's answer to a drawn face loses with Action Units: f(face) - f(face without them).

    Parameters
    ----------
    model : nn.Module
    face : Face
    players : sequence of str
        Each an intervention: all of its Action Units that the face shows at 0. Players that share these share one.
    target : int
        The class.
    size : int
        Side of the picture as drawn, px.
    prepare : callable
        The picture to what the network takes.
    output : {"probability", "logit"}
    batch_size : int

    Returns
    -------
    dict of tuple of str to float
        By the Action Units set to 0.
    """
    sets = sorted({codes for player in players if (codes := shown_units(face, player))})
    drawn = [face, *(without(face, codes) for codes in sets)]
    device, dtype = place(model)
    pictures = torch.stack([prepare(draw(each, size)) for each in drawn]).to(device, dtype)
    with torch.inference_mode(False), still(model):
        logits = torch.cat([logits_of(model, part) for part in pictures.split(batch_size)]).double()
    said = (logits.softmax(1) if output == "probability" else logits)[:, target]
    return dict(zip(sets, (said[0] - said[1:]).tolist(), strict=True))


def beside(table: pd.DataFrame, faces: dict[str, Face], found: dict[str, dict[tuple[str, ...], float]]) -> pd.DataFrame:
    """A table of attributions with the true effects beside them.

    Parameters
    ----------
    table : DataFrame
        From `xfer.explainers.action_units.attribute_units`.
    faces : dict of str to Face
        Those of the table that are drawn.
    found : dict of str to dict
        `effects` of each of these, for the expression that it shows.

    Returns
    -------
    DataFrame
        With ``intervention`` (the Action Units set to 0), ``causal`` (NaN where there is none) and ``causal_reason``.
    """
    rows = [_effect(row, faces, found) for row in table[["face", "class", "player"]].itertuples(index=False, name=None)]
    made = pd.DataFrame(rows, columns=["intervention", "causal", "causal_reason"], index=table.index)
    return pd.concat([table, made], axis=1)


def _effect(
    row: tuple[Any, ...], faces: dict[str, Face], found: dict[str, dict[tuple[str, ...], float]]
) -> tuple[str, float, str]:
    name, label, player = row
    face = faces.get(name)
    if face is None:
        return "", np.nan, NOT_DRAWN
    if label != face.expression:
        return "", np.nan, OTHER_CLASS
    if not members(player):
        return "", np.nan, NO_UNIT
    codes = shown_units(face, player)
    return ("+".join(codes), found[name][codes], "") if codes else ("", np.nan, NOT_SHOWN)


def rank_correlations(table: pd.DataFrame) -> tuple[pd.DataFrame, float]:
    """Spearman's correlation of attributions with true effects, by face and over all faces together.

    Players with the same intervention are one value, the sum of their ``phi``: what their pixels add together.

    Parameters
    ----------
    table : DataFrame
        From `beside`.

    Returns
    -------
    by_face : DataFrame
        ``face``, ``n`` (interventions), ``rho`` and ``reason``, one row a drawn face.
    pooled : float
        Over all interventions on all faces; NaN for fewer than 3.
    """
    known = table[table["causal"].notna()]
    sums = known.groupby(["face", "intervention"], sort=False).agg(phi=("phi", "sum"), causal=("causal", "first"))
    drawn = table[table["causal_reason"] != NOT_DRAWN]["face"].unique()
    rows = []
    for face in drawn:
        own = sums.loc[[face]] if face in sums.index.get_level_values("face") else sums.iloc[:0]
        rows.append((face, len(own), *_spearman(own)))
    return pd.DataFrame(rows, columns=["face", "n", "rho", "reason"]), _spearman(sums)[0]


def _spearman(pairs: pd.DataFrame) -> tuple[float, str]:
    if len(pairs) < FEWEST:
        return np.nan, FEW
    if min(np.ptp(pairs["phi"]), np.ptp(pairs["causal"])) == 0:
        return np.nan, CONSTANT
    return float(spearmanr(pairs["phi"], pairs["causal"]).statistic), ""
