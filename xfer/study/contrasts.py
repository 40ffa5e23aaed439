"""Which networks differ on the same faces, and how much of their dendrograms is there."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from xfer.errors import InputError
from xfer.progress import Stage
from xfer.statistics.clades import clades, corrected_correlations, support
from xfer.statistics.estimates import Estimate, difference, estimate, mean_estimate
from xfer.statistics.multiplicity import adjust
from xfer.statistics.permutation import Test, paired
from xfer.statistics.scores import SCORES
from xfer.study.resampling import Rows
from xfer.study.study import Study
from xfer.study.units import NONE, Key, Units, told_of

SCORE = "area_iou"
"""What networks are compared by."""
PAIR = (
    "first", "second", "metric", "threshold", "difference", "effect", "p", "p_holm", "p_bh", "m", "n", "method",
    "reason", "corrected", "ci_low", "ci_high", "ci_method", "interval_reason",
)  # fmt: skip
CLADE = ("expression", "join", "members", "support", "draws")


def pairs(
    keys: Sequence[Key],
    units: Units,
    truth: dict[str, NDArray[np.float32]],
    known: Mapping[Key, Estimate],
    draws: int,
    seed: int,
    progress: Stage,
    drawing: Callable[..., list[Rows]] | None = None,
) -> pd.DataFrame:
    """Every pair of networks on the same faces, by the mean IoU over the expressions that both have.

    Maps are swapped unit by unit for p; the interval is that of the difference of the noise-corrected means, with the
    same units drawn for both networks.

    Parameters
    ----------
    keys : sequence of (model, expression)
    units : Units
    truth : dict of expression to mask (y, x)
        At half resolution.
    known : mapping of (model, expression) to Estimate
        Estimates of `SCORE` made with this seed and as many draws.
    draws, seed : int
    progress : callable
    drawing : callable, optional
        ``(swaps, count, tick=tick) -> rows of every pair``, see `xfer.study.resampling.resample`; one after another by
        default.
    """
    models = list(dict.fromkeys(model for model, _ in keys))
    both = list(combinations(models, 2)) if units.level != NONE else []
    swaps, tick = Swaps(units, tuple(keys), tuple(both), truth, draws, seed), progress("comparing networks", len(both))
    found = drawing(swaps, len(both), tick=tick) if drawing else [swaps.rows(i) for i in range(len(both))]
    tests = [Test(**row) for (row,) in found]
    scores = _in_step(keys, units, truth, known, draws, seed) if both else {}
    apart = [_apart(pair, _shared(keys, pair, truth), scores) for pair in both]
    p = np.array([test.p for test in tests])
    holm, bh = (adjust(p, method) for method in ("holm", "benjamini_hochberg"))
    rows = [
        (*pair, "iou", "area", test.statistic, test.effect, test.p, holm.p[i], bh.p[i], holm.m,
         test.n, f"permutation of {units.level}, {test.permutations} swaps", test.reason,
         apart[i].corrected, apart[i].ci_low, apart[i].ci_high, apart[i].ci_method, apart[i].reason)
        for i, (pair, test) in enumerate(zip(both, tests, strict=True))
    ]  # fmt: skip
    return pd.DataFrame(rows, columns=list(PAIR))


@dataclass(frozen=True, eq=False)
class Swaps:
    """The tests of pairs of networks, pair by pair."""

    units: Units
    keys: tuple[Key, ...]
    pairs: tuple[tuple[str, str], ...]
    truth: Mapping[str, NDArray[np.float32]]
    draws: int
    seed: int

    def told(self) -> Iterator[bytes]:
        """See `xfer.study.resampling.Resampled`."""
        yield from told_of(self.units, self.keys, self.truth)
        yield repr(("pairs", self.keys, self.pairs, self.draws, self.seed)).encode()

    def rows(self, member: int) -> Rows:
        """The `Test` of a pair."""
        pair = self.pairs[member]
        shared = _shared(self.keys, pair, self.truth)
        return [vars(_paired(self.units, pair, shared, self.truth, self.draws, self.seed))]


def _shared(keys: Sequence[Key], pair: tuple[str, str], truth: Mapping[str, NDArray[np.float32]]) -> list[str]:
    """The expressions that both have a score of: a map that a fold lacks can be resampled over the others, no more."""
    return [e for e in truth if all((model, e) in keys for model in pair)]


def _in_step(
    keys: Sequence[Key],
    units: Units,
    truth: dict[str, NDArray[np.float32]],
    known: Mapping[Key, Estimate],
    draws: int,
    seed: int,
) -> dict[Key, Estimate]:
    """Estimates whose draws are of the same units in all networks of an expression.

    Those that are known serve where the networks have the same units; where one lacks some, maps are aligned.
    """
    found: dict[Key, Estimate] = {}
    for expression in truth:
        members = [key for key in keys if key[1] == expression]
        alike = len({units.names[key] for key in members}) == 1
        if alike and all(key in known for key in members):
            found |= {key: known[key] for key in members}
            continue
        names = list(dict.fromkeys(name for key in members for name in units.names[key]))
        options: dict[str, Any] = {"support": units.inside, "draws": draws, "seed": seed}
        for key in members:
            found[key] = estimate(units.canvas(units.aligned(key, names)), truth[expression], SCORE, **options)
    return found


def _apart(pair: tuple[str, str], expressions: Sequence[str], scores: Mapping[Key, Estimate]) -> Estimate:
    """The difference of two networks' means over expressions."""
    if not expressions:
        return Estimate(np.nan, reason="no expression in common")
    return difference(*(mean_estimate({e: scores[model, e] for e in expressions}) for model in pair))


def _paired(
    units: Units,
    pair: tuple[str, str],
    expressions: Sequence[str],
    truth: Mapping[str, NDArray[np.float32]],
    draws: int,
    seed: int,
) -> Test:
    """`statistics.paired` over several expressions at once, whose maps of one unit are swapped together."""
    if not expressions:
        return Test(np.nan, np.nan, np.nan, 0, False, np.nan, 0, "no expression in common")
    names = sorted({name for model in pair for e in expressions for name in units.names[model, e]})
    first, second = (
        np.concatenate([units.aligned((model, e), names) for e in expressions], axis=1)[:, None] for model in pair
    )
    mask = np.concatenate([truth[e][units.inside] for e in expressions])[None]
    return paired(first, second, mask, mean_score(len(expressions), SCORE), permutations=draws, seed=seed)


def mean_score(parts: int, name: str) -> Callable[[NDArray[Any], NDArray[Any]], NDArray[Any]]:
    """The mean of a score over maps that stand one after another in the last dimension."""
    function = SCORES[name]

    def score(values: NDArray[Any], mask: NDArray[Any]) -> NDArray[Any]:
        pieces = zip(np.split(values, parts, axis=-1), np.split(mask, parts), strict=True)
        return np.mean([function(np.ascontiguousarray(v), m) for v, m in pieces], axis=0)

    return score


def joins(study: Study, units: Units, draws: int, seed: int) -> pd.DataFrame:
    """Bootstrap support of every join of every expression's dendrogram."""
    rows: list[tuple[Any, ...]] = []
    for expression in _drawn(study.pooled):
        try:
            tree = study.tree(expression)
        except InputError:
            continue
        known = [(model, expression) for model in tree.names]
        if len(known) < 3 or units.level == NONE or any(len(units.rows.get(key, ())) < 3 for key in known):
            continue
        names = sorted({name for key in known for name in units.names[key]})
        maps = np.stack([units.aligned(key, names) for key in known])
        drawn = 1 - corrected_correlations(maps, draws=draws, seed=seed)
        shares = support(tree.linkage, drawn, study.config["linkage"])
        members = [" ".join(tree.names[i] for i in sorted(clade)) for clade in clades(tree.linkage)]
        rows += [(expression, i, members[i], float(share), draws) for i, share in enumerate(shares)]
    return pd.DataFrame(rows, columns=list(CLADE))


def _drawn(cells: xr.DataArray) -> Iterable[str]:
    return sorted(set(map(str, cells.coords["expression"].values)))
