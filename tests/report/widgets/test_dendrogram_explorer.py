"""The dendrogram explorer: likeness, linkage, cut, expressions, support."""

import numpy as np
import pandas as pd
import pytest
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform
from scipy.stats import spearmanr

from xfer import clustering
from xfer.report.widgets import dendrogram_explorer
from xfer.report.widgets.explorer import plain


@pytest.fixture
def explorer(imported):
    return dendrogram_explorer(imported)


def groups(explorer) -> set[frozenset[str]]:
    lines = explorer.clusters.value.split("</div>")[:-1]
    return {frozenset(plain(line).split(" ", 1)[1].split(", ")) for line in lines}


def test_it_starts_with_the_studys_own_tree_cut_in_two(imported, explorer):
    own = clustering.cut(imported.tree("anger"), 2)
    assert groups(explorer) == {frozenset(n for n, c in own.items() if c == k) for k in (1, 2)}
    assert explorer.linkage.value == imported.config["linkage"]


def test_every_control_changes_the_picture(explorer):
    seen = [explorer.png]
    for control, value in (
        (explorer.cut, 3), (explorer.expressions, ("anger", "fear")), (explorer.likeness, "spearman"),
        (explorer.likeness, "cosine"), (explorer.linkage, "complete"),
    ):  # fmt: skip
        control.value = value
        seen.append(explorer.png)
    assert len(set(seen)) == len(seen)


@pytest.mark.parametrize("linkage", clustering.METHODS)
def test_clusters_are_scipys_on_mean_rank_distances(imported, explorer, linkage):
    explorer.expressions.value, explorer.likeness.value = ("disgust", "fear"), "spearman"
    explorer.linkage.value, explorer.cut.value = linkage, 3
    names = sorted(set(imported.pooled.coords["model"].values))
    matrix = np.zeros((4, 4))
    for expression in ("disgust", "fear"):
        maps = [imported.pooled.values[(imported.pooled.coords["expression"].values == expression)
                & (imported.pooled.coords["model"].values == name)][0][imported.support] for name in names]  # fmt: skip
        matrix += (1 - spearmanr(np.stack(maps), axis=1).statistic) / 2
    labels = hierarchy.fcluster(hierarchy.linkage(squareform(matrix, checks=False), linkage), 3, "maxclust")
    assert groups(explorer) == {frozenset(np.array(names)[labels == k].tolist()) for k in (1, 2, 3)}


def test_support_is_that_of_the_study_and_only_of_its_own_tree(imported, explorer, monkeypatch):
    rows = {"expression": "anger", "join": [1, 0, 2], "support": [0.25, 0.85, 1.0], "draws": 2000}
    monkeypatch.setitem(imported.__dict__, "clades", pd.DataFrame(rows))
    before = explorer.png
    explorer.support.value = True
    assert explorer.png != before
    assert explorer.told == "4 networks, average linkage; support in % of 2,000 draws"
    printed = [t.get_text() for t in explorer.figure.axes[0].texts if t.get_gid() == "support"]
    assert printed == ["85", "25"]
    explorer.likeness.value = "cosine"
    assert explorer.told.endswith("support is known for one expression, Pearson's r and average linkage only")


def test_a_study_without_draws_has_no_support(explorer):
    explorer.support.value = True
    assert explorer.told.endswith("no support: it takes draws, and blocks of subjects or folds")


def test_no_expression_and_one_network_are_one_line(explorer, trained):
    explorer.expressions.value = ()
    assert explorer.told == "choose at least one expression"
    assert explorer.png == b""
    explorer.expressions.value = ("fear",)
    assert explorer.png
    alone = dendrogram_explorer(trained)
    assert alone.told == "a dendrogram needs two networks with a map that varies; there is songnet"
