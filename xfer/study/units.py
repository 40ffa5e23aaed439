"""What is resampled in a study: blocks of subjects or folds, as maps at half resolution."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from xfer.statistics.sampling import unit_maps
from xfer.study.study import Study
from xfer.study.sums import Sums, blocks, half_pixels, halved

BLOCKS, FOLDS, NONE = "blocks of subjects", "folds", ""
FEW_FOLDS = 3
"""Fewer folds than this are no units; the blocks of all of them are."""

Key = tuple[str, str]
"""(model, expression)"""


@dataclass(frozen=True, eq=False)
class Units:
    """The maps that are resampled, cell by cell.

    Attributes
    ----------
    level : {"blocks of subjects", "folds", ""}
        "" where there is one map of a cell and nothing to resample.
    inside : bool array (y, x)
        The support at half resolution.
    rows : mapping of (model, expression) to float32 array (unit, pixel)
        Over the pixels of `inside`; their plain mean is the cell's mean map.
    names : mapping of (model, expression) to tuple of str
        Which unit a row is: the same blocks and folds have the same names in every cell.
    faces : mapping of (model, expression) to int
        Faces behind a cell; 0 where that is not known.
    """

    level: str
    inside: NDArray[np.bool_]
    rows: Mapping[Key, NDArray[np.float32]]
    names: Mapping[Key, tuple[str, ...]]
    faces: Mapping[Key, int]

    def maps(self, key: Key) -> NDArray[np.float32]:
        """A cell's maps on the half canvas (unit, y, x), 0 outside the support."""
        return self.canvas(self.rows[key])

    def canvas(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Rows (unit, pixel) as maps (unit, y, x), 0 outside the support."""
        maps = np.zeros((len(rows), *self.inside.shape), np.float32)
        maps[:, self.inside] = rows
        return maps

    def aligned(self, key: Key, names: Sequence[str]) -> NDArray[np.float32]:
        """A cell's rows in the order of some units; one without a face here moves nothing: it is the mean."""
        rows, place = self.rows[key], {name: i for i, name in enumerate(self.names[key])}
        mean = rows.mean(axis=0)
        scale = len(names) / len(rows)
        return np.stack([mean + (rows[place[name]] - mean) * scale if name in place else mean for name in names])


def from_folds(study: Study) -> Units:
    """The fold maps of heatmaps that came from files."""
    positions, inside = _half(study.support)
    cells, found, names = study.leading, {}, {}
    keys = _keys(cells)
    for key in dict.fromkeys(keys):
        members = [i for i, other in enumerate(keys) if other == key]
        with np.errstate(invalid="ignore"):
            found[key] = halved(cells.values[members], study.support)[:, positions].astype(np.float32)
        names[key] = tuple(str(cells.coords["fold"].values[i]) for i in members)
    several = max((len(rows) for rows in found.values()), default=0) > 1
    return Units(FOLDS if several else NONE, inside, found, names, dict.fromkeys(found, 0))


def from_shards(study: Study, shards: Iterable[Sums]) -> Units:
    """The blocks of subjects of a study's leading cells; of three folds or more the folds.

    A network on a fold is one shard, and shards are looked at one at a time.
    """
    explainer = study.config["explainers"][0]
    wanted = set(_keys(study.leading))
    parts: dict[Key, list[tuple[str, NDArray[Any], NDArray[Any], NDArray[Any]]]] = {}
    for shard in shards:
        at, inside = _shared(shard.support, study.support)
        for expression in dict.fromkeys(shard.cells["expression"]):
            key = (str(shard.facts["model"]), str(expression))
            if key in wanted:
                cell = blocks(shard, explainer, expression, "all", "positive_l1")
                parts.setdefault(key, []).append(
                    (str(shard.facts["fold"]), cell.sums[:, at], cell.counts[:, at], cell.n)
                )
    folds = {fold for part in parts.values() for fold, *_ in part}
    level = FOLDS if len(folds) >= FEW_FOLDS else BLOCKS
    rows, names, faces = {}, {}, {}
    for key, part in parts.items():
        if not any(n.any() for *_, n in part):
            continue  # no face has positive relevance
        rows[key], names[key] = _rows(part, level)
        faces[key] = int(sum(n.sum() for *_, n in part))
    return Units(level, inside, rows, names, faces)


def told_of(units: Units, keys: Iterable[Key], truth: Mapping[str, NDArray[np.float32]]) -> Iterator[bytes]:
    """All that follows from some cells' units and masks follows from."""
    yield units.inside.tobytes()
    yield units.level.encode()
    for key in keys:
        yield repr((key, units.names[key])).encode()
        yield units.rows[key].tobytes()
    for expression, mask in truth.items():
        yield expression.encode()
        yield mask.tobytes()


def _rows(
    part: Sequence[tuple[str, NDArray[Any], NDArray[Any], NDArray[Any]]], level: str
) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """The units of one cell and their names."""
    sums, counts = (np.concatenate([entry[i] for entry in part])[:, None] for i in (1, 2))
    of_fold = [fold for fold, _, _, n in part for _ in n]
    if level == FOLDS:
        return unit_maps(sums, counts, of_fold)[:, 0], tuple(sorted(set(of_fold)))
    names = [f"{fold}/{block}" for fold, _, _, n in part for block in range(len(n))]
    filled = counts.reshape(len(counts), -1).any(axis=1)
    return unit_maps(sums, counts)[:, 0], tuple(np.array(names)[filled].tolist())


def _keys(cells: xr.DataArray) -> list[Key]:
    names = (cells.coords[name].values.astype(str).tolist() for name in ("model", "expression"))
    return list(zip(*names, strict=True))


def _half(support: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which pixels of `half_pixels` count, being half in the support or more, and the half canvas."""
    positions, area = half_pixels(support)
    canvas = np.zeros(tuple(-(-side // 2) for side in support.shape), bool)
    canvas.ravel()[positions[area >= 2]] = True
    return area >= 2, canvas


def _shared(stored: NDArray[np.bool_], counted: NDArray[np.bool_]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which of a shard's half pixels count, where a study's support is smaller than the shard's."""
    positions, _ = half_pixels(stored)
    _, canvas = _half(counted)
    return canvas.ravel()[positions], canvas
