"""Heatmaps that cannot be: of an explainer that does not apply to a network, of an expression it has no class for."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from xfer.labels import KEY
from xfer.study.selecting import NO_CLASS
from xfer.study.sums import CONSTANT

Told = Sequence[Mapping[str, Any]]
"""The facts of a study's shards."""


def with_absent(scores: pd.DataFrame, told: Told) -> pd.DataFrame:
    """Scores with a row, NaN and of no face, wherever a heatmap that cannot be would have one, and the reason.

    Parameters
    ----------
    scores : DataFrame
        As `xfer.scoring.score` returns it, of the heatmaps that are.
    told : sequence of mapping
        Facts of the shards: what `xfer.study.explaining.explain_faces` adds as ``left_out``, and ``lacking``.
    """
    whole = scores[scores["outcome"] == "all"]
    like = {str(e): _rows_of_one_cell(rows) for e, rows in whole.groupby("expression", sort=False)}
    parts = [scores]
    for facts in told:
        there = list(dict.fromkeys(whole.loc[whole["model"] == facts["model"], "explainer"]))
        for explainer, expression, reason in _gone(facts, there, list(like)):
            key = {name: str(facts[name]) for name in (*CONSTANT, "layer")} | {"explainer": explainer}
            parts.append(like[expression].assign(**key, value=np.nan, n=0, reason=reason))
    return pd.concat(parts, ignore_index=True)


def dropped_rows(told: Told) -> list[tuple[str, str, str, int]]:
    """Explainers that do not apply, for ``dropped.csv``: kind, name, reason with the networks in it, networks."""
    found: dict[tuple[str, str], list[str]] = {}
    for facts in told:
        for explainer, reason in facts.get("left_out", {}).items():
            found.setdefault((explainer, _why(reason)), []).append(str(facts["model"]))
    rows = []
    for (explainer, why), models in found.items():
        networks = list(dict.fromkeys(models))
        rows.append(("explainer", explainer, f"does not apply to {', '.join(networks)}: {why}", len(networks)))
    return rows


def _gone(facts: Mapping[str, Any], there: Sequence[str], expressions: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Explainer, expression and reason of the heatmaps that a network cannot have."""
    model = facts["model"]
    for explainer, reason in facts.get("left_out", {}).items():
        for expression in expressions:
            yield explainer, expression, f"{explainer} does not apply to {model}: {_why(reason)}"
    for expression in set(facts.get("lacking", ())).intersection(expressions):
        for explainer in there:
            yield explainer, expression, f"{model} {NO_CLASS}"


def _why(reason: str) -> str:
    """A reason of `xfer.explainers.misfits` without the explainer and the kind of network before it."""
    return reason.partition(": ")[2]


def _rows_of_one_cell(rows: pd.DataFrame) -> pd.DataFrame:
    first = (rows[list(KEY)] == rows[list(KEY)].iloc[0]).all(axis=1)
    return rows[first]
