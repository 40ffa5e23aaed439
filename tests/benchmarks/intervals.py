"""Intervals for 12 networks x 6 expressions x 600 faces at half resolution; writes ``results/intervals.md``.

Run: ``python tests/benchmarks/intervals.py [--cells N]``. One process; set OMP_NUM_THREADS for others. Fewer cells than
72 are measured and multiplied, which the table says.
"""

import argparse
import os
import resource
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter

from xfer.statistics.clades import corrected_correlations
from xfer.statistics.estimates import difference, estimate, mean_estimate
from xfer.statistics.permutation import paired
from xfer.statistics.sampling import unit_maps
from xfer.study.sums import pooled

RESULTS = Path(__file__).parent / "results" / "intervals.md"
FULL, BLOCKS, FACES, CELLS = (275, 224), 200, 600, 72

HEAD = """# Intervals at half resolution

One cell = one network and expression: {faces} faces in {blocks} blocks, {pixels} pixels of support on {height} x
{width}, 2,000 draws. {cells} cells measured, times {times:g} for the 72 of 12 networks and 6 expressions; {cores}
cores, load {load:.1f}. Asked: 72 cells of area IoU, Pearson and energy in 180 s, under 2 GB. Most memory here:
{memory:.0f} MB.

| what | processor time (s) | wall time (s) |
|---|---:|---:|"""


def halved(maps: np.ndarray) -> np.ndarray:
    """Sums over squares of 2 x 2 pixels."""
    return pooled(maps, np.ones(FULL, bool))


def block_sums(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sums (block, y, x) of positive maps at full resolution, counts (block,), the population map."""
    base = gaussian_filter(rng.standard_normal(FULL), 16)
    heat = np.exp(base / base.std())
    fields = gaussian_filter(rng.standard_normal((48, *FULL)), (0, 10, 10))
    fields /= fields.std()
    counts = rng.multinomial(FACES - BLOCKS, np.full(BLOCKS, 1 / BLOCKS)) + 1
    noise = np.tensordot(rng.standard_normal((BLOCKS, 48)) * np.sqrt(counts / 48)[:, None] * 8, fields, 1)
    return np.maximum(heat * counts[:, None, None] + heat * noise, 0), counts, heat


def scene(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Sums at full resolution, counts, and at half resolution a mask that resembles the map and the support."""
    sums, counts, heat = block_sums(rng)
    rows, columns = np.mgrid[:138, :112]
    support = ((rows - 69) / 57) ** 2 + ((columns - 56) / 40) ** 2 < 1
    likeness = halved(heat + 2 * heat.std() * gaussian_filter(rng.standard_normal(FULL), 12) * 40)
    return sums, counts, (likeness > np.quantile(likeness[support], 0.75)).astype(float), support


def works(cells: int) -> Iterator[tuple[str, Callable[[], object], float]]:
    """What is measured: its name, the work, and by how much its time is multiplied."""
    rng = np.random.default_rng(0)
    sums, counts, mask, support = scene(rng)
    maps = unit_maps(halved(sums), 4 * counts)
    yield "maps of the blocks, halved, 72 cells", lambda: unit_maps(halved(sums), 4 * counts), CELLS
    for name in ("area_iou", "pearson", "energy_inside", "otsu_iou"):
        one = partial(estimate, maps, mask, name, support=support)
        yield f"{name}, 72 cells", partial(lambda one: [one(seed=seed) for seed in range(cells)], one), CELLS / cells
    other = maps[::-1] * 0.5 + maps * 0.5
    yield "paired test, one pair, 2,000 swaps", lambda: paired(maps, other, mask, support=support), 1
    twelve = maps[None, :, support] + rng.standard_normal((12, 1, int(support.sum())))
    made = {str(e): estimate(maps, mask, "area_iou", support=support, draws=2000) for e in range(6)}
    yield "intervals of 66 pairs' differences", lambda: [
        difference(mean_estimate(made), mean_estimate(made)) for _ in range(66)
    ], 1  # fmt: skip
    yield "1,000 draws of 12 x 12 correlations", lambda: corrected_correlations(twelve, draws=1000), 1


def main() -> None:
    """Measure and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cells", type=int, default=6)
    cells = parser.parse_args().cells
    lines = []
    for name, work, factor in works(cells):
        start = time.process_time(), time.perf_counter()
        work()
        spent = time.process_time() - start[0], time.perf_counter() - start[1]
        lines.append(f"| {name} | {spent[0] * factor:.1f} | {spent[1] * factor:.1f} |")
        print(lines[-1], flush=True)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    facts = {"faces": FACES, "blocks": BLOCKS, "pixels": int(scene(np.random.default_rng(0))[3].sum()), "cells": cells}
    head = HEAD.format(
        **facts,
        height=138,
        width=112,
        times=CELLS / cells,
        cores=os.cpu_count(),
        load=os.getloadavg()[0],
        memory=memory,
    )
    RESULTS.write_text("\n".join([head, *lines, ""]))


if __name__ == "__main__":
    main()
