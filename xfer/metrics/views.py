"""Maps as metrics see them: the pixels inside the support, and what several metrics derive from them, once each."""

from functools import cached_property
from math import prod
from typing import Any

from array_api_compat import array_namespace

from xfer.errors import InputError

Array = Any


class View:
    """The pixels of maps (..., y, x) inside a support, as (..., n), with lazily derived quantities.

    Every metric takes a view where it takes an array. A caller that scores one heatmap by many metrics, or many
    heatmaps against the same masks, makes each view once, so that sorting and ranking are shared. A view is never
    changed; the arrays it was made from must not be either.

    Parameters
    ----------
    maps : array (..., y, x)
        Heatmaps or masks, numpy or torch. A map with a value that is not finite inside the support is set to 0
        and remembered in `finite`.
    support : bool array (y, x), optional
        The pixels that count; all of them by default.

    Attributes
    ----------
    values : array (..., n)
        In float64 (float32 on devices without it), divided by `scale` where that is given.
    scale : array (...) or None
        The largest magnitude of maps so large or small that their squares would over- or underflow, 1 for others;
        None where there is no such map. Scores do not depend on it.
    finite : bool array (...)
        Whether every value inside the support is.

    Raises
    ------
    InputError
        If the support is of another size or has no pixel.
    """

    def __init__(self, maps: Array, support: Array | None = None) -> None:
        self.xp = xp = array_namespace(maps)
        self.dtype = xp.float32 if "mps" in str(getattr(maps, "device", "")) else xp.float64
        self.canvas = tuple(maps.shape[-2:])
        self.maps, self.support = maps, support
        values = xp.reshape(maps, (*maps.shape[:-2], -1))
        if support is not None:
            values = xp.take(values, _inside(xp, support, maps), axis=-1)
        values = xp.astype(values, self.dtype)
        self.finite = xp.all(xp.isfinite(values), axis=-1)
        clean = bool(xp.all(self.finite))
        values = values if clean else xp.where(self.finite[..., None], values, xp.zeros_like(values))
        self.scale = _extreme(xp, values)
        self.values = values if self.scale is None else values / self.scale[..., None]
        self.n = self.values.shape[-1]
        self._hits: dict[View, Array] = {}

    @cached_property
    def low(self) -> Array:
        """Smallest value (...)."""
        return self.xp.min(self.values, axis=-1)

    @cached_property
    def high(self) -> Array:
        """Largest value (...)."""
        return self.xp.max(self.values, axis=-1)

    @cached_property
    def constant(self) -> Array:
        """Whether all values are equal (...)."""
        return self.high == self.low

    @cached_property
    def norm(self) -> Array:
        """Root of the sum of squares (...)."""
        return self.xp.sqrt(dot(self.xp, self.values, self.values))

    @cached_property
    def centred(self) -> Array:
        """Values minus their mean, over the root of their sum of squares (..., n)."""
        return _unit(self.xp, self.values)

    @cached_property
    def share(self) -> Array:
        """The positive part with unit sum (..., n); all 0 where there is none."""
        positive = self.xp.clip(self.values, min=0.0)
        return divide(self.xp, positive, self.xp.sum(positive, axis=-1, keepdims=True), 0.0)

    @cached_property
    def region(self) -> Array:
        """The map read as a set of pixels: values of at least 0.5 (..., n)."""
        return self.values >= 0.5

    @cached_property
    def indicator(self) -> Array:
        """`region` as 0.0 and 1.0 (..., n)."""
        return self.xp.astype(self.region, self.dtype)

    @cached_property
    def area(self) -> Array:
        """Pixels of `region` (...)."""
        return self.xp.sum(self.indicator, axis=-1)

    @cached_property
    def order(self) -> Array:
        """Indices that sort the values from high to low (..., n)."""
        return self.xp.argsort(-self.values, axis=-1, stable=False)

    @cached_property
    def _first(self) -> Array:
        """Whether a sorted value is the first of its level (..., n)."""
        xp, falling = self.xp, self._sorted
        new = falling[..., 1:] != falling[..., :-1]
        return xp.concat([xp.ones_like(falling[..., :1], dtype=xp.bool), new], axis=-1)

    @cached_property
    def _sorted(self) -> Array:
        return gather(self.xp, self.values, self.order)

    @cached_property
    def _ends(self) -> Array:
        """Index in `order` of the last pixel of every level, padded with n - 1 (..., k)."""
        xp, n = self.xp, self.n
        last = xp.concat([self._first[..., 1:], xp.ones_like(self._first[..., :1])], axis=-1)
        rows = [xp.nonzero(row)[0] for row in _rows(xp, last)]
        width = max(row.shape[0] for row in rows)
        ends = [_pad(xp, row, width, n - 1) for row in rows]
        return xp.reshape(xp.stack(ends), (*last.shape[:-1], width))

    @cached_property
    def levels(self) -> Array:
        """The distinct values from high to low, padded with the lowest (..., k)."""
        return gather(self.xp, self._sorted, self._ends)

    @cached_property
    def areas(self) -> Array:
        """Number of pixels at or above every level, padded with n (..., k)."""
        return self.xp.astype(self._ends + 1, self.dtype)

    @cached_property
    def level_ranks(self) -> Array:
        """The rank that the pixels of a level share, 1 = lowest (..., k)."""
        return self.n + 0.5 - (self.areas + self._above(self.areas)) / 2

    @cached_property
    def ranks(self) -> Array:
        """The rank of every pixel, ties averaged, minus the mean rank (..., n)."""
        xp = self.xp
        level = xp.cumulative_sum(xp.astype(self._first, xp.int64), axis=-1) - 1
        by_rank = gather(xp, self.level_ranks, level)
        return gather(xp, by_rank, xp.argsort(self.order, axis=-1)) - (self.n + 1) / 2

    def sums(self, weights: Array) -> Array:
        """Sum of weights (..., n) over the pixels at or above every level (..., k)."""
        falling = gather(self.xp, weights, self.order)
        return gather(self.xp, self.xp.cumulative_sum(falling, axis=-1, dtype=self.dtype), self._ends)

    def hits(self, mask: "View") -> Array:
        """Pixels of a mask's region at or above every level (..., k)."""
        if mask not in self._hits:
            self._hits[mask] = self.sums(mask.region)
        return self._hits[mask]

    def steps(self, sums: Array) -> Array:
        """What every level adds to running sums (..., k)."""
        return sums - self._above(sums)

    def _above(self, sums: Array) -> Array:
        return self.xp.concat([self.xp.zeros_like(sums[..., :1]), sums[..., :-1]], axis=-1)


def view(maps: Array, support: Array | None = None) -> View:
    """A `View` of maps (..., y, x); a view is handed back as it is.

    >>> import numpy as np
    >>> view(np.array([[3.0, 1.0], [1.0, 2.0]])).levels
    array([3., 2., 1.])
    """
    if not isinstance(maps, View):
        return View(maps, support)
    if support is not None and support is not maps.support:
        raise InputError("'support' differs from the one the view was made with; leave it out, or make a new view")
    return maps


def views(heatmap: Array, mask: Array, support: Array | None = None) -> tuple[View, View]:
    """The views of heatmaps and masks on one canvas.

    Raises
    ------
    InputError
        If their canvases or supports differ.
    """
    h, m = view(heatmap, support), view(mask, support)
    if h.canvas != m.canvas:
        raise InputError(f"'mask' must have the heatmap's {_size(h.canvas)}; got {_size(m.canvas)}")
    if h.n != m.n:
        raise InputError("'heatmap' and 'mask' must be views of one support")
    return h, m


def gather(xp: Any, values: Array, index: Array) -> Array:
    """Values (..., n) at an index (..., k) of its own per row; batch dimensions broadcast."""
    values = xp.reshape(values, (1,) * (index.ndim - values.ndim) + tuple(values.shape))
    if prod(index.shape[:-1]) == 1:
        return xp.take(values, xp.reshape(index, (-1,)), axis=-1)
    index = xp.reshape(index, (1,) * (values.ndim - index.ndim) + tuple(index.shape))
    return xp.take_along_axis(values, index, axis=-1)


def dot(xp: Any, a: Array, b: Array) -> Array:
    """Sum of products over the last axis; unlike a BLAS call the same for any number of threads."""
    return xp.sum(a * b, axis=-1)


def divide(xp: Any, numerator: Array, denominator: Array, undefined: float = float("nan")) -> Array:
    """A quotient with a value of its own where the denominator is 0."""
    zero = denominator == 0
    safe = xp.where(zero, xp.ones_like(denominator), denominator)
    quotient = numerator / safe
    return xp.where(zero, xp.full_like(quotient, undefined), quotient)


def _extreme(xp: Any, values: Array) -> Array | None:
    """What to divide maps by whose squares would over- or underflow; None where there is no such map."""
    peak = xp.max(xp.abs(values), axis=-1)
    top = float(xp.finfo(values.dtype).max) ** 0.25
    odd = (peak > top) | ((peak > 0) & (peak < 1 / top))
    return xp.where(odd, peak, xp.ones_like(peak)) if bool(xp.any(odd)) else None


def _unit(xp: Any, values: Array) -> Array:
    centred = values - xp.mean(values, axis=-1, keepdims=True)
    return divide(xp, centred, xp.sqrt(dot(xp, centred, centred))[..., None], 0.0)


def _inside(xp: Any, support: Array, maps: Array) -> Array:
    if tuple(support.shape) != tuple(maps.shape[-2:]):
        raise InputError(f"'support' must have the maps' {_size(maps.shape[-2:])}; got {_size(support.shape)}")
    device = {"device": maps.device} if hasattr(maps, "device") else {}
    (index,) = xp.nonzero(xp.reshape(xp.asarray(support, dtype=xp.bool, **device), (-1,)))
    if not index.shape[0]:
        raise InputError("'support' must have at least one pixel; got none")
    return index


def _size(shape: Any) -> str:
    return " x ".join(str(int(length)) for length in shape) + " (rows x columns)"


def _rows(xp: Any, values: Array) -> list[Array]:
    flat = xp.reshape(values, (-1, values.shape[-1]))
    return [flat[i, ...] for i in range(flat.shape[0])]


def _pad(xp: Any, row: Array, width: int, value: int) -> Array:
    missing = width - row.shape[0]
    return xp.concat([row, xp.broadcast_to(xp.full_like(row[:1], value), (missing,))])
