"""How much raters agree: on where an expression is seen, and on what is seen."""

from itertools import combinations

import numpy as np
import pandas as pd

from xfer import labels, mask_sources, statistics
from xfer.annotation.collection import Collection
from xfer.annotation.order import FACE
from xfer.inspection.raters import cohens_kappa
from xfer.mask_sources import HUMAN
from xfer.nulls.canvas import coarsen_support
from xfer.study.raters import ceilings

ASKED = (("iou", "area", "area_iou"), ("pearson", "", "pearson"))
"""The scores whose split-half ceiling is told: metric, threshold, name in `xfer.statistics.scores`."""

COLUMNS = ("expression", "raters", "between", "reliability", "ceiling_iou", "ceiling_pearson", "reason")


def reliability(collection: Collection, seed: int = 0) -> pd.DataFrame:
    """Agreement of the maps that `write_maps` wrote, by expression.

    Parameters
    ----------
    collection : Collection
    seed : int
        Of the random halves.

    Returns
    -------
    DataFrame
        ``between``: mean Pearson correlation of two raters' maps; ``reliability`` of the mean of all of them, in the
        limit of all splits (Spearman and Brown); ``ceiling_iou`` (regions of equal area) and ``ceiling_pearson``: what
        as many other raters would score against these raters' mask, see `statistics.raters.split_half_ceiling`;
        ``reason`` says why something is NaN.

    Raises
    ------
    InputError
        If there are no maps.
    """
    sources = mask_sources.load(f"{HUMAN}{collection.home}")
    (people,) = sources.raters.values()
    inside = coarsen_support(sources.support, 2)
    told = ceilings(people, sources.support, ASKED, seed).set_index(["expression", "metric"])
    rows = []
    for at, expression in enumerate(map(str, people.coords["expression"].values)):
        usable = people.coords["reason"].values[:, at] == ""
        held = people.values[usable, at][:, inside].astype(np.float64)
        rows.append(
            {
                "expression": expression,
                "raters": len(held),
                "between": _between(held),
                "reliability": statistics.reliability.reliability(held),
                **{f"ceiling_{name}": told.loc[(expression, name), "ceiling"] for name, _, _ in ASKED},
                "reason": told.loc[(expression, "iou"), "reason"],
            }
        )
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _between(held: np.ndarray) -> float:
    """Mean correlation over pairs of rows; NaN with fewer than two."""
    if len(held) < 2:
        return float("nan")
    found = np.corrcoef(held)
    return float(found[np.triu_indices(len(held), 1)].mean())


def kappa(answers: pd.DataFrame) -> float:
    """Mean of Cohen's kappa over pairs of raters who judged some faces both; NaN where there is no such pair.

    Parameters
    ----------
    answers : DataFrame
        See `read_answers`; any answer counts as a category.
    """
    judged = answers[answers["kind"] == FACE]
    seen = {rater: own.set_index("face")["seen"] for rater, own in judged.groupby("rater")}
    found = [_pair(pd.concat([one, two], axis=1, join="inner")) for one, two in combinations(seen.values(), 2)]
    defined = [value for value in found if not np.isnan(value)]
    return float(np.mean(defined)) if defined else float("nan")


def _pair(both: pd.DataFrame) -> float:
    if both.empty:
        return float("nan")
    kinds = sorted({*both.iloc[:, 0], *both.iloc[:, 1]}, key=lambda k: (k not in labels.EXPRESSIONS, k))
    table = pd.crosstab(both.iloc[:, 0], both.iloc[:, 1]).reindex(index=kinds, columns=kinds, fill_value=0)
    return cohens_kappa(table.to_numpy())[0]
