"""Does the raters' split half find what other raters score, and do its intervals cover that? ``results/raters.md``.

Run: ``python tests/benchmarks/raters.py``. Raters are a drawn truth with smooth noise.
"""

import os
import platform
import time
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.ndimage import gaussian_filter

from xfer.heatmaps import consensus
from xfer.statistics.raters import split_half_ceiling
from xfer.statistics.scores import SCORES

RESULTS = Path(__file__).parent / "results" / "raters.md"
SHAPE, STUDIES = (34, 28), 30
NAMES = ("pearson", "cosine", "area_iou", "otsu_iou", "energy_inside")
CASES = tuple((noise, width, n) for noise, width in ((0.2, 2), (0.6, 2), (1.2, 2), (0.6, 4)) for n in (4, 8, 20))


def simulated(n: int, noise: float, width: float, rng: np.random.Generator) -> np.ndarray:
    """Shares (rater, pixel): two eyes and a mouth, a floor, smooth noise; what is below 0 is cut."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    spots = ((10, 8, 3, 1), (10, 20, 3, 1), (25, 14, 4.5, 0.7))
    truth = 0.3 + sum(h * np.exp(-((y - a) ** 2 + (x - b) ** 2) / (2 * s**2)) for a, b, s, h in spots)
    fields = gaussian_filter(rng.standard_normal((n, SHAPE[0] + 20, SHAPE[1] + 20)), (0, width, width))
    fields = fields[:, 10:-10, 10:-10]
    maps = np.maximum(truth + noise * fields / fields.std(), 0).reshape(n, -1)
    return (maps / maps.sum(axis=1, keepdims=True)).astype(np.float32)


def one(noise: float, width: float, n: int, rng: np.random.Generator) -> list[dict[str, object]]:
    """Each score: what other raters score, half against half, the ceiling, and how often its interval covers."""
    groups = [simulated(n, noise, width, rng) for _ in range(STUDIES)]
    masks = [consensus(group.mean(axis=0)) for group in groups]
    rows: list[dict[str, object]] = []
    for name in NAMES:
        pairs = [(i, i - apart) for i in range(STUDIES) for apart in range(1, 6)]
        fresh = np.mean([SCORES[name](groups[i].mean(axis=0), masks[j]) for i, j in pairs])
        found = [split_half_ceiling(group, name, seed=i) for i, group in enumerate(groups)]
        half, ceiling = (np.mean([getattr(f, part) for f in found]) for part in ("value", "corrected"))
        covers = np.mean([f.ci_low <= fresh <= f.ci_high for f in found])
        rows.append(
            {"score": name, "noise": noise, "width, px": width, "raters": n, "other raters": fresh, "halves": half,
             "ceiling": ceiling, "ceiling - other": ceiling - fresh, "halves - other": half - fresh, "covers": covers}
        )  # fmt: skip
    return rows


def main() -> None:
    """Simulate and write."""
    began = time.process_time()
    rng = np.random.default_rng(1)
    table = pd.DataFrame([row for case in CASES for row in one(*case, rng)]).sort_values(
        ["score", "noise", "width, px", "raters"], kind="stable"
    )
    ends = table.groupby("score")[["ceiling - other", "halves - other"]].agg(["min", "max"])
    lines = [
        "# The raters' split half",
        "",
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}; {STUDIES} simulated "
        f"studies a row, {time.process_time() - began:.0f} s of CPU. 'Other raters' is the mean score of the mean map "
        "of as many other raters against the mask; 'halves' is half against half; 'covers' is the share of 95 % "
        "intervals of the ceiling that hold 'other raters' (standard error .04 near .95).",
        "",
        "| score | ceiling - other raters | halves - other raters |",
        "|---|---|---|",
        *(f"| {name} | {a:+.3f} to {b:+.3f} | {c:+.3f} to {d:+.3f} |" for name, (a, b, c, d) in
          zip(ends.index, ends.to_numpy(), strict=True)),
        "",
        "| " + " | ".join(table.columns) + " |",
        "|" + "---|" * table.shape[1],
        *("| " + " | ".join(f"{v:.3f}" if isinstance(v, float) else str(v) for v in row) + " |"
          for row in table.itertuples(index=False, name=None)),
    ]  # fmt: skip
    RESULTS.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
