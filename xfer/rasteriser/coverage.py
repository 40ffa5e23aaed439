"""How much of a pixel a shape covers: linear edge ramps over signed distances, on a window of pixels.

Numpy or torch. Numbers of the shape are floats, or arrays (face, 1, 1) to draw many faces at once; x is
(..., 1, w) and y (..., h, 1), px from the shape's origin; the answer is (..., h, w) in [0, 1].
"""

from typing import Any

TINY = 1e-12


def edge(xp: Any, distance: Any, ramp: Any) -> Any:
    """The edge: 1 inside, 0 outside, linear over ``ramp`` px centred on the outline.

    >>> import numpy as np
    >>> edge(np, np.array([-2.0, -0.5, 0.0, 0.5, 2.0]), 2.0).tolist()
    [1.0, 0.75, 0.5, 0.25, 0.0]
    """
    return xp.clip(0.5 - distance / ramp, 0.0, 1.0)


def ellipse(xp: Any, x: Any, y: Any, ramp: Any, cos: Any, sin: Any, a: Any, b: Any) -> Any:
    """An ellipse with semi-axis ``a`` px along (cos, sin) and ``b`` px across.

    The signed distance is taken to first order, ``k (k - 1) / |gradient of k / 2|`` with ``k`` the radius in
    the ellipse's own metric: exact on the outline, along both axes, and everywhere for a circle.
    """
    u = x * (cos / a) + y * (sin / a)
    v = y * (cos / b) - x * (sin / b)
    u, v = u * u, v * v
    square = u + v + TINY
    slope = xp.sqrt(u * (ramp / a) ** 2 + v * (ramp / b) ** 2 + TINY * (ramp / b) ** 2)
    return xp.clip(0.5 + (xp.sqrt(square) - square) / slope, 0.0, 1.0)


def diamond(xp: Any, x: Any, y: Any, ramp: Any, cos: Any, sin: Any, half: Any, fall: Any) -> Any:
    """JAA-Net's map in a square of half-side ``half`` px: 1 at its centre, 1 - ``fall`` at its corners."""
    u, v = xp.abs(x * cos + y * sin), xp.abs(y * cos - x * sin)
    peak = 1.0 - (u + v) * (fall / (2.0 * half))
    return peak * edge(xp, u - half, ramp) * edge(xp, v - half, ramp)


def polygon(xp: Any, x: Any, y: Any, ramp: Any, *corners: Any) -> Any:
    """A polygon with corners x0, y0, x1, y1, ... px: distance to the nearest side, sign by even-odd rule."""
    ends = list(zip(corners[::2], corners[1::2], strict=True))
    nearest: Any = None
    inside: Any = None
    for (ax, ay), (bx, by) in zip(ends, [*ends[1:], ends[0]], strict=True):
        ex, ey = bx - ax, by - ay
        px, py = x - ax, y - ay
        length = ex * ex + ey * ey + TINY
        along = xp.clip(px * (ex / length) + py * (ey / length), 0.0, 1.0)
        dx, dy = px - along * ex, py - along * ey
        square = dx * dx + dy * dy
        crosses = ((y >= ay) != (y >= by)) & (px < py * (ex / (ey + (ey == 0) * 1.0)))
        nearest = square if nearest is None else xp.minimum(nearest, square)
        inside = crosses if inside is None else inside ^ crosses
    distance = xp.sqrt(nearest)
    return edge(xp, xp.where(inside, -distance, distance), ramp)
