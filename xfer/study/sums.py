"""Streamed sums of heatmaps: memory that does not grow with the faces, partials that merge, means drawn from them.

A shard's sums hold, for every cell that has faces, each pixel's sum, sum of squares and count, and for every block of
subjects the sums and counts at half resolution, from which intervals are computed without a second look at the faces.
"""

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import xarray as xr
from array_api_compat import array_namespace
from numpy.typing import NDArray

from xfer.errors import unknown
from xfer.heatmaps.store import label
from xfer.labels import EXPRESSIONS, IMAGE, KEY

STREAMED = ("raw", "positive_l1")
"""The normalisations that are summed face by face: averaging cannot be undone."""
OUTCOMES = ("correct", "incorrect", "all")
"""The first two are stored and make the third; a selection by prediction stores the third alone."""
CONSTANT = ("model", "guide", "seed", "fold")
"""The part of the key that a shard has once, among its facts; ``layer`` too but for the explainers ``layerless``."""
CELL = ["explainer", "expression", "outcome", "normalisation"]
MAX_BLOCKS = 200

_CELL_TYPES: Any = {**dict.fromkeys(CELL, str), "n": "int64", "undefined": "int64"}


@dataclass(frozen=True)
class Sums:
    """What one unit of explaining leaves.

    Attributes
    ----------
    facts : mapping
        What JSON can hold; the names of `CONSTANT` and ``layer`` among them.
    cells : DataFrame
        One row a cell: explainer, expression, outcome, normalisation, n (faces in the sums) and undefined (faces
        that are not, for want of positive relevance).
    sums, squares : float64 array (cell, y, x)
        Over the faces that have a value at the pixel.
    counts : int32 array (cell, y, x)
        How many have.
    support : bool array (y, x)
    blocks : int
        Blocks of subjects that the faces were dealt into, with faces here or without.
    rows : DataFrame
        One row a block and cell that have faces: block, cell (row of `cells`), n.
    block_sums : float32 array (row, pixel)
        Sums over faces and over the pixels of the support that `half_pixels` pools.
    block_missing : unsigned array (row, pixel)
        How many of the n faces' pooled pixels have no value.
    """

    facts: Mapping[str, Any]
    cells: pd.DataFrame
    sums: NDArray[np.float64]
    squares: NDArray[np.float64]
    counts: NDArray[np.int32]
    support: NDArray[np.bool_]
    blocks: int
    rows: pd.DataFrame
    block_sums: NDArray[np.float32]
    block_missing: NDArray[np.unsignedinteger] = field(repr=False)


class Blocks(NamedTuple):
    """One cell, block by block, at half resolution: ``sums / counts`` is a block's mean map."""

    sums: NDArray[np.float64]
    """(block, pixel)"""
    counts: NDArray[np.int64]
    """(block, pixel); faces times pooled pixels that have a value"""
    n: NDArray[np.int64]
    """(block,) faces"""


def cell_order(cell: Sequence[Any]) -> tuple[Any, ...]:
    """Where a cell (explainer, expression, outcome, normalisation) stands: the same place whatever came first.

    >>> sorted([("hires_cam", "fear", "correct", "raw"), ("grad_cam", "fear", "incorrect", "raw")], key=cell_order)[0]
    ('grad_cam', 'fear', 'incorrect', 'raw')
    """
    explainer, expression, outcome, normalisation = cell
    return explainer, EXPRESSIONS.index(expression), OUTCOMES.index(outcome), STREAMED.index(normalisation)


def pooled(maps: Any, support: Any) -> Any:
    """Sums of maps (..., y, x) over the pixels of the support in every square of 2 x 2: (..., half y, half x).

    Squares begin at the top left; an odd last row or column makes smaller ones. NumPy or torch.

    >>> pooled(np.array([[1.0, 2, 3], [4, 5, 6]]), np.array([[True, True, True], [True, False, False]])).tolist()
    [[7.0, 3.0]]
    """
    xp = array_namespace(maps)
    inside = xp.where(support, maps, xp.zeros_like(maps))
    for axis in (-2, -1):
        if inside.shape[axis] % 2:
            edge = inside[..., :1, :] if axis == -2 else inside[..., :1]
            inside = xp.concat([inside, xp.zeros_like(edge)], axis=axis)
    pairs = inside[..., 0::2, :] + inside[..., 1::2, :]
    return pairs[..., 0::2] + pairs[..., 1::2]


def half_pixels(support: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The pixels of a support at half resolution.

    Parameters
    ----------
    support : bool array (y, x)

    Returns
    -------
    positions : int array (pixel,)
        On the canvas of half the rows and columns (rounded up), row by row.
    area : int array (pixel,)
        Pixels of the support pooled into each, 1 to 4.
    """
    area = pooled(support.astype(np.int64), support).ravel()
    positions = np.flatnonzero(area)
    return positions, area[positions]


def halved(maps: NDArray[Any], support: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Maps or masks (..., y, x) at the pixels of `half_pixels`: (..., pixel), the mean of those pooled.

    >>> halved(np.array([[1.0, 2], [3, 4]]), np.array([[True, True], [True, False]])).tolist()
    [2.0]
    """
    positions, area = half_pixels(support)
    sums = pooled(np.asarray(maps, np.float64), support)
    means: NDArray[np.float64] = sums.reshape(*sums.shape[:-2], -1)[..., positions] / area
    return means


def merge(parts: Iterable[Sums]) -> Sums:
    """The sums of one unit that was computed in parts, added in float64 in the order given.

    A part is looked at once: of all of them together only the sums and the blocks are in memory. What blocks hold is as
    it was where each is in one part; sums and squares are then those of the whole but for the rounding of float64.

    Raises
    ------
    ValueError
        If the parts are not of one unit: other facts, support or number of blocks.
    """
    stream = iter(parts)
    first = next(stream)
    cells: dict[tuple[str, ...], _Cell] = {}
    rows: dict[tuple[tuple[str, ...], int], _Row] = {}
    for part in chain([first], stream):
        alike = part.facts == first.facts and part.blocks == first.blocks
        if not alike or not np.array_equal(part.support, first.support):
            raise ValueError("parts of different units cannot be merged")
        keys = _keys(part)
        for cell in _stored(part):
            cells[cell.key] = cells[cell.key].plus(cell) if cell.key in cells else cell
        for i, (block, number, n) in enumerate(part.rows.itertuples(index=False, name=None)):
            row, at = _Row(n, part.block_sums[i], part.block_missing[i]), (keys[number], block)
            rows[at] = rows[at].plus(row) if at in rows else row
    return _merged(first, cells, rows)


class _Row(NamedTuple):
    n: int
    sums: NDArray[np.floating]
    missing: NDArray[np.unsignedinteger]

    def plus(self, other: "_Row") -> "_Row":
        missing = self.missing.astype(np.uint32) + other.missing
        return _Row(self.n + other.n, self.sums.astype(np.float64) + other.sums, missing)


def _merged(
    first: Sums, cells: Mapping[tuple[str, ...], "_Cell"], rows: Mapping[tuple[tuple[str, ...], int], _Row]
) -> Sums:
    order = sorted(cells, key=cell_order)
    number = {key: i for i, key in enumerate(order)}
    places = sorted(rows, key=lambda at: (number[at[0]], at[1]))

    def stacked(arrays: list[NDArray[Any]], like: NDArray[Any]) -> NDArray[Any]:
        return np.stack(arrays) if arrays else np.empty((0, *like.shape[1:]), like.dtype)

    return Sums(
        facts=first.facts,
        cells=cell_table([(*key, cells[key].n, cells[key].undefined) for key in order]),
        sums=stacked([cells[key].sums for key in order], first.sums),
        squares=stacked([cells[key].squares for key in order], first.squares),
        counts=stacked([cells[key].counts for key in order], first.counts),
        support=first.support,
        blocks=first.blocks,
        rows=row_table([(block, number[key], rows[key, block].n) for key, block in places]),
        block_sums=stacked([rows[at].sums for at in places], first.block_sums).astype(np.float32),
        block_missing=smallest(stacked([rows[at].missing for at in places], first.block_missing)),
    )


def _keys(sums: Sums) -> list[tuple[str, ...]]:
    return list(sums.cells[CELL].itertuples(index=False, name=None))


def cell_table(cells: Iterable[Sequence[Any]]) -> pd.DataFrame:
    """Rows (explainer, expression, outcome, normalisation, n, undefined) as `Sums.cells`."""
    return pd.DataFrame(cells, columns=[*CELL, "n", "undefined"]).astype(_CELL_TYPES)


def row_table(rows: Iterable[Sequence[int]]) -> pd.DataFrame:
    """Rows (block, cell, n) as `Sums.rows`."""
    return pd.DataFrame(rows, columns=["block", "cell", "n"], dtype="int64")


def smallest(counts: NDArray[Any]) -> NDArray[np.unsignedinteger]:
    """Counts in the smallest unsigned type that holds them."""
    held: NDArray[np.unsignedinteger] = counts.astype(np.min_scalar_type(int(counts.max(initial=0))))
    return held


def heatmaps(shards: Iterable[Sums]) -> tuple[xr.DataArray, pd.DataFrame]:
    """The mean maps of all cells, outcome "all" included.

    Parameters
    ----------
    shards : iterable of Sums
        Looked at one at a time.

    Returns
    -------
    maps : DataArray (cell, y, x)
        float32, with the whole key; NaN where no face has a value.
    faces : DataFrame
        One row a cell: the key, n (faces behind the map), undefined (faces without positive relevance, which are
        not). Without any face behind it, a cell of outcome "all" is NaN throughout.

    Raises
    ------
    ValueError
        If there is no cell with a face.
    """
    return _labelled(shards, lambda cell: _ratio(cell.sums, cell.counts))


def spread(shards: Iterable[Sums]) -> tuple[xr.DataArray, pd.DataFrame]:
    """The standard deviation over faces (with n - 1) of the same cells as `heatmaps`; NaN below two faces."""
    return _labelled(shards, _deviation)


class _Cell(NamedTuple):
    key: tuple[str, ...]
    n: int
    undefined: int
    sums: NDArray[np.float64]
    squares: NDArray[np.float64]
    counts: NDArray[np.int32]

    def plus(self, other: "_Cell") -> "_Cell":
        n, undefined = self.n + other.n, self.undefined + other.undefined
        sums, squares = self.sums + other.sums, self.squares + other.squares
        return _Cell(self.key, n, undefined, sums, squares, self.counts + other.counts)


def _ratio(sums: NDArray[Any], counts: NDArray[Any]) -> NDArray[Any]:
    return np.divide(sums, counts, out=np.full(sums.shape, np.nan), where=counts > 0)


def _deviation(cell: _Cell) -> NDArray[Any]:
    scatter = cell.squares - cell.sums * np.nan_to_num(_ratio(cell.sums, cell.counts))
    return np.sqrt(_ratio(scatter.clip(min=0), cell.counts - 1))


def _stored(shard: Sums) -> Iterator[_Cell]:
    facts = zip(_keys(shard), shard.cells["n"], shard.cells["undefined"], strict=True)
    for i, (key, n, lost) in enumerate(facts):
        yield _Cell(key, int(n), int(lost), shard.sums[i], shard.squares[i], shard.counts[i])


def _cells(shard: Sums) -> Iterator[_Cell]:
    """The cells stored, each expression's "all" after its outcomes."""
    together: dict[tuple[str, ...], list[_Cell]] = {}
    for cell in _stored(shard):
        together.setdefault((cell.key[0], cell.key[1], cell.key[3]), []).append(cell)
    for (explainer, expression, normalisation), outcomes in together.items():
        whole = functools.reduce(_Cell.plus, outcomes)._replace(key=(explainer, expression, "all", normalisation))
        yield from (cell for cell in outcomes if cell.n and cell.key != whole.key)
        if whole.n or whole.undefined:
            yield whole


def _labelled(shards: Iterable[Sums], draw: Callable[[_Cell], NDArray[Any]]) -> tuple[xr.DataArray, pd.DataFrame]:
    maps, rows = [], []
    for shard in shards:
        constant = [str(shard.facts[name]) for name in CONSTANT]
        for cell in _cells(shard):
            explainer, expression, outcome, normalisation = cell.key
            maps.append(draw(cell).astype(np.float32))
            layer = IMAGE if explainer in shard.facts.get("layerless", ()) else shard.facts["layer"]
            rows.append(
                (*constant, layer, explainer, expression, expression, outcome, normalisation, cell.n, cell.undefined)
            )
    if not maps:
        raise ValueError("no cell has a face")
    faces = pd.DataFrame(rows, columns=[*KEY, "n", "undefined"])
    return label(np.stack(maps), {name: faces[name].tolist() for name in KEY}), faces


def blocks(sums: Sums, explainer: str, expression: str, outcome: str, normalisation: str) -> Blocks:
    """One cell's sums and counts by block of subjects; a block without faces is zero throughout.

    Raises
    ------
    InputError
        If a name is outside its vocabulary or the explainer is not in these sums.
    """
    _known("explainer", explainer, dict.fromkeys(sums.cells["explainer"]))
    _known("expression", expression, EXPRESSIONS)
    _known("outcome", outcome, OUTCOMES)
    _known("normalisation", normalisation, STREAMED)
    parts = ("correct", "incorrect", "all") if outcome == "all" else (outcome,)
    wanted = {
        i for i, key in enumerate(_keys(sums)) if key in {(explainer, expression, o, normalisation) for o in parts}
    }
    _, area = half_pixels(sums.support)
    found = Blocks(
        np.zeros((sums.blocks, len(area))),
        np.zeros((sums.blocks, len(area)), np.int64),
        np.zeros(sums.blocks, np.int64),
    )
    for row, (block, cell, n) in enumerate(sums.rows.itertuples(index=False, name=None)):
        if cell in wanted:
            found.sums[block] += sums.block_sums[row]
            found.counts[block] += n * area - sums.block_missing[row]
            found.n[block] += n
    return found


def _known(what: str, value: str, allowed: Iterable[str]) -> None:
    if value not in (names := list(allowed)):
        raise unknown(what, value, names)
