"""Coverage of the intervals, and validity and power of the tests, by simulation; writes ``results/coverage.md``.

Run: ``python tests/benchmarks/coverage.py [--studies N] [--tests N]``. One process.

A study: a smooth positive population map and a smooth mask on 30 x 24 pixels, both new in every study; n subjects whose
maps are the population map plus smooth noise, stronger where the map is high, of such a size that the mean map has the
reliability asked for. The truth is the score of the population map.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import stats

from xfer.statistics.anchors import anchor, anchored
from xfer.statistics.estimates import Estimate, difference, estimate, mean_estimate, mean_interval
from xfer.statistics.groups import mantel, permanova
from xfer.statistics.multiplicity import adjust
from xfer.statistics.permutation import paired
from xfer.statistics.ranks import ranking
from xfer.statistics.scores import area_iou, pearson

RESULTS = Path(__file__).parent / "results" / "coverage.md"
SIZE = (30, 24)
SUBJECTS, RELIABILITIES = (30, 200), (0.5, 0.8, 0.95)
DRAWS = 300
MAP_LENGTH, NOISE_LENGTH = 4.0, 2.5
"""Correlation lengths in pixels."""

Floats = NDArray[np.floating]


@cache
def field(length: float) -> NDArray[np.float64]:
    """Rows whose random combinations are stationary Gaussian fields (k, pixel) of unit variance."""
    points = np.stack(np.mgrid[: SIZE[0], : SIZE[1]], axis=-1).reshape(-1, 2).astype(float)
    apart = ((points[:, None] - points) ** 2).sum(axis=-1)
    values, vectors = np.linalg.eigh(np.exp(-apart / (2 * length**2)))
    large = values > 1e-3 * values.max()
    return (vectors[:, large] * np.sqrt(values[large])).T


def draw(rng: np.random.Generator, length: float, *shape: int) -> NDArray[np.float64]:
    """Gaussian fields (..., pixel)."""
    rows = field(length)
    return rng.standard_normal((*shape, len(rows))) @ rows


@dataclass(frozen=True)
class Truth:
    """A population map (pixel,) and a mask (pixel,)."""

    map: NDArray[np.float64]
    mask: NDArray[np.float64]

    @staticmethod
    def random(rng: np.random.Generator) -> "Truth":
        """A map, and a mask of 15 to 35 % of the pixels that resembles it."""
        base = draw(rng, MAP_LENGTH)
        other = 0.6 * base + 0.8 * draw(rng, MAP_LENGTH)
        share = rng.uniform(0.15, 0.35)
        heat = np.exp(0.7 * base)
        return Truth(heat / heat.sum(), (other >= np.quantile(other, 1 - share)).astype(float))

    def noise(self, reliability: float, n: int, length: float) -> NDArray[np.float64]:
        """Standard deviation of a subject's noise at every pixel."""
        local = 0.5 + self.map / self.map.mean()
        rows = field(length) * local
        power = ((rows - rows.mean(axis=1, keepdims=True)) ** 2).sum() / rows.shape[1]
        return local * np.sqrt(self.map.var() * (1 - reliability) / reliability * n / power)

    def subjects(
        self, rng: np.random.Generator, n: int, reliability: float, length: float = NOISE_LENGTH
    ) -> NDArray[np.float32]:
        """Maps (n, y, x)."""
        maps = self.map + self.noise(reliability, n, length) * draw(rng, length, n)
        return maps.reshape(n, *SIZE).astype(np.float32)


def surrogates(rng: np.random.Generator, heat: Floats, count: int) -> NDArray[np.float64]:
    """Maps (count, pixel) with the spectrum of a map and random phases."""
    spectrum = np.abs(np.fft.rfft2(heat.reshape(SIZE)))
    phases = np.fft.rfft2(rng.standard_normal((count, *SIZE)))
    return np.fft.irfft2(spectrum * phases / np.abs(phases), s=SIZE).reshape(count, -1)


Case = tuple[str, float, Estimate]


def cases(rng: np.random.Generator, n: int, reliability: float, draws: int, length: float) -> Iterator[Case]:
    """Name, truth and estimate of every kind of number of one simulated study."""
    truth = Truth.random(rng)
    maps, mask = truth.subjects(rng, n, reliability, length), truth.mask.reshape(SIZE)
    seed = int(rng.integers(2**31))
    inside = maps.reshape(n, -1) @ truth.mask / truth.mask.sum()
    yield "mean", float(truth.map @ truth.mask / truth.mask.sum()), mean_interval(inside, draws=draws, seed=seed)
    correlation, overlap = (estimate(maps, mask, name, draws=draws, seed=seed) for name in ("pearson", "area_iou"))
    yield "Pearson", float(pearson(truth.map, truth.mask)), correlation
    aimed = float(area_iou(truth.map, truth.mask))
    yield "area IoU", aimed, overlap
    null = area_iou(surrogates(rng, maps.mean(axis=0), 100), truth.mask)
    exact = float(area_iou(surrogates(rng, truth.map, 400), truth.mask).mean())
    likeness = draw(rng, MAP_LENGTH, 4) + 2.0 * (truth.mask - truth.mask.mean())
    ceiling = float(area_iou(likeness, truth.mask).mean())
    yield "anchored", (aimed - exact) / (ceiling - exact), anchored(overlap, anchor(null), anchor(ceiling))
    other = Truth(Truth.random(rng).map, truth.mask)
    second = estimate(other.subjects(rng, n, reliability, length), mask, "area_iou", draws=draws, seed=seed)
    yield "difference of IoU", aimed - float(area_iou(other.map, truth.mask)), difference(overlap, second)
    yield "pair of networks", *pair(rng, n, reliability, draws, length)


def pair(rng: np.random.Generator, n: int, reliability: float, draws: int, length: float) -> tuple[float, Estimate]:
    """Truth and estimate of the difference of two networks' mean IoU over three expressions.

    Half the noise of a subject is shared by the networks, as it is of the same faces; the maps of an expression too.
    """
    parts: list[dict[str, Estimate]] = [{}, {}]
    aimed, seed = 0.0, int(rng.integers(2**31))
    for expression in ("anger", "fear", "happiness"):
        first, common = Truth.random(rng), draw(rng, length, n)
        heat = np.exp(0.5 * np.log(first.map / first.map.mean()) + 0.5 * draw(rng, MAP_LENGTH))
        for sign, of, truth in zip((1, -1), parts, (first, Truth(heat / heat.sum(), first.mask)), strict=True):
            noise = np.sqrt(0.5) * (common + draw(rng, length, n))
            maps = (truth.map + truth.noise(reliability, n, length) * noise).reshape(n, *SIZE).astype(np.float32)
            mask = truth.mask.reshape(SIZE)
            of[expression] = estimate(maps, mask, "area_iou", draws=draws, seed=seed)
            aimed += sign * float(area_iou(truth.map, truth.mask)) / 3
    return aimed, difference(mean_estimate(parts[0]), mean_estimate(parts[1]))


def coverage(
    studies: int, n: int, reliability: float, *, draws: int = DRAWS, length: float = NOISE_LENGTH
) -> pd.DataFrame:
    """One row a kind of number: coverage, misses on either side, bias with and without correction, no interval."""
    rng = np.random.default_rng([studies, n, round(100 * reliability)])
    rows = []
    for _ in range(studies):
        for name, aimed, found in cases(rng, n, reliability, draws, length):
            given = bool(found.ci_method)
            rows.append((name, found.ci_low <= aimed <= found.ci_high if given else np.nan, found.ci_low > aimed,
                         found.ci_high < aimed, found.corrected - aimed if given else np.nan,
                         found.value - aimed, found.ci_high - found.ci_low, not given))  # fmt: skip
    columns = ["number", "covered", "above", "below", "bias", "raw bias", "width", "none"]
    table = pd.DataFrame(rows, columns=columns)
    means = table.drop(columns="width").groupby("number", sort=False).mean()
    return means.assign(width=table.groupby("number")["width"].median(), n=n, reliability=reliability).reset_index()


def paired_p(rng: np.random.Generator, score: str, shift: float = 0.0) -> float:
    """Two networks on the same 40 subjects; the second's population map leans towards the mask by ``shift``."""
    truth = Truth.random(rng)
    shared = truth.subjects(rng, 40, 0.8).reshape(40, -1)
    spread = truth.noise(0.8, 40, NOISE_LENGTH)
    first, second = (shared + spread * draw(rng, NOISE_LENGTH, 40) for _ in range(2))
    second += shift * truth.map.std() * (truth.mask - truth.mask.mean()) / truth.mask.std()
    mask, seed = truth.mask.reshape(SIZE), int(rng.integers(2**31))
    maps = (one.reshape(40, *SIZE) for one in (first, second))
    return paired(*maps, mask, score, permutations=299, seed=seed).p


def ranks_p(rng: np.random.Generator, what: str, shift: float = 0.0) -> float:
    """Smallest p over 8 networks in 12 blocks; the first one's scores are ``shift`` standard deviations higher."""
    scores = rng.standard_normal((12, 8)) + rng.standard_normal((12, 1))
    scores[:, 0] += shift
    found = ranking(pd.DataFrame(scores), post_hoc="wilcoxon_holm" if what == "wilcoxon_holm" else "nemenyi")
    return found.p if what == "friedman" else float(np.nanmin(found.pairs.to_numpy()[np.triu_indices(8, 1)]))


def groups_p(rng: np.random.Generator, test: Callable, shift: float = 0.0) -> float:
    """Distances of 12 networks' maps, 8 of which share a pattern of ``shift`` standard deviations."""
    maps = draw(rng, MAP_LENGTH, 12)
    maps[:8] += shift * draw(rng, MAP_LENGTH)
    return test(1 - np.corrcoef(maps), ["pretrained"] * 8 + ["not"] * 4).p


def false_discoveries(rng: np.random.Generator, real: int, method: str) -> tuple[float, float]:
    """False share of discoveries (any false one for Holm) at 0.05, and power, over 72 tests ``real`` of which are."""
    z = rng.standard_normal(72) * np.sqrt(0.7) + rng.standard_normal() * np.sqrt(0.3)
    z[:real] += 3.0
    found = adjust(stats.norm.sf(z), method).p <= 0.05
    false = found[real:].sum()
    return (float(false > 0) if method == "holm" else false / max(found.sum(), 1)), float(found[:real].mean())


TESTS: dict[str, tuple[Callable[[np.random.Generator, float], float], float, int]] = {
    "paired permutation, area IoU": (lambda rng, shift: paired_p(rng, "area_iou", shift), 0.3, 8),
    "paired permutation, Pearson": (lambda rng, shift: paired_p(rng, "pearson", shift), 0.3, 8),
    "Friedman": (lambda rng, shift: ranks_p(rng, "friedman", shift), 1.0, 4),
    "Nemenyi, any pair": (lambda rng, shift: ranks_p(rng, "nemenyi", shift), 1.0, 4),
    "Wilcoxon-Holm, any pair": (lambda rng, shift: ranks_p(rng, "wilcoxon_holm", shift), 1.0, 1),
    "PERMANOVA": (lambda rng, shift: groups_p(rng, permanova, shift), 0.7, 4),
    "Mantel": (lambda rng, shift: groups_p(rng, mantel, shift), 0.7, 4),
}
"""p under a shift; the shift of the planted effect; studies as a multiple of those asked for."""
LEVELS = (0.01, 0.05, 0.10)


def validity(name: str, studies: int) -> tuple[int, list[float], float]:
    """Studies, share of null studies with p at or below every level, share of planted ones at 0.05."""
    function, shift, factor = TESTS[name]
    rng = np.random.default_rng(len(name))
    null = np.array([function(rng, 0.0) for _ in range(studies * factor)])
    planted = np.array([function(rng, shift) for _ in range(max(studies // 4, 50))])
    return len(null), [float((null <= level).mean()) for level in LEVELS], float((planted <= 0.05).mean())


def coverage_lines(table: pd.DataFrame) -> Iterator[str]:
    """The coverage table in Markdown."""
    yield "| number | n | reliability | coverage | too high | too low | bias | bias without correction | width | none |"
    yield "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|"
    for row in table.sort_values(["number", "n", "reliability"], kind="stable").to_dict("records"):
        anti = " (anti-conservative here)" if row["covered"] < 0.93 else ""
        yield (
            f"| {row['number']} | {row['n']} | {row['reliability']} | {row['covered']:.3f}{anti} | {row['above']:.3f} "
            f"| {row['below']:.3f} | {row['bias']:+.4f} | {row['raw bias']:+.4f} | {row['width']:.3g} "
            f"| {row['none']:.3f} |"
        )


def test_lines(studies: int) -> Iterator[str]:
    """The validity table in Markdown; at most alpha + 2 standard errors is asked for."""
    yield "| test | null studies | p <= .01 | p <= .05 | p <= .10 | within 2 SE | power at .05 |"
    yield "|---|---:|---:|---:|---:|---|---:|"
    for name in TESTS:
        n, found, power = validity(name, studies)
        allowed = [level + 2 * np.sqrt(level * (1 - level) / n) for level in LEVELS]
        kept = "yes" if all(x <= y for x, y in zip(found, allowed, strict=True)) else "NO"
        yield f"| {name} | {n} | {' | '.join(f'{x:.4f}' for x in found)} | {kept} | {power:.2f} |"
    yield ""
    yield "| 72 tests, 14 real | false discovery rate / any false one | power |"
    yield "|---|---:|---:|"
    rng = np.random.default_rng(72)
    for method in ("benjamini_hochberg", "holm"):
        found = np.mean([false_discoveries(rng, 14, method) for _ in range(20 * studies)], axis=0)
        yield f"| {method} | {found[0]:.4f} | {found[1]:.2f} |"


HEAD = """# Coverage of 95 % intervals, validity and power of tests

{studies} simulated studies a cell (standard error {error:.3f} at 95 %), {draws} draws a study; {tests} null studies a
test or more. Population map: exp of a Gaussian field of correlation length {map} px on {height} x {width} px;
subjects' noise: length {noise} px, stronger where the map is high. "too high", "too low": share of intervals that lie
above, below the truth; "none": share of studies without an interval, which say why. "bias without correction" is what a
plain score of the mean map has. Aim: 0.93 to 0.97 where reliability is at least 0.8. {machine}, {seconds:.0f} s.
"""


def main() -> None:
    """Run everything and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--studies", type=int, default=1000)
    parser.add_argument("--tests", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=RESULTS)
    asked = parser.parse_args()
    start = time.perf_counter()
    cells = []
    for n in SUBJECTS:
        for reliability in RELIABILITIES:
            cells.append(coverage(asked.studies, n, reliability))
            print(cells[-1].to_string(), f"{time.perf_counter() - start:.0f} s", flush=True)
    smooth = coverage(asked.studies // 2, 60, 0.8, length=MAP_LENGTH)
    tests = list(test_lines(asked.tests))
    head = HEAD.format(
        draws=DRAWS,
        studies=asked.studies, error=np.sqrt(0.95 * 0.05 / asked.studies), tests=asked.tests, map=MAP_LENGTH,
        noise=NOISE_LENGTH, height=SIZE[0], width=SIZE[1], machine=f"{os.cpu_count()} cores, one process",
        seconds=time.perf_counter() - start,
    )  # fmt: skip
    lines = [head, *coverage_lines(pd.concat(cells)), "", "Noise as smooth as the map:", "", *coverage_lines(smooth)]
    asked.out.write_text("\n".join([*lines, "", "## Tests", "", *tests, ""]))
    print(*tests, sep="\n")


if __name__ == "__main__":
    main()
