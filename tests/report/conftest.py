"""A study without a folder: smooth maps, rectangular masks, scores worked out here in plain NumPy and SciPy."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import lxml.html
import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.cluster import hierarchy
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import squareform

from xfer.clustering import Tree
from xfer.errors import InputError
from xfer.labels import BASIC, KEY
from xfer.mask_sources import MaskSources
from xfer.report.page import build
from xfer.study import likeness

SIZE = (55, 45)


def cells(models, expressions, folds, maps) -> xr.DataArray:
    """Maps {(model, fold, expression): (y, x)} as a DataArray (cell, y, x)."""
    keys = [(m, f, e) for m in models for f in folds for e in expressions if (m, f, e) in maps]
    coords = dict.fromkeys(KEY, ["unknown"] * len(keys)) | {
        "model": [k[0] for k in keys],
        "fold": [k[1] for k in keys],
        "expression": [k[2] for k in keys],
        "target": [k[2] for k in keys],
        "outcome": ["all"] * len(keys),
        "guide": ["none"] * len(keys),
        "normalisation": ["published"] * len(keys),
    }
    return xr.DataArray(
        np.stack([maps[k] for k in keys]),
        dims=("cell", "y", "x"),
        coords={name: ("cell", np.array(values, dtype=object)) for name, values in coords.items()},
    )


@dataclass
class FakeStudy:
    """What the report reads of a study."""

    heatmaps: xr.DataArray
    masks: xr.DataArray
    support: np.ndarray
    folder: Path = Path("reports/fake")
    name: str = "fake"
    place: str = "reports/fake"
    config: dict[str, Any] = field(
        default_factory=lambda: {"format": 1, "kind": "heatmaps", "threshold": "otsu", "missing": []}
    )
    provenance: dict[str, Any] = field(
        default_factory=lambda: {"versions": {"python": "3.11", "numpy": "2"}, "source": "ab" * 32}
    )

    lead: dict[str, str] = field(default_factory=dict)
    counts: list[int] | None = None
    networks: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=["model", "fold", "failed", "coarse"]))
    predictions: pd.DataFrame = field(
        default_factory=lambda: pd.DataFrame(columns=["model", "fold", "face", "subject"])
    )
    curves: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=["model", "fold", "epoch"]))
    dropped: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=["kind", "name", "reason", "n"]))
    mean_face: np.ndarray | None = None
    coarse: list[str] = field(default_factory=list)
    others: tuple[xr.DataArray, ...] = ()
    raters: dict[str, xr.DataArray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.scores = pd.DataFrame([row for i in range(self.heatmaps.sizes["cell"]) for row in self._rows(i)])

    def _rows(self, i: int) -> list[dict[str, Any]]:
        heatmap = self.heatmaps.values[i]
        key = {name: str(self.heatmaps.coords[name].values[i]) for name in KEY}
        rows: list[dict[str, Any]] = []
        if key["normalisation"] == "raw" or key["expression"] not in self.masks.coords["expression"].values:
            return rows
        region = heatmap > np.quantile(heatmap, 0.75)
        for expression, mask in zip(self.masks.coords["expression"].values, self.masks.values >= 0.5, strict=True):
            flat = np.ptp(heatmap) == 0
            iou = np.nan if flat else (region & mask).sum() / (region | mask).sum()
            r = np.nan if flat else np.corrcoef(heatmap.ravel(), mask.ravel())[0, 1]
            for metric, threshold, value in (("iou", "otsu", iou), ("pearson", "", r)):
                row = {"mask": self.masks.name, "mask_expression": str(expression), "metric": metric}
                row |= {"threshold": threshold, "value": value, "reason": "constant heatmap" if flat else ""}
                row["n"] = self.counts[i] if self.counts else 1
                if key["model"] in self.coarse:
                    row |= {"value": np.nan, "reason": "layer 'last' has 2 x 2 cells, fewer than 4 x 4"}
                rows.append(key | row)
        return rows

    @property
    def mask_sources(self) -> MaskSources:
        return MaskSources((self.masks, *self.others), self.support, "canvas", None, self.raters)

    @property
    def leading(self) -> xr.DataArray:
        chosen = [(self.heatmaps.coords[k].values == v) for k, v in self.lead.items()]
        return self.heatmaps[np.logical_and.reduce(chosen)] if chosen else self.heatmaps

    @property
    def leading_scores(self) -> pd.DataFrame:
        rows = self.scores[self.scores["mask"] == self.masks.name]
        for name, value in self.lead.items():
            rows = rows[rows[name] == value]
        return rows

    @property
    def models(self) -> list[str]:
        return sorted(set(map(str, self.leading.coords["model"].values)))

    @property
    def expressions(self) -> list[str]:
        return sorted(set(map(str, self.leading.coords["expression"].values)))

    def _mean_map(self, model: str, expression: str) -> np.ndarray:
        at = (self.leading.coords["model"] == model) & (self.leading.coords["expression"] == expression)
        return self.leading.values[at.values].mean(axis=0) if at.any() else np.full(self.support.shape, np.nan)

    @property
    def pooled(self) -> xr.DataArray:
        held = set(zip(self.leading.coords["model"].values, self.leading.coords["expression"].values, strict=True))
        maps = {(m, "all", e): self._mean_map(m, e) for m, e in held}
        return cells(self.models, self.expressions, ["all"], maps)

    def tag_tests(self) -> pd.DataFrame:
        return likeness.tag_tests(self)

    def table(self, metric: str = "iou") -> pd.DataFrame:
        rows = self.leading_scores[
            (self.leading_scores.metric == metric)
            & (self.leading_scores.expression == self.leading_scores.mask_expression)
        ]
        return rows.pivot_table("value", "model", "expression", aggfunc=lambda v: v.mean(skipna=False), dropna=False)

    def swap(self, metric: str = "iou") -> pd.DataFrame:
        rows = self.leading_scores[self.leading_scores.metric == metric]
        return rows.pivot_table("value", "expression", "mask_expression", dropna=False)

    def chance(self) -> pd.Series:
        p = pd.Series({str(m.expression.values): float((m >= 0.5).mean()) for m in self.masks})
        return p * 0.25 / (p + 0.25 - p * 0.25)

    def model_correlations(self, expression: str) -> pd.DataFrame:
        maps = {m: self._mean_map(m, expression).ravel() for m in self.models}
        maps = {m: v for m, v in maps.items() if np.isfinite(v).all()}
        with np.errstate(invalid="ignore"):
            return pd.DataFrame(np.atleast_2d(np.corrcoef(list(maps.values()))), list(maps), list(maps))

    def tree(self, expression: str) -> Tree:
        r = self.model_correlations(expression)
        defined = np.isfinite(np.diag(r)) & ~r.index.isin(self.coarse)
        r = r.loc[defined, defined]
        if len(r) < 2:
            raise InputError(f"a dendrogram needs two networks or more; {expression} has {len(r)}")
        distance = squareform(1 - r.to_numpy(), checks=False)
        linkage = hierarchy.linkage(distance, "average", optimal_ordering=True)
        leaves = tuple(r.index[i] for i in hierarchy.leaves_list(linkage))
        fit = float(hierarchy.cophenet(linkage, distance)[0]) if len(r) > 2 else float("nan")
        return Tree(tuple(r.index), linkage, leaves, fit, "average")

    def expression_correlations(self) -> pd.DataFrame:
        each = []
        for model in self.models:
            maps = [self._mean_map(model, e).ravel() for e in self.expressions]
            with np.errstate(invalid="ignore", divide="ignore"):
                each.append(np.atleast_2d(np.corrcoef(maps)))
        filled = np.ma.masked_invalid(each).mean(axis=0).filled(np.nan)
        return pd.DataFrame(filled, self.expressions, self.expressions)

    @property
    def clusters(self) -> pd.DataFrame:
        rows = []
        for expression in self.expressions:
            try:
                tree = self.tree(expression)
            except InputError:
                continue
            cut = hierarchy.fcluster(tree.linkage, 2, "maxclust")
            rows += [(expression, m, tree.leaves.index(m), int(c)) for m, c in zip(tree.names, cut, strict=True)]
        return pd.DataFrame(rows, columns=["expression", "model", "leaf", "cluster"])

    def pooling(self) -> dict[str, Any] | None:
        if len(set(self.leading.coords["fold"].values)) < 2:
            return None
        means = self.table().mean(axis=1).to_dict()
        pooled = {m: v + 0.01 * i for i, (m, v) in enumerate(means.items())}
        return {
            "mean_of_folds": means,
            "pooled_map": pooled,
            "winners": (max(means, key=means.get), max(pooled, key=pooled.get)),
        }


def masks_for(expressions, size=SIZE) -> xr.DataArray:
    values = np.zeros((len(expressions), *size))
    for i in range(len(expressions)):
        top, left = 5 + 6 * (i % 5), 4 + 3 * (i % 4)
        values[i, top : top + 18, left : left + 20] = 1
    names = np.array(expressions, dtype=object)
    return xr.DataArray(
        values,
        dims=("expression", "y", "x"),
        coords={"expression": names},
        name="ekman",
        attrs={"frame": "xfer", "digest": "cd" * 32},
    )


@pytest.fixture(scope="session")
def fake():
    """The class of studies without a folder, and the masks that go with it."""
    return FakeStudy, masks_for


@pytest.fixture(scope="session")
def make_study():
    """A function that makes a study: models, expressions, folds, cells to leave out, cells to make constant."""

    def make(models=("net_a", "net_b", "net_c"), expressions=BASIC, folds=("all",), missing=(), constant=(), seed=0):
        draw = np.random.default_rng(seed)
        maps = {}
        for model in models:
            for expression in expressions:
                base = gaussian_filter(draw.random(SIZE), 6)
                for fold in folds:
                    noisy = base + gaussian_filter(draw.random(SIZE), 6) / 4
                    scaled = (noisy - noisy.min()) / np.ptp(noisy)
                    maps[model, fold, expression] = np.ones(SIZE) if (model, expression) in constant else scaled
        kept = {k: v.astype(np.float32) for k, v in maps.items() if (k[0], k[2]) not in missing}
        heatmaps = cells(models, expressions, folds, kept)
        return FakeStudy(heatmaps, masks_for(expressions), np.ones(SIZE, bool))

    return make


def text_of(element) -> str:
    return re.sub(r"\s+", " ", element.text_content()).strip()


class Page:
    """A built page, parsed again."""

    def __init__(self, html: str) -> None:
        self.html = html
        self.tree = lxml.html.document_fromstring(html)
        self.xpath = self.tree.xpath

    def section(self, name):
        return self.xpath(f"//section[@aria-labelledby='{name}']")[0]

    def said(self, name) -> str:
        """A section's text."""
        return text_of(self.section(name))

    def table(self, name, index=0) -> list[list[str]]:
        """A section's table, rows of text, the head first."""
        table = self.section(name).xpath(".//table")[index]
        return [[text_of(cell) for cell in row.xpath("./th|./td")] for row in table.xpath(".//tr")]


@pytest.fixture(scope="session")
def page_of():
    """A function that builds the page of a study and reads it back."""
    return lambda study: Page(build(study))


@pytest.fixture(scope="session")
def whole_page(make_study, page_of):
    """The page of a complete study with folds."""
    return page_of(make_study(folds=("CV1", "CV2")))
