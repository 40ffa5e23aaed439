"""Which networks look alike: a dendrogram by any likeness, linkage and cut, over any expressions."""

from pathlib import Path

import numpy as np
import pandas as pd
from ipywidgets import HTML, Checkbox, Dropdown, IntSlider, SelectMultiple

from xfer import clustering
from xfer.errors import InputError
from xfer.labels import EXPRESSIONS
from xfer.report.canvas import CLUSTERS, spoken
from xfer.report.supports import of_joins
from xfer.report.trees import family
from xfer.report.widgets.explorer import LABELLED, Explorer, Shown, escaped, explorer, opened
from xfer.study import Study
from xfer.study.likeness import distances, mean_distances

MEASURES = {"pearson": "r", "spearman": "ρ", "cosine": "cos"}
_NUMBERED = 8
"""The most networks whose likenesses are printed: more numbers take longer to draw than a slider should."""
_LIKENESSES = {"Pearson's r": "pearson", "Spearman's ρ": "spearman", "cosine": "cosine"}


@explorer("dendrogram explorer")
def dendrogram_explorer(study: Study | str | Path) -> Explorer:
    """Look at which networks have similar heatmaps.

    Parameters
    ----------
    study : Study or path

    Returns
    -------
    Explorer or Notice
        `DendrogramExplorer` names the controls.

    Examples
    --------
    >>> dendrogram_explorer("reports/faces-quick-1a2b3c4d").told
    'reports/faces-quick-1a2b3c4d: is not a study folder: there is none; if it was moved, give its new place'
    """
    return DendrogramExplorer(opened(study))


class DendrogramExplorer(Explorer):
    """See `dendrogram_explorer`.

    Attributes
    ----------
    expressions : SelectMultiple
        Distances are averaged over those that are chosen.
    likeness, linkage : Dropdown
        Of `clustering.LIKENESSES` and `clustering.METHODS`.
    cut : IntSlider
        Into how many clusters.
    support : Checkbox
        Whether the bootstrap support is printed on the joins, where the study knows it.
    clusters : HTML
    """

    title = "dendrogram explorer"

    def __init__(self, study: Study) -> None:
        self.study = study
        self._distances: dict[tuple[str, str], tuple[np.ndarray, list[str]]] = {}
        there = sorted(set(map(str, study.pooled.coords["expression"].values)), key=EXPRESSIONS.index)
        options = [(spoken(e), e) for e in there]
        rows = min(len(there), 8)
        self.expressions = SelectMultiple(
            options=options, value=(there[0],), rows=rows, description="expressions", **LABELLED
        )
        self.likeness = Dropdown(options=_LIKENESSES, description="metric", **LABELLED)
        self.linkage = Dropdown(
            options=clustering.METHODS, value=study.config["linkage"], description="linkage", **LABELLED
        )
        networks = len(set(study.pooled.coords["model"].values))
        self.cut = IntSlider(min(2, networks), min=1, max=networks, description="clusters", **LABELLED)
        self.support = Checkbox(value=False, description="bootstrap support", **LABELLED)
        self.clusters = HTML()
        controls = [self.expressions, self.likeness, self.linkage, self.cut, self.support]
        super().__init__(controls, controls, [self.clusters])

    def draw(self) -> Shown:
        """The tree beside the likenesses."""
        expressions, likeness = list(self.expressions.value), self.likeness.value
        matrix, names = mean_distances([self._between(each, likeness) for each in expressions])
        if len(names) < 2:
            raise InputError(f"a dendrogram needs two networks with a map that varies; there is {' and '.join(names)}")
        tree = clustering.tree(matrix, names, self.linkage.value)
        cut = min(self.cut.value, len(names))
        support, why = self._support(tree)
        title = ", ".join(spoken(e) for e in expressions) if len(expressions) < 4 else f"{len(expressions)} expressions"
        figure = family(
            tree,
            1 - pd.DataFrame(matrix, names, names),
            title,
            cut=cut,
            support=support,
            measure=MEASURES[likeness],
            numbers=len(names) <= _NUMBERED,
        )
        groups = _grouped(clustering.cut(tree, cut))
        self.clusters.value = "".join(
            f"<div>{_swatch(number)}<b>{number}</b> {escaped(', '.join(members))}</div>"
            for number, members in enumerate(groups, 1)
        )
        told = [f"{len(names)} networks, {self.linkage.value} linkage", *([why] if why else [])]
        alt = f"Dendrogram and likenesses of networks for {title}; clusters {'; '.join(map(', '.join, groups))}"
        return Shown(figure, escaped("; ".join(told)), alt)

    def _between(self, expression: str, likeness: str) -> tuple[np.ndarray, list[str]]:
        key = (expression, likeness)
        if key not in self._distances:
            self._distances[key] = distances(self.study, expression, self.study.pooled, likeness)
        return self._distances[key]

    def _support(self, tree: clustering.Tree) -> tuple[np.ndarray | None, str]:
        """The support of the joins, or why there is none."""
        if not self.support.value:
            return None, ""
        clades = self.study.clades
        if clades.empty:
            return None, "no support: it takes draws, and blocks of subjects or folds"
        linkage = self.study.config["linkage"]
        if len(self.expressions.value) > 1 or self.likeness.value != "pearson" or tree.method != linkage:
            return None, f"support is known for one expression, Pearson's r and {linkage} linkage only"
        rows = clades[clades["expression"] == self.expressions.value[0]]
        if rows.empty:
            return None, "no support is known for this expression"
        return of_joins(tree, rows), f"support in % of {int(rows['draws'].max()):,} draws"


def _swatch(number: int) -> str:
    """A patch of a cluster's colour."""
    colour = CLUSTERS[(number - 1) % len(CLUSTERS)]
    return f'<span style="display: inline-block; width: 0.7em; height: 0.7em; background: {colour}"></span> '


def _grouped(cut: dict[str, int]) -> list[list[str]]:
    return [[name for name, number in cut.items() if number == k] for k in range(1, max(cut.values()) + 1)]
