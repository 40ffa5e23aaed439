"""What null models cost, whether their p-values hold, and what they say of the published maps; ``results/nulls.md``.

Run: ``python tests/benchmarks/nulls.py``. The published maps are used where they lie beside the checkout; the rest
is simulated. Seconds of CPU stand beside seconds, because other work on the machine does not change them.
"""

import os
import platform
import resource
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr
from scipy import fft
from scipy.ndimage import gaussian_filter
from scipy.stats import t as student

from xfer import geometry, heatmaps, masks, nulls, scoring
from xfer.labels import BASIC, KEY
from xfer.metrics import view
from xfer.nulls.cells import prepare
from xfer.nulls.comparisons import case
from xfer.nulls.rearranged import Rearranged, questions
from xfer.nulls.surrogate import ITERATIONS, Target, mirrored, random_tori, surrogate
from xfer.statistics.anchors import Anchor, anchored
from xfer.statistics.estimates import Estimate

RESULTS = Path(__file__).parent / "results" / "nulls.md"
PUBLISHED = Path(__file__).resolve().parents[3] / "shared" / "data" / "published_heatmaps"
DRAWS, NULL_MAPS, NULL_DRAWS = 2000, 288, 199
"""Draws for the published maps; maps and draws of the simulations."""

LEVELS = (0.01, 0.05, 0.10)
SOURCES = ("emfacs", "facs_investigator", "du2014", "ck_plus", "belharbi2024/belharbi2024", "belharbi2024/emfacs")
HEAD = ("iou", "pearson", "energy_inside")
CHANCE = (0.159, 0.148, 0.152, 0.112, 0.158, 0.142)
"""Chance IoU of `BASIC` at the mean Otsu area, as the issue has it."""
SWAP = (
    (0.233, 0.342, 0.285, 0.246, 0.265, 0.297), (0.171, 0.478, 0.258, 0.333, 0.261, 0.224),
    (0.236, 0.278, 0.202, 0.263, 0.229, 0.305), (0.163, 0.238, 0.110, 0.195, 0.127, 0.327),
    (0.172, 0.475, 0.243, 0.320, 0.246, 0.248), (0.232, 0.330, 0.266, 0.347, 0.278, 0.260),
)  # fmt: skip
"""Mean IoU of the heatmaps of an expression (row) with every mask, in the order of `BASIC`."""


def table(frame: pd.DataFrame) -> list[str]:
    """Markdown lines of a frame, index first."""
    frame = frame.reset_index()
    head = ["| " + " | ".join(map(str, frame.columns)) + " |", "|" + "---|" * frame.shape[1]]
    return [*head, *("| " + " | ".join(map(cell, row)) + " |" for row in frame.itertuples(index=False, name=None))]


def cell(value: object) -> str:
    """A number with three decimals, anything else as it is."""
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def published() -> tuple[xr.DataArray, xr.DataArray]:
    """The 72 maps and the six masks."""
    maps = heatmaps.read_heatmaps(PUBLISHED / "by_network", "{model}_{expression}_heatmap.png")
    return maps, heatmaps.read_masks(PUBLISHED / "masks").rename("published")


def labelled(maps: np.ndarray) -> xr.DataArray:
    """Simulated maps, one network each, the expressions in turn."""
    n = len(maps)
    keys = {name: ["none"] * n for name in KEY}
    keys |= {"model": [f"m{i:04d}" for i in range(n)], "expression": [BASIC[i % 6] for i in range(n)]}
    return xr.DataArray(maps, {name: ("cell", values) for name, values in keys.items()}, ("cell", "y", "x"))


def cost(maps: xr.DataArray, truth: xr.DataArray) -> tuple[pd.DataFrame, list[str]]:
    """All nulls at half resolution: the table of null scores, and what it took."""
    before, wall = time.process_time(), time.perf_counter()
    found = nulls.null_scores(maps, truth, threshold=["area", "otsu"], draws=DRAWS)
    wall, cpu = time.perf_counter() - wall, time.process_time() - before
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return found, [
        f"{len(maps)} maps, all nulls, {DRAWS:,} draws, half resolution, IoU at two thresholds, Pearson and energy, "
        f"with specificities: **{wall:.0f} s** ({cpu:.0f} s of CPU, load {os.getloadavg()[0]:.1f}), "
        f"peak {peak:.0f} MB. Asked, for 2,000 draws: 180 s on 2 cores, 2 GB.",
    ]


def against_the_study(maps: xr.DataArray, truth: xr.DataArray) -> list[str]:
    """Chance at the mean Otsu area on the whole canvas, and the swap matrix, beside the numbers known of the study."""
    chance = nulls.expected_iou(maps, truth).reindex(list(BASIC))
    swap = scoring.swap(scoring.score(maps, truth, metrics=["iou"], threshold="otsu")).loc[list(BASIC), list(BASIC)]
    apart = np.abs(swap.to_numpy() - np.array(SWAP)).max()
    return [
        *table(pd.DataFrame({"expected": chance, "asked": CHANCE}, list(BASIC)).T.rename_axis("chance IoU")),
        "",
        f"Largest difference: {np.abs(chance.to_numpy() - np.array(CHANCE)).max():.4f} (asked .002); of the 36 entries "
        f"of the swap matrix {apart:.4f} (asked .001).",
    ]


def beaten(found: pd.DataFrame) -> list[str]:
    """How many of the 72 cells beat the primary null, per expression."""
    rows = found[found["null"] == nulls.primary().name]
    wins = rows.assign(win=rows["q"] <= 0.05).pivot_table(
        "win", ["metric", "threshold"], "expression", aggfunc="sum", sort=False
    )
    wins = wins.assign(all=wins.sum(axis=1)).astype(int)
    groups = rows.assign(win=rows["p"] <= 0.05).groupby(["metric", "threshold"], sort=False)
    return table(wins.assign(**{"all, p <= .05": groups["win"].sum(), "smallest q": groups["q"].min()}))


def winners(found: pd.DataFrame, metric: str, threshold: str) -> str:
    """The cells that beat the primary null."""
    rows = found[(found["null"] == nulls.primary().name) & (found["metric"] == metric)]
    rows = rows[(rows["threshold"] == threshold) & (rows["q"] <= 0.05)]
    return ", ".join(f"{m} {e}" for m, e in zip(rows["model"], rows["expression"], strict=True)) or "none"


def rivals(found: pd.DataFrame) -> list[str]:
    """Mean score, and mean of every null, per expression, for IoU at Otsu's threshold."""
    rows = found[(found["metric"] == "iou") & (found["threshold"] == "otsu")]
    means = rows.pivot_table("null_mean", "null", "expression")
    spread = rows[rows["null"] == nulls.primary().name].groupby("expression")["null_sd"].mean()
    score = rows.drop_duplicates(["model", "expression"]).groupby("expression")["value"].mean()
    return table(
        pd.concat([score.to_frame("score").T, means, spread.to_frame("sd of surrogates").T]).rename_axis("what")
    )


def mean_maps(maps: xr.DataArray, truth: xr.DataArray) -> list[str]:
    """The mean map over networks, one test per expression: which expressions are specific."""
    pooled = maps.groupby("expression").mean().transpose("expression", "y", "x").reindex(expression=list(BASIC))
    keys = {name: ("cell", ["mean"] * 6) for name in KEY} | {"expression": ("cell", list(BASIC))}
    study = xr.DataArray(pooled.values, keys, ("cell", "y", "x"))
    found = nulls.null_scores(study, truth, nulls="surrogate", threshold=["otsu"], draws=DRAWS)
    found = found[found["metric"].isin(["iou", "iou_specificity", "pearson", "pearson_specificity"])]
    wide = found.pivot_table(["value", "null_mean", "p", "q"], "expression", "metric", sort=False)
    lines = []
    for name in ("iou", "iou_specificity", "pearson", "pearson_specificity"):
        lines += ["", f"`{name}`", "", *table(wide.xs(name, axis=1, level=1)[["value", "null_mean", "p", "q"]])]
    return lines


def halves(maps: xr.DataArray, truth: xr.DataArray) -> list[str]:
    """Differences of half from full resolution."""
    found = nulls.resolution_differences(maps, truth, threshold=["area", "otsu"])
    found = found.assign(size=found["difference"].abs())
    groups = found.groupby(["metric", "threshold"], sort=False)
    return table(groups.agg(mean=("size", "mean"), largest=("size", "max"), bias=("difference", "mean")))


def rounds(maps: xr.DataArray, truth: xr.DataArray) -> list[str]:
    """Error of the spectrum and mean and spread of the null after some rounds, every ninth map."""
    some = maps[::9]
    cells = prepare(some, truth, None, 0.5)
    seen, asked = view(cells.masks, cells.support), questions(["iou", "pearson"], ["area"])
    rows = {}
    for count in (0, 1, 2, ITERATIONS, 10, 40):
        errors, means, spreads = [], [], []
        for index in range(len(some)):
            one = case(cells, index, seen, asked)
            torus = mirrored(one.heatmap)
            target = Target.of(torus)
            fields = random_tori(target, 4, np.random.default_rng(0), count)
            order = fields.reshape(4, -1).argsort(axis=1).argsort(axis=1)
            reached = np.abs(fft.rfft2(np.sort(torus, axis=None)[order].reshape(fields.shape)))
            errors += list(np.linalg.norm(reached - target.amplitudes, axis=(1, 2)) / np.linalg.norm(target.amplitudes))
            values = Rearranged(one.heatmap, seen, cells.support, asked)
            batches = surrogate(one.heatmap, cells.support, 200, np.random.default_rng(1), iterations=count)
            scores = np.concatenate([values.scores(values.place(f.reshape(len(f), -1)))[0] for f in batches])
            means.append(scores[:, one.own].mean())
            spreads.append(scores[:, one.own].std())
        rows[count] = (
            float(np.median(errors)),
            max(map(float, errors)),
            float(np.mean(means)),
            float(np.mean(spreads)),
        )
    names = ["error, median", "error, largest", "mean area IoU", "sd of area IoU"]
    return table(pd.DataFrame(rows, index=names).T.rename_axis("rounds"))


def smooth(rng: np.random.Generator, count: int, width: float, skew: float) -> np.ndarray:
    """Crops of stationary random fields, Gaussian or lognormal."""
    maps = []
    for _ in range(count):
        field = gaussian_filter(rng.standard_normal((435, 384), dtype=np.float32), width)[80:-80, 80:-80]
        field /= field.std()
        maps.append(np.exp(skew * field) if skew else field - field.min())
    return np.stack(maps).astype(np.float32)


def alike(rng: np.random.Generator, maps: xr.DataArray, times: int) -> np.ndarray:
    """Surrogates of given maps, several each: null maps with their histograms and spectra."""
    whole = np.ones(maps.shape[1:], bool)
    found = []
    for index in np.tile(np.arange(len(maps)), times):
        heatmap = maps.values[index]
        field = next(surrogate(heatmap, whole, 1, rng))[0]
        found.append(np.sort(heatmap, axis=None)[field.ravel().argsort().argsort()].reshape(heatmap.shape))
    return np.stack(found).astype(np.float32)


def validity(truth: xr.DataArray, maps: xr.DataArray | None, count: int, draws: int) -> list[str]:
    """P(p <= a) of the primary null over maps that know nothing of the masks."""
    frame = geometry.load_frame("xfer").support
    kinds: dict[str, tuple[Callable[[np.random.Generator], np.ndarray], np.ndarray | None]] = {
        "Gaussian, 8 px": (lambda rng: smooth(rng, count, 8, 0), None),
        "Gaussian, 25 px": (lambda rng: smooth(rng, count, 25, 0), None),
        "lognormal, 15 px": (lambda rng: smooth(rng, count, 15, 1), None),
        "lognormal, 15 px, inside the frame's support": (lambda rng: smooth(rng, count, 15, 1), frame),
    }
    if maps is not None:
        kinds["spectra and histograms of the published maps"] = (lambda rng: alike(rng, maps, -(-count // 72)), None)
    rows = {}
    for name, (make, support) in kinds.items():
        study = labelled(make(np.random.default_rng(11)))
        found = nulls.null_scores(study, truth, support, nulls="surrogate", draws=draws, resolution=0.25)
        for metric, group in found.groupby("metric", sort=False):
            if metric in ("iou", "pearson", "energy_inside", "iou_specificity"):
                n = len(group)
                bound = [a + 2 * np.sqrt(a * (1 - a) / n) for a in LEVELS]
                share = [float((group["p"] <= a).mean()) for a in LEVELS]
                holds = "yes" if all(s <= b for s, b in zip(share, bound, strict=True)) else "**no**"
                rows[(name, metric)] = (n, *share, holds)
    columns = ["maps", *(f"P(p <= {a:g})" for a in LEVELS), "at most a + 2 SE"]
    return table(pd.DataFrame(rows, index=columns).T.rename_axis(["fields", "metric"]))


def network_validity(truth: xr.DataArray, count: int, draws: int) -> list[str]:
    """P(p <= a) of the mean over six expressions whose heatmaps share some of their variance; draws in step, and not.

    Those of the published networks correlate by .65 to .90.
    """
    rows = {}
    for shared in (0.0, 0.5, 0.8, 0.95):
        rng = np.random.default_rng([13, round(100 * shared)])
        own = smooth(rng, 6 * count, 15, 0).reshape(count, 6, 275, 224)
        common = smooth(rng, count, 15, 0)[:, None]
        parts = [(m - m.mean((-2, -1), keepdims=True)) / m.std((-2, -1), keepdims=True) for m in (common, own)]
        maps = np.exp(np.sqrt(shared) * parts[0] + np.sqrt(1 - shared) * parts[1]).reshape(-1, 275, 224)
        study = labelled(maps.astype(np.float32))
        models = np.repeat([f"m{i:04d}" for i in range(count)], 6)
        study = study.assign_coords(model=("cell", models), expression=("cell", [*BASIC] * count))
        found = nulls.drawn_scores(study, truth, nulls="surrogate", draws=draws, resolution=0.25)
        apart = nulls.Drawn(found.table, tuple(rng.permutation(d) for d in found.draws))
        for name, one in (("in step", found), ("apart", apart)):
            means = nulls.mean_scores(one)
            for metric, group in means[means["metric"].isin(HEAD)].groupby("metric", sort=False):
                bound = [a + 2 * np.sqrt(a * (1 - a) / count) for a in LEVELS]
                share = [float((group["p"] <= a).mean()) for a in LEVELS]
                holds = "yes" if all(s <= b for s, b in zip(share, bound, strict=True)) else "**no**"
                rows[(shared, name, metric)] = (count, *share, holds)
    columns = ["networks", *(f"P(p <= {a:g})" for a in LEVELS), "at most a + 2 SE"]
    return table(pd.DataFrame(rows, index=columns).T.rename_axis(["shared variance", "draws", "metric"]))


def power(truth: xr.DataArray, count: int, draws: int) -> list[str]:
    """Share of maps found at p <= 0.05 when the blurred mask is added to a field of 15 px."""
    rng = np.random.default_rng(12)
    fields = smooth(rng, count, 15, 0)
    fields = (fields - fields.mean((1, 2), keepdims=True)) / fields.std((1, 2), keepdims=True)
    planted = np.stack([gaussian_filter(truth.values[i % 6], 8) for i in range(count)])
    planted = (planted - planted.mean((1, 2), keepdims=True)) / planted.std((1, 2), keepdims=True)
    rows = {}
    for share in (0.0, 0.1, 0.2, 0.3, 0.5):
        study = labelled((np.sqrt(share) * planted + np.sqrt(1 - share) * fields).astype(np.float32))
        found = nulls.null_scores(study, truth, nulls="surrogate", draws=draws, resolution=0.25)
        rows[share] = found.groupby("metric", sort=False)["p"].agg(lambda p: float((p <= 0.05).mean())).to_dict()
    return table(pd.DataFrame(rows).T.rename_axis("share of variance planted"))


def stands(row: pd.Series) -> float:
    """The anchored score of a row: its null mean, its ceiling and the errors of both; NaN without an interval."""
    if np.isnan(row["low"]):
        return np.nan
    rng, few = np.random.default_rng(0), int(row["n"])
    error = (row["high"] - row["low"]) / 2 / student.ppf(0.975, few - 1)
    low = Anchor(row["null_mean"], rng.normal(row["null_mean"], row["null_sd"] / np.sqrt(DRAWS), DRAWS), DRAWS)
    high = Anchor(row["ceiling"], rng.normal(row["ceiling"], error, DRAWS), few)
    return anchored(Estimate(row["value"]), low, high).value


def ceilings(found: pd.DataFrame, truth: xr.DataArray) -> list[str]:
    """Ceilings of the published masks from sources drawn on the published points, and anchored means."""
    frame = str(PUBLISHED / "canonical_points_68.csv")
    sources = [truth, *(masks.load(name, frame=frame) for name in ("ekman", *SOURCES))]
    tops = nulls.ceiling(sources, threshold=["area", "otsu"])
    rows = found[(found["null"] == nulls.primary().name) & ~found["metric"].str.contains("specificity")]
    shared = ["mask", "expression", "metric", "threshold"]
    joined = rows.merge(tops[[*shared, "ceiling", "low", "high", "n"]], on=shared)
    joined = joined.assign(anchored=[stands(row) for _, row in joined.iterrows()])
    groups = joined[joined["threshold"] != "otsu"].groupby(["metric", "expression"], sort=False)
    columns = ["value", "null_mean", "ceiling", "low", "high", "anchored"]
    text = table(groups[columns].mean())
    left = sorted(set(tops.loc[(tops["mask"] == truth.name), "left_out"]) - {""})
    undefined = int(joined["anchored"].isna().sum())
    return [
        *text,
        "",
        f"Left out as the same drawing: {', '.join(left) or 'none'}. Undefined: {undefined} of {len(joined)}.",
    ]


def of_the_published(maps: xr.DataArray, truth: xr.DataArray) -> list[str]:
    """Everything that needs the published maps."""
    found, took = cost(maps, truth)
    lines = ["## Cost", "", *took, "", "## The published maps", "", *against_the_study(maps, truth), ""]
    lines += [
        "Cells (of 12 networks each) with q <= 0.05 against surrogates, Benjamini-Hochberg over the 72 of a row; "
        "`_specificity` is the own mask minus the mean of the others.",
        "",
        *beaten(found),
        "",
    ]
    for metric, cut in (("iou", "otsu"), ("iou", "area"), ("pearson", ""), ("iou_specificity", "otsu")):
        lines += [f"`{metric}` {cut}: {winners(found, metric, cut)}.", ""]
    lines += ["IoU at Otsu's threshold: means over the 12 networks.", "", *rivals(found), ""]
    lines += ["The mean map over the 12 networks (Otsu), six tests a table:", *mean_maps(maps, truth), ""]
    lines += ["Anchored scores (area, or none): means over networks; ceilings from other mask sources.", ""]
    lines += [*ceilings(found, truth), "", "## Half resolution", ""]
    lines += ["Size of half minus full over 72 maps.", "", *halves(maps, truth), "", "## Rounds", ""]
    lines += ["Error: norm of the difference of amplitudes over that of the amplitudes, on the torus.", ""]
    return [*lines, *rounds(maps, truth), ""]


def main() -> None:
    """Measure, test and write."""
    lines = [
        "# Null models",
        "",
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}. The primary null are "
        f"smooth surrogates with {ITERATIONS} rounds of adjustment; four draws share one torus.",
        "",
    ]
    maps, truth = published() if PUBLISHED.is_dir() else (None, masks.load("ekman"))
    if maps is not None:
        lines += of_the_published(maps, truth)
        print("\n".join(lines), flush=True)
    lines += ["## Validity", "", f"Maps that know nothing of the masks, quarter resolution, {NULL_DRAWS} draws.", ""]
    lines += [
        *validity(truth, maps, NULL_MAPS, NULL_DRAWS),
        "",
        "Networks: the mean over six expressions. 'In step': the draws of a network's expressions share their phases, "
        "as the package has it; 'apart': they are independent, which is wrong where heatmaps resemble each other.",
        "",
        *network_validity(truth, NULL_MAPS // 2, NULL_DRAWS),
        "",
        "## Power",
        "",
        f"Found at p <= 0.05; {NULL_MAPS // 3} maps, {NULL_DRAWS // 2} draws.",
        "",
    ]
    lines += power(truth, NULL_MAPS // 3, NULL_DRAWS // 2)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("\n".join(lines) + "\n")
    print(RESULTS.read_text())


if __name__ == "__main__":
    main()
