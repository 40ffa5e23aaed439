"""A study that is on disk, read lazily: heatmaps, masks, scores, and the tables drawn from them."""

import json
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
import xarray as xr

from xfer import clustering, heatmaps, nulls, scoring
from xfer.errors import InputError
from xfer.labels import KEY
from xfer.mask_sources import MaskSources
from xfer.statistics import clades, ranks
from xfer.statistics.variance import Shares, Winners
from xfer.study import choices, likeness
from xfer.study.folder import CONFIG, command, slug, write_whole
from xfer.study.places import config_of, here, named, reading, written
from xfer.study.recognition import Recognition
from xfer.study.significance import Significance

HEATMAPS, POOLED, RANDOMISED, MASKS = "heatmaps.zarr", "pooled.zarr", "randomised.zarr", "masks.npz"
SCORES, SCORES_CSV, CLUSTERS = "scores.parquet", "scores.csv", "clusters.csv"
PROVENANCE, REPORT = "provenance.json", "report.html"

_KEYS = ("kind", "masks", "metrics", "threshold", "linkage")
"""What every configuration tells."""


class Study(Recognition, Significance):
    """One study folder (DESIGN section 6).

    Parameters
    ----------
    folder : path or URL
        What `xfer.compare` wrote. Of a URL the tables and heatmaps are read as they are now, the rest when it is asked
        for.

    Attributes
    ----------
    folder : Path
        Of a study in a store its copy here.
    heatmaps : DataArray (cell, y, x)
        Global heatmaps, the key as coordinates of ``cell``.
    masks : DataArray (expression, y, x)
        The masks they were scored against, in [0, 1].
    support : bool array (y, x)
        The pixels that count.
    scores : DataFrame
        Tidy scores, see `xfer.scoring.score`.
    networks, predictions, curves, dropped, faces, mean_face
        What is known of the networks where xfer trained them, see `Recognition`.
    inference, network_scores, comparisons, nulls, ceilings, clades
        What the scores mean, see `Significance`.

    Raises
    ------
    InputError
        If the folder is not a study, is unfinished, or is from another version.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = reading(folder)
        if not self.folder.exists():
            raise InputError(
                f"{self.folder}: is not a study folder: there is none; if it was moved, give its new place"
            )
        config = config_of(self.folder)
        if config is None:
            raise InputError(f"{self.place}: is not a study folder (no {CONFIG}); 'xfer compare' makes one")
        if absent := [key for key in _KEYS if key not in config]:
            raise InputError(
                f"{named(self.folder / CONFIG)}: lacks {', '.join(absent)}; run the {command(config)!r} line again"
            )
        self.config: dict[str, Any] = config

    @classmethod
    def open(cls, place: str | Path) -> Self:
        """The study at a path or a URL such as ``s3://bucket/study``, as it is now; opened again, as it is then.

        While it runs, `xfer.study.running.running` tells how far it is. Errors are those of the class.
        """
        return cls(place)

    @property
    def place(self) -> str:
        """Where it is: a path or a URL."""
        return named(self.folder)

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.resolve().name

    def _file(self, name: str) -> Path:
        path = here(self.folder / name)
        if not self.folder.is_dir():
            raise InputError(f"{self.folder}: is not there any more; if it was moved, open Study(NEW_FOLDER)")
        if not path.exists():
            from xfer.study.unfinished import unfinished

            raise InputError(unfinished(self.folder, name, command(self.config)))
        return path

    def _read(self, name: str, read: Callable[[Path], Any]) -> Any:
        path = self._file(name)
        try:
            return read(path)
        except (OSError, ValueError, KeyError) as error:
            text = str(error).splitlines()[0] if str(error) else type(error).__name__
            raise InputError(
                f"{named(path)}: is damaged ({text}); run its {command(self.config)!r} line again to mend it"
            ) from None

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """Versions, digests and seeds."""
        return self._read(PROVENANCE, lambda path: json.loads(path.read_text(encoding="utf-8")))

    @cached_property
    def heatmaps(self) -> xr.DataArray:
        """Global heatmaps (cell, y, x)."""
        return heatmaps.open_heatmaps(self._file(HEATMAPS))

    @cached_property
    def mask_sources(self) -> MaskSources:
        """The mask sources with their support; the first one leads the report."""
        return MaskSources.open(self._file(MASKS))

    @property
    def masks(self) -> xr.DataArray:
        """Masks (expression, y, x) of the first source, in [0, 1]."""
        return self.mask_sources.masks[0]

    @property
    def support(self) -> np.ndarray:
        """Pixels that count, bool (y, x)."""
        return self.mask_sources.support

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Tidy scores: one row per cell, mask expression and metric."""
        return self._read(SCORES, pd.read_parquet)

    @property
    def _lead(self) -> dict[str, str]:
        """The part of the key that tells the cells that tables, trees and the page show first."""
        if self.config["kind"] == "heatmaps":
            return {}
        return {"explainer": self.config["explainers"][0], "normalisation": "positive_l1", "outcome": "all"}

    @cached_property
    def leading(self) -> xr.DataArray:
        """The heatmaps shown first: of the first explainer, ``positive_l1``, all faces; maps from files all."""
        return heatmaps.select(self.heatmaps, **self._lead)

    @cached_property
    def leading_scores(self) -> pd.DataFrame:
        """The scores of `leading` against the first mask source."""
        chosen = self.scores["mask"] == self.masks.name
        for name, value in self._lead.items():
            chosen &= self.scores[name] == value
        return self.scores[chosen]

    @cached_property
    def clusters(self) -> pd.DataFrame:
        """The two-cluster cut of every expression's dendrogram: expression, model, leaf, cluster."""
        return self._read(CLUSTERS, scoring.read_csv)

    @cached_property
    def pooled(self) -> xr.DataArray:
        """One map per model and expression: as given with ``--pooled``, else the average over folds."""
        if self.config.get("pooled"):
            return heatmaps.open_heatmaps(self._file(POOLED))
        return heatmaps.pool_folds(self.leading)

    @cached_property
    def randomised(self) -> xr.DataArray | None:
        """Maps of the networks with randomised weights, averaged over folds, a ``seed`` a draw; None without any."""
        there = (self.folder / RANDOMISED).exists()
        return heatmaps.pool_folds(heatmaps.open_heatmaps(self._file(RANDOMISED))) if there else None

    def heatmap(self, **key: str) -> np.ndarray:
        """The one map (y, x) that a key picks, such as ``model="songnet", expression="fear"``.

        Raises
        ------
        InputError
            If the key fits no map or several.
        """
        for name in key:
            if name not in KEY:
                raise InputError(f"{name!r} is no part of a heatmap's key, which is {', '.join(KEY)}")
        found = heatmaps.select(self.heatmaps, **key)
        if found.sizes["cell"] != 1:
            raise InputError(f"{found.sizes['cell']} heatmaps fit {key}; name exactly one")
        return found.values[0]

    def table(self, metric: str = "iou") -> pd.DataFrame:
        """Models x expressions of own-mask scores, mean over folds."""
        return scoring.table(self.leading_scores, metric)

    def swap(self, metric: str = "iou") -> pd.DataFrame:
        """Expressions x expressions whose mask was used, mean over models."""
        return scoring.swap(self.leading_scores, metric)

    def chance(self) -> pd.Series:
        """Expected IoU, per expression, of a mask and an independent map at the maps' mean foreground area.

        With mask area p and mean foreground area q (shares of the support) it is pq / (p + q - pq). Constant maps
        have no foreground; NaN where there is no other.
        """
        rule = scoring.read_threshold(self.config["threshold"])
        rule = "area" if rule == "upper_bound" else rule
        return nulls.expected_iou(self.leading, self.masks, self.support, rule)

    def tree(self, expression: str) -> clustering.Tree:
        """The dendrogram of models for one expression, on fold-mean maps.

        Constant maps, and those of too coarse a grid, are left out.

        Raises
        ------
        InputError
            If no map is left.
        """
        return clustering.tree(*likeness.distances(self, expression, self.pooled), self.config["linkage"])

    def model_correlations(self, expression: str) -> pd.DataFrame:
        """Models x models: Pearson correlation of their maps of one expression."""
        maps = heatmaps.select(self.pooled, expression=expression)
        names = [str(m) for m in maps.coords["model"].values]
        return pd.DataFrame(clustering.correlations(maps.values, self.support), names, names)

    def expression_correlations(self) -> pd.DataFrame:
        """Expressions x expressions: Pearson correlation of maps, mean over models."""
        maps = heatmaps.dense(self.pooled, "model", "expression", allow_missing=True)
        names = [str(e) for e in maps.coords["expression"].values]
        each = np.stack([clustering.correlations(m, self.support) for m in maps.values])
        known = np.isfinite(each)
        total, count = np.where(known, each, 0).sum(axis=0), known.sum(axis=0)
        return pd.DataFrame(np.where(count > 0, total / np.maximum(count, 1), np.nan), names, names)

    def pooling(self) -> dict[str, Any] | None:
        """Whether the winner depends on averaging folds before or after scoring; see `choices.pooling`."""
        return choices.pooling(self)

    def ranking(self, metric: str = "iou", *, post_hoc: str = "nemenyi") -> ranks.Ranking:
        """Average ranks of the networks over expressions, with Friedman's test; see `statistics.ranks.ranking`."""
        return ranks.ranking(self.table(metric).T, post_hoc=post_hoc)

    def cophenetic(self, expression: str) -> dict[str, float]:
        """How well three linkages keep the distances between the maps of an expression."""
        return clades.cophenetic(likeness.distances(self, expression, self.pooled)[0])

    def fold_agreement(self, expression: str) -> pd.DataFrame:
        """Agreement of an expression's dendrograms of every two folds.

        Returns
        -------
        DataFrame
            first, second (folds), ``bakers_gamma`` of the trees and ``adjusted_rand`` of their cuts in two; empty with
            one fold.
        """
        return likeness.fold_agreement(self, expression)

    def tag_tests(self) -> pd.DataFrame:
        """Do networks with a tag (pretrained, small ...) have maps of their own? See `likeness.tag_tests`."""
        return likeness.tag_tests(self)

    def variance(self, metric: str = "iou") -> Shares:
        """Where the variance of own-mask scores is; see `statistics.variance.shares`."""
        return choices.variance(self, metric)

    def winners(self, metric: str = "iou") -> dict[str, Winners]:
        """Does the winner change with the threshold, the mask source, the explainer, or the order of pooling?

        Returns
        -------
        dict
            From the choice, in words, to `statistics.variance.Winners`; choices with one level are left out.
        """
        return choices.winners(self, metric)

    def methods(self) -> str:
        """What a paper's methods section has to say, with numbers and references; "" without draws."""
        from xfer.report.methods import methods

        return methods(self)

    def write_tables(self, folder: str | Path) -> list[Path]:
        """Write the tables about chance as CSV and LaTeX, and the methods paragraphs; see `report.exports`."""
        from xfer.report.exports import write_tables

        return write_tables(self, folder)

    def report(self, faces: str = "mean") -> Path:
        """Write ``report.html`` anew from what is in the folder; the path.

        Parameters
        ----------
        faces : {"mean", "none", "all"}
            Whose pictures the page shows.
        """
        from xfer.report import page

        return self._page(REPORT, page.build(self, faces=faces))

    def diff(self, other: "Study") -> Path:
        """Write ``diff-OTHER.html``, which sets this study against another; the path."""
        from xfer.report import page

        return self._page(f"diff-{slug(other.name)}.html", page.build_differences(self, other))

    def _page(self, name: str, html: str) -> Path:
        path = self.folder / name
        write_whole(path, lambda aside: aside.write_text(html, encoding="utf-8"))
        written(path)
        return path
