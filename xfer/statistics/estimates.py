"""The score of the population mean map: noise-corrected, with an interval, and a reason where there is none."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from xfer.errors import unknown
from xfer.statistics.population import population
from xfer.statistics.reliability import cross_products, gram, reliability
from xfer.statistics.sampling import bootstrap_weights, expanded_tail
from xfer.statistics.scores import SCORES, Score

Floats = NDArray[np.floating[Any]]

JACKKNIFE = "jackknife"
DRAWS = "population draws"
STUDENT = "t"

_CHUNK = 256
_FEW = 10
_NONE = np.empty(0)
_ROUNDING = 1e-6


@dataclass(frozen=True, eq=False)
class Estimate:
    """A score and how sure it is.

    Attributes
    ----------
    value : float
        Score of the mean map as it is.
    corrected : float
        Estimated score of the population mean map. A correlation of noisy maps may come out above 1.
    ci_low, ci_high : float
        Confidence interval of the latter.
    ci_method : str
        "jackknife", "population draws", "BCa", "percentile" or "t"; "" without an interval.
    reliability : float
        Squared correlation of the mean map with the population mean map, see `xfer.statistics.reliability`.
    n : int
        Units (blocks of subjects, folds) behind it.
    reason : str
        Why something is NaN; "" where nothing is.
    df : float
        Degrees of freedom behind the interval.
    draws : array (draw,)
        Where the population's score may lie, as draws; for sums, differences and ratios of scores. Estimates made with
        the same seed from the same units have their draws in step. Empty without an interval.
    """

    value: float
    corrected: float = np.nan
    ci_low: float = np.nan
    ci_high: float = np.nan
    ci_method: str = ""
    reliability: float = np.nan
    n: int = 0
    reason: str = ""
    df: float = np.nan
    draws: NDArray[np.float64] = field(default_factory=lambda: _NONE, repr=False)


def estimate(
    maps: Floats,
    mask: Floats,
    score: str | Score,
    *,
    support: NDArray[np.bool_] | None = None,
    draws: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> Estimate:
    """Score of the population mean map against a mask.

    Parameters
    ----------
    maps : array (unit, y, x)
        See `xfer.statistics.sampling.unit_maps`.
    mask : array (y, x)
    score : name in `SCORES` or callable
        ``pearson`` and ``cosine`` are disattenuated (products of different units instead of the mean map's own length)
        and ``energy_inside`` of maps that are nowhere negative needs no correction: these have a delete-one-unit
        jackknife. Every other score is taken on `population` draws; its correction is their mean.
    support : bool array (y, x), optional
        The pixels that count.
    draws : int
    level : float
        Of the interval.
    seed : int

    Returns
    -------
    Estimate
        Never an interval from fewer than 3 units, from constant or identical maps or from maps that are noise.

    Raises
    ------
    InputError
        If the score's name is none.
    """
    if isinstance(score, str) and score not in SCORES:
        raise unknown("score", score, SCORES)
    function = SCORES[score] if isinstance(score, str) else score
    inside = np.ones(mask.shape, dtype=bool) if support is None else support
    rows, truth = np.asarray(maps)[:, inside], np.asarray(mask, dtype=np.float64)[inside]
    reason = _undefined(rows, truth)
    if reason:
        return Estimate(np.nan, n=len(rows), reason=reason)
    mean = rows.mean(axis=0, dtype=np.float64)
    bare = Estimate(float(function(mean, truth)), n=len(rows), reliability=reliability(rows))
    reason = _no_interval(bare) or _same(rows, mean)
    if reason:
        return replace(bare, reason=reason)
    if score in ("pearson", "cosine"):
        return from_jackknife(bare, _disattenuated(rows, truth, centred=score == "pearson"), draws, level, seed)
    if score == "energy_inside" and (mean >= 0).all():
        return from_jackknife(bare, _shares(rows, truth), draws, level, seed)
    return _from_draws(bare, np.asarray(maps), mask, inside, function, draws, level, seed)


def difference(first: Estimate, second: Estimate, *, level: float = 0.95) -> Estimate:
    """First minus second, two estimates from the same units and seed, with the interval of their paired draws.

    Its ``reliability`` is the smaller of the two.
    """
    plain, corrected = first.value - second.value, first.corrected - second.corrected
    bare = Estimate(plain, corrected, reliability=min(first.reliability, second.reliability), n=first.n)
    reason = first.reason or second.reason
    if not reason and (len(first.draws) != len(second.draws) or first.n != second.n):
        reason = "not the same units"
    if not reason and len(first.draws) and np.ptp(first.draws - second.draws) == 0:
        reason = "the same difference in every draw: no interval"
    if reason:
        return replace(bare, reason=reason)
    return from_draws(bare, first.draws - second.draws, min(first.df, second.df), level)


def mean_estimate(parts: Mapping[str, Estimate]) -> Estimate:
    """The mean of several expressions' estimates; their draws are averaged, in step where the units are as many.

    Undefined where one of them is, with its reason.
    """
    whole = list(parts.values())
    reason = next((f"{name}: {part.reason}" for name, part in parts.items() if part.reason), "")
    value, corrected, reliability = (
        float(np.mean([getattr(part, name) for part in whole])) for name in ("value", "corrected", "reliability")
    )
    bare = Estimate(value, corrected, reliability=reliability, n=min(part.n for part in whole), reason=reason)
    if reason or not all(len(part.draws) for part in whole):
        return bare
    generator, first = np.random.default_rng(0), whole[0].n
    drawn = [part.draws if part.n == first else generator.permutation(part.draws) for part in whole]
    return from_draws(bare, np.mean(drawn, axis=0), min(part.df for part in whole))


def from_draws(bare: Estimate, draws: NDArray[np.float64], df: float, level: float = 0.95) -> Estimate:
    """An estimate with the interval of its draws, wider for few degrees of freedom (see `expanded_tail`)."""
    tail = expanded_tail(level, df)
    low, high = np.quantile(draws, [tail, 1 - tail])
    return replace(bare, ci_low=float(low), ci_high=float(high), ci_method=DRAWS, df=df, draws=draws)


def mean_interval(
    values: Floats, *, method: str = "BCa", level: float = 0.95, draws: int = 2000, seed: int = 0
) -> Estimate:
    """A plain mean (of per-unit numbers, nothing noise could lower) with SciPy's BCa or percentile bootstrap.

    Its levels are widened for few units, see `xfer.statistics.sampling.expanded_tail`; below 10 units, whose draws
    never leave the range of the values, the interval is Student's t.

    Parameters
    ----------
    values : array (unit,)
        NaN are left out.
    method : {"BCa", "percentile"}
    level, draws, seed
        As for `estimate`.
    """
    finite = np.asarray(values, dtype=np.float64)
    finite = finite[np.isfinite(finite)]
    if not len(finite):
        return Estimate(np.nan, reason="no values")
    mean = float(finite.mean())
    bare = Estimate(mean, mean, n=len(finite))
    n = len(finite)
    if n < 3 or np.ptp(finite) == 0:
        return replace(bare, reason="constant values" if n >= 3 else f"{n} unit{'s' * (n > 1)}: no interval")
    wide = 1 - 2 * expanded_tail(level, n - 1, np.sqrt(n / (n - 1)))
    result = stats.bootstrap(
        (finite,), np.mean, n_resamples=draws, confidence_level=wide, method=method, rng=np.random.default_rng(seed)
    )
    low, high = result.confidence_interval
    if n < _FEW:
        low, high = stats.t.interval(level, n - 1, mean, stats.sem(finite))
        method = STUDENT
    moved = result.bootstrap_distribution
    return replace(bare, ci_low=float(low), ci_high=float(high), ci_method=method, df=n - 1.0, draws=moved)


def _undefined(rows: Floats, truth: Floats) -> str:
    if not len(rows):
        return "no faces"
    if not np.isfinite(rows).all():
        return "heatmap not finite"
    if not np.isfinite(truth).all():
        return "mask not finite"
    if not (truth > 0).any() or np.ptp(truth) == 0:
        return "empty mask" if not (truth > 0).any() else "full mask"
    return "constant heatmap" if np.ptp(rows.mean(axis=0, dtype=np.float64)) == 0 else ""


def _no_interval(bare: Estimate) -> str:
    if not np.isfinite(bare.value):
        return "score undefined"
    if bare.n < 3:
        return f"{bare.n} unit{'s' * (bare.n > 1)}: no interval"
    return "" if bare.reliability > 0 else "mean map indistinguishable from noise"


def _same(rows: Floats, mean: Floats) -> str:
    """Units of one map say nothing of how maps differ; where they are many it was copied."""
    apart = np.abs(rows - mean).max()
    return f"the maps of all {len(rows)} units are identical: no interval" if apart <= _ROUNDING * np.ptp(mean) else ""


@dataclass(frozen=True)
class Replicates:
    """A corrected score and what it is with each unit left out (unit,)."""

    corrected: float
    left_out: NDArray[np.float64]


def _disattenuated(rows: Floats, truth: Floats, *, centred: bool) -> Replicates:
    products, n = gram(rows, centred=centred), len(rows)
    mask = truth - truth.mean() if centred else truth
    along = np.asarray(rows, dtype=np.float64) @ (mask / np.linalg.norm(mask))
    own = np.diagonal(products)
    off = products.sum() - own.sum()
    left = (off - 2 * (products.sum(axis=1) - own)) / ((n - 1) * (n - 2))
    with np.errstate(invalid="ignore"):
        corrected = along.mean() / np.sqrt(cross_products(products))
        return Replicates(float(corrected), (along.sum() - along) / (n - 1) / np.sqrt(left))


def _shares(rows: Floats, truth: Floats) -> Replicates:
    inner = np.asarray(rows, dtype=np.float64) @ (truth >= 0.5)
    total = rows.sum(axis=1, dtype=np.float64)
    return Replicates(float(inner.sum() / total.sum()), (inner.sum() - inner) / (total.sum() - total))


def from_jackknife(bare: Estimate, found: Replicates, draws: int, level: float, seed: int) -> Estimate:
    """Interval of Student's t around the corrected score; the draws are the jackknife's pseudo-values, resampled."""
    if not np.isfinite(found.left_out).all() or not np.isfinite(found.corrected):
        return replace(bare, corrected=found.corrected, reason="reliability too low for an interval")
    n = bare.n
    pseudo = (n - 1) * (found.left_out.mean() - found.left_out)
    half = stats.t.ppf(0.5 + level / 2, n - 1) * np.sqrt(pseudo.var(ddof=1) / n)
    weights = bootstrap_weights(n, draws, np.random.default_rng(seed))
    return replace(
        bare,
        corrected=found.corrected,
        ci_low=float(found.corrected - half),
        ci_high=float(found.corrected + half),
        ci_method=JACKKNIFE,
        df=n - 1.0,
        draws=found.corrected + weights @ pseudo / n,
    )


def _from_draws(
    bare: Estimate,
    maps: Floats,
    mask: Floats,
    inside: NDArray[np.bool_],
    function: Score,
    draws: int,
    level: float,
    seed: int,
) -> Estimate:
    likely = population(maps, mask, inside)
    weights = bootstrap_weights(bare.n, draws, np.random.default_rng(seed))
    truth = np.asarray(mask[inside], dtype=np.float32)
    parts = [function(likely.draws(part), truth) for part in np.split(weights, range(_CHUNK, draws, _CHUNK))]
    scores = np.concatenate(parts).astype(np.float64)
    if not np.isfinite(scores).all():
        return replace(bare, reason="score undefined in some draws")
    return from_draws(replace(bare, corrected=float(scores.mean())), scores, likely.df, level)
