"""Maps, colours and outlines as the page's scripts read them: small texts that hold no NaN."""

import base64
import io
from typing import Any

import numpy as np
from PIL import Image

from xfer.report.canvas import HEAT, decimal
from xfer.report.panels import limits_of, outline

LEVELS = 254
"""Steps between the lowest and the highest value of a map; the level 0 is for pixels without a value."""


def levels(heatmap: np.ndarray) -> dict[str, Any]:
    """A map (y, x) as a grey picture of its values: 0 where it is NaN, 1 to `LEVELS` + 1 from lowest to highest.

    Returns
    -------
    dict
        ``map`` (PNG in base64), ``low`` and ``high``, the values at both ends.
    """
    low, high = limits_of(heatmap)
    share = (np.nan_to_num(heatmap, nan=low) - low) / (high - low if high > low else 1.0)
    shades = np.where(np.isfinite(heatmap), 1 + np.round(LEVELS * share), 0).astype(np.uint8)
    return {"map": _png(shades), "low": low, "high": high}


def _png(pixels: np.ndarray) -> str:
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, format="PNG")
    return base64.b64encode(held.getvalue()).decode("ascii")


def picture(pixels: np.ndarray) -> str:
    """A uint8 picture (y, x, 3 or 4) as a data URI."""
    return f"data:image/png;base64,{_png(pixels)}"


def palette() -> str:
    """The colours of `LEVELS` + 1 levels, six hexadecimal digits each.

    >>> palette()[:6], len(palette()) // 6
    ('000004', 255)
    """
    colours = np.round(HEAT(np.linspace(0, 1, LEVELS + 1))[:, :3] * 255).astype(np.uint8)
    return colours.tobytes().hex()


def path(mask: np.ndarray) -> str:
    """The outline of a mask (y, x) as the path of an SVG, in px; the first pixel lies between 0 and 1.

    >>> sorted(path(np.array([[0.0, 0, 0], [0, 1, 0], [0, 0, 0]])).strip("MZ").split("L"))
    ['1 1.5', '1.5 1', '1.5 2', '2 1.5']
    """
    return "".join(
        "M" + "L".join(f"{decimal(x + 0.5, 1)} {decimal(y + 0.5, 1)}".replace(".0", "") for x, y in line[:-1]) + "Z"
        for line in outline(mask)
    )
