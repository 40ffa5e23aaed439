"""Which networks look alike: distances of their maps, agreement of trees, and whether a tag tells them apart."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from xfer import clustering, heatmaps
from xfer.errors import InputError
from xfer.models import MODELS
from xfer.statistics import clades
from xfer.statistics.groups import mantel, permanova
from xfer.statistics.multiplicity import adjust

if TYPE_CHECKING:
    from xfer.study.study import Study

AGREEMENT = ("first", "second", "bakers_gamma", "adjusted_rand")
TAG_TESTS = (
    "tag", "test", "networks", "tagged", "statistic", "effect", "p", "p_holm", "m", "smallest", "permutations",
    "reason",
)  # fmt: skip
PRETRAINED = "pretrained"


def distances(
    study: Study, expression: str, cells: xr.DataArray, measure: str = "pearson"
) -> tuple[NDArray[np.float64], list[str]]:
    """1 - r of every two networks' maps of an expression, and their names; undefined and coarse ones are left out.

    `measure` is one of `clustering.LIKENESSES`.
    """
    maps = heatmaps.select(cells, expression=expression)
    names = [str(m) for m in maps.coords["model"].values]
    matrix = 1.0 - clustering.alike(maps.values, study.support, measure)
    kept = np.isfinite(np.diagonal(matrix)) & ~np.isin(names, study.coarse)
    return matrix[np.ix_(kept, kept)], [name for name, keep in zip(names, kept, strict=True) if keep]


def mean_distances(
    study: Study, expressions: Sequence[str], measure: str = "pearson"
) -> tuple[NDArray[np.float64], list[str]]:
    """`distances` averaged over some expressions, of the networks that have a defined map of each.

    Raises
    ------
    InputError
        If no expression is given, or no network is left.
    """
    if not expressions:
        raise InputError("choose at least one expression")
    found = [distances(study, expression, study.pooled, measure) for expression in expressions]
    shared = [name for name in found[0][1] if all(name in names for _, names in found)]
    if not shared:
        raise InputError(f"no network has a map of {' and '.join(expressions)} that varies and is fine enough")
    places = [[names.index(name) for name in shared] for _, names in found]
    return np.mean([m[np.ix_(at, at)] for (m, _), at in zip(found, places, strict=True)], axis=0), shared


def fold_agreement(study: Study, expression: str) -> pd.DataFrame:
    """See `Study.fold_agreement`."""
    linkage, trees = study.config["linkage"], {}
    for fold in sorted(set(map(str, study.leading.coords["fold"].values))):
        try:
            matrix, names = distances(study, expression, heatmaps.select(study.leading, fold=fold))
            trees[fold] = clustering.tree(matrix, names, linkage)
        except InputError:
            continue
    rows = [
        (a, b, clades.bakers_gamma(trees[a].linkage, trees[b].linkage), _rand(trees[a], trees[b]))
        for a, b in combinations(trees, 2)
        if trees[a].names == trees[b].names
    ]
    return pd.DataFrame(rows, columns=list(AGREEMENT))


def _rand(first: clustering.Tree, second: clustering.Tree) -> float:
    cuts = [clustering.cut(tree, min(2, len(tree.names))) for tree in (first, second)]
    return clades.adjusted_rand(*([cut[name] for name in first.names] for cut in cuts))


def tag_tests(study: Study) -> pd.DataFrame:
    """Do networks with a tag (pretrained, small ...) have maps of their own?

    PERMANOVA and Mantel's test on 1 - r, averaged over expressions; see `xfer.statistics.groups`.

    Returns
    -------
    DataFrame
        tag, test, networks, tagged (how many have it), statistic, effect, p, p_holm (p adjusted for the m tags of a
        test), m, smallest (the least p that so few networks can give), permutations, reason. Empty where no tag divides
        the networks.
    """
    matrix, names = _mean_distances(study)
    rows: list[tuple[Any, ...]] = []
    for tag, members in _tags(study, names).items():
        groups = [name in members for name in names]
        for name, test in (("PERMANOVA", permanova(matrix, groups)), ("Mantel", mantel(matrix, groups))):
            told = (test.statistic, test.effect, test.p, np.nan, 0, test.smallest, test.permutations, test.reason)
            rows.append((tag, name, len(names), sum(groups), *told))
    table = pd.DataFrame(rows, columns=list(TAG_TESTS))
    for rows_of_test in table.groupby("test").groups.values():
        holm = adjust(table.loc[rows_of_test, "p"].to_numpy(), "holm")
        table.loc[rows_of_test, "p_holm"], table.loc[rows_of_test, "m"] = holm.p, holm.m
    return table


def _mean_distances(study: Study) -> tuple[NDArray[np.float64], list[str]]:
    """Distances averaged over the expressions that every network has a defined map of."""
    found = [distances(study, e, study.pooled) for e in sorted(set(map(str, study.pooled.coords["expression"].values)))]
    most = max((len(names) for _, names in found), default=0)
    whole = [(matrix, names) for matrix, names in found if len(names) == most]
    shared = [matrix for matrix, names in whole if names == whole[0][1]]
    return np.mean(shared, axis=0), whole[0][1] if whole else []


def _tags(study: Study, names: list[str]) -> dict[str, set[str]]:
    """Tag -> the networks that have it, for tags that some have and some do not."""
    entries = {name: entry for name in names if (entry := _registered(name))}
    tags = {tag: {n for n, e in entries.items() if tag in e.tags} for e in entries.values() for tag in e.tags}
    if len(study.networks):
        starts = study.networks.groupby("model")["start"].first()
        tags[PRETRAINED] = {n for n in names if not str(starts[n]).startswith("from scratch")}
    else:
        tags[PRETRAINED] = {n for n, e in entries.items() if e.pretrained}
    return {tag: members for tag, members in sorted(tags.items()) if 0 < len(members) < len(names)}


def _registered(name: str) -> Any:
    """The registry's entry of a network as others spell it: ``EfficientNetV2B0`` is `efficientnetv2`."""
    spelt = name.lower()
    fitting = [known for known in MODELS if spelt.startswith(known)]
    return MODELS[max(fitting, key=len)] if fitting else None
