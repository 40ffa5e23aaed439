"""The section on how much of the dendrograms is there: support of clades, cophenetic fit, agreement of folds' trees."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from xfer import clustering
from xfer.report import figures, standings, words
from xfer.report.blocks import Block, Cell, Picture, Section, Table, number, vector
from xfer.report.canvas import finite_mean, spoken
from xfer.report.reading import figure_names, parts
from xfer.statistics.clades import LINKAGES
from xfer.study import Study

Row = Sequence[str | Cell]

SUPPORTED = 0.5
"""A clade of more than half the draws' trees is part of their majority-rule consensus (doi:10.1007/BF02459446)."""

STRONG = 0.95

_PANELS = 6


@dataclass(frozen=True, eq=False)
class _Drawn:
    """An expression's dendrogram and the support of its joins (join,)."""

    expression: str
    tree: clustering.Tree
    support: np.ndarray

    @property
    def inner(self) -> np.ndarray:
        """The supports that are known, without the last join's, which holds every network."""
        values = self.support[:-1]
        return values[np.isfinite(values)]


def supports(study: Study) -> Section | None:
    """Dendrograms with the support of every clade, and a row per expression on how far they can be trusted."""
    clades = standings.table(study, "clades")
    if clades.empty:
        return None
    drawn = [_drawn(study, str(e), rows) for e, rows in clades.groupby("expression", sort=False)]
    known = np.concatenate([one.inner for one in drawn])
    blocks: list[Block] = [_verdict(known)]
    if known.size:
        draws = f"{int(clades['draws'].max()):,}"
        blocks.append(words.plot("supports", _pictures(study, drawn), least=f"{SUPPORTED:.0%}", draws=draws))
    return Section("supports", "Would the branches hold?", [*blocks, _table(study, drawn)])


def _drawn(study: Study, expression: str, rows: pd.DataFrame) -> _Drawn:
    tree = study.tree(expression)
    return _Drawn(expression, tree, of_joins(tree, rows))


def of_joins(tree: clustering.Tree, rows: pd.DataFrame) -> np.ndarray:
    """The support of every join (join,) of a tree, from its rows of `Study.clades`; NaN where it is not known."""
    support = np.full(len(tree.linkage), np.nan)
    support[rows["join"].to_numpy(dtype=int)] = pd.to_numeric(rows["support"], errors="coerce").to_numpy(dtype=float)
    return support


def _verdict(known: np.ndarray) -> Block:
    if not known.size:
        return words.text("supports", "none", tone="note")
    held, strong = (int((known >= least).sum()) for least in (SUPPORTED, STRONG))
    return words.text("supports", held=held, total=known.size, strong=strong, least=f"{SUPPORTED:.0%}")


def _pictures(study: Study, drawn: Sequence[_Drawn]) -> list[Picture]:
    short, panels = figure_names(study), []
    for one in drawn:
        names, leaves = (tuple(short[n] for n in some) for some in (one.tree.names, one.tree.leaves))
        panels.append((spoken(one.expression).capitalize(), replace(one.tree, names=names, leaves=leaves), one.support))
    pictures = []
    for part in parts(len(panels), _PANELS):
        alt = words.say("supports", "alt", expressions=", ".join(name for name, _, _ in panels[part]))
        pictures.append(vector(figures.supported(panels[part], least=SUPPORTED), alt))
    return pictures


def _table(study: Study, drawn: Sequence[_Drawn]) -> Table:
    agreement = {one.expression: study.fold_agreement(one.expression) for one in drawn}
    folds = any(len(found) for found in agreement.values())
    head = ["expression", f"branches with {SUPPORTED:.0%}", *(f"cophenetic r, {name}" for name in LINKAGES)]
    rows: list[Row] = []
    for one in drawn:
        held = f"{int((one.inner >= SUPPORTED).sum())} of {len(one.inner)}"
        fits = study.cophenetic(one.expression)
        row: list[str | Cell] = [
            spoken(one.expression),
            Cell(held, "", "number"),
            *(number(fits[name], 2) for name in LINKAGES),
        ]
        found = agreement[one.expression]
        both = [number(finite_mean(found[name]), 2) for name in ("bakers_gamma", "adjusted_rand")] if folds else []
        rows.append([*row, *both])
    head += ["Baker's gamma between folds", "adjusted Rand between folds"] if folds else []
    return Table(words.say("supports", "table"), head, rows)
