"""Sections on likeness: which networks have similar heatmaps, and which expressions."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from xfer.errors import InputError
from xfer.report import figures, leaves, standings, words
from xfer.report.account import listed
from xfer.report.blocks import Block, Cell, Live, Picture, Section, Table, number, vector
from xfer.report.canvas import finite_mean, spoken
from xfer.report.reading import figure_names, values_of
from xfer.report.trained import doubts
from xfer.study import Study


def networks(study: Study) -> Section:
    """A dendrogram and a correlation matrix per expression, and the two-cluster cut."""
    heading, names = "Which networks look alike", values_of(study, "model")
    if len(names) < 2:
        return Section("families", heading, [words.text("families", "single", tone="note", model=names[0])])
    pictures, panels, left_out = _pictures(study)
    support = words.say("families", "held" if len(standings.table(study, "clades")) else "not_held")
    live = Live("trees", {"panels": panels})
    blocks: list[Block] = []
    if pictures:
        blocks.append(replace(words.plot("families", pictures, support=support), live=live))
    if pictures and (weak := doubts(study).networks):
        blocks.append(words.text("doubts", "families", tone="note", names=", ".join(weak)))
    for why in dict.fromkeys(left_out.values()):
        named = listed([spoken(e) for e, reason in left_out.items() if reason == why])
        blocks.append(words.text("families", "absent", tone="note", expression=named, why=why))
    if len(study.clusters):
        blocks.append(_cut(study.clusters))
    return Section("families", heading, blocks)


def _pictures(study: Study) -> tuple[list[Picture], list[dict[str, Any]], dict[str, str]]:
    """A picture per expression with a tree, what scripts are told of it; for the other expressions, why not."""
    found, why = {}, {}
    for expression in sorted(values_of(study, "expression")):
        correlations = study.model_correlations(expression)
        defined = np.isfinite(np.diag(correlations))
        flat, coarse = [str(m) for m in correlations.index[~defined]], correlations.index.isin(study.coarse)
        reasons = [words.say("families", "undefined", models=", ".join(flat))] if flat else []
        if coarse.any():
            models = ", ".join(map(str, correlations.index[coarse]))
            reasons.append(words.say("families", "coarse", models=models))
        if reasons:
            why[expression] = " ".join(reasons)
        defined &= ~coarse
        if defined.sum() < 2:
            why.setdefault(expression, words.say("families", "alone"))
            continue
        found[expression] = study.tree(expression), correlations.loc[defined, defined]
    low = min((float(np.nanmin(r.to_numpy())) for _, r in found.values()), default=0.0)
    pictures, panels, short = [], [], figure_names(study)
    for expression, (tree, correlations) in found.items():
        name = spoken(expression).capitalize()
        drawn = replace(tree, names=tuple(short[n] for n in tree.names), leaves=tuple(short[n] for n in tree.leaves))
        alt = words.say("families", "alt", expression=name, count=len(tree.names), leaves=", ".join(tree.leaves))
        figure = figures.family(drawn, correlations.rename(index=short, columns=short), name, low=low)
        pictures.append(vector(figure, alt))
        panels.append(leaves.panel(name, tree, correlations, figure))
    return pictures, panels, why


def _cut(clusters: pd.DataFrame) -> Table:
    """The groups of every expression; the first is the one drawn on top, in blue."""
    rows = []
    for expression, here in clusters.groupby("expression", sort=False):
        groups: dict[int, list[str]] = {}
        for model, cluster in here.sort_values("leaf")[["model", "cluster"]].itertuples(index=False):
            groups.setdefault(cluster, []).append(str(model))
        first, *rest = [", ".join(group) for group in groups.values()]
        rows.append([spoken(str(expression)), first, "; ".join(rest) or "none"])
    return Table(words.say("families", "table"), ["expression", "first group (blue)", "second group (orange)"], rows)


def tags(study: Study) -> Section | None:
    """Whether networks with a tag have maps of their own; None where no tag divides them."""
    found = study.tag_tests() if len(values_of(study, "model")) > 2 else pd.DataFrame()
    if not len(found):
        return None
    apart = found[(found["test"] == "PERMANOVA") & (found["p_holm"] <= 0.05)]
    told = listed([f"{row['tag']} (R² = {row['effect']:.2f}, p = {row['p_holm']:.3f})" for _, row in apart.iterrows()])
    rows: list[Sequence[str | Cell]] = [
        [
            row["tag"], f"{row['tagged']} of {row['networks']}", row["test"], number(row["effect"], 2),
            number(row["p"]), number(row["p_holm"]), number(row["smallest"]), f"{row['permutations']:,}", row["reason"],
        ]
        for _, row in found.iterrows()
    ]  # fmt: skip
    tests = int(found["m"].max())
    head = [
        "tag", "networks", "test", "R² or r", "p", f"p, Holm ({tests} tags)", "smallest possible p", "relabellings", "",
    ]  # fmt: skip
    blocks: list[Block] = [words.text("tags", "apart" if told else "together", tags=told)]
    return Section("tags", "Do kinds of networks look alike?", [*blocks, Table(words.say("tags", "table"), head, rows)])


def expressions(study: Study) -> Section:
    """How alike the maps of different expressions are."""
    heading = "Which expressions look alike"
    if len(values_of(study, "expression")) < 2:
        return Section("expressions", heading, [words.text("expressions", "single", tone="note")])
    try:
        correlations = study.expression_correlations()
    except InputError as error:
        return Section("expressions", heading, [words.text("expressions", "undefined", tone="note", why=str(error))])
    values, names = correlations.to_numpy(dtype=float), [spoken(e) for e in correlations.index]
    picture = vector(figures.correlation_matrix(correlations), words.say("expressions", "alt", names=", ".join(names)))
    rows: list[Sequence[str | Cell]] = [
        [name, *(number(v) for v in line)] for name, line in zip(names, values, strict=True)
    ]
    table = Table(words.say("expressions", "title"), ["", *names], rows, folded=True)
    return Section("expressions", heading, [*_range(values), words.plot("expressions", [picture]), table])


def _range(values: np.ndarray) -> list[Block]:
    """The spread of the correlations between different expressions, where any is defined."""
    apart = values[np.triu_indices(len(values), 1)]
    apart = apart[np.isfinite(apart)]
    if not apart.size:
        return []
    low, high, mean = (number(v, 2).text for v in (apart.min(), apart.max(), finite_mean(apart)))
    return [words.text("expressions", low=low, high=high, mean=mean)]
