"""The grid of single faces: every face, method and class, once."""

import numpy as np
import xarray as xr

from xfer.report.explanations import explanation_grid
from xfer.study.photographs import Explanation


def explanation(value: float) -> Explanation:
    values = np.linspace(-value, value, 2 * 2 * 6 * 6).reshape(2, 2, 6, 6).astype("float32")
    coords = {"explainer": ["grad_cam", "saliency"], "target": ["anger", "fear"]}
    return Explanation(
        np.full((12, 12, 3), 120, np.uint8),
        xr.DataArray(values, coords, ("explainer", "target", "y", "x")),
        "anger",
        0.5,
    )


def test_a_row_for_each_face_and_class_and_a_column_for_each_method() -> None:
    fig = explanation_grid([explanation(1.0), explanation(np.nan)], ["a.png", "a-very-long-name-of-a-photograph.png"])
    (ax,) = fig.axes
    words = [text.get_text() for text in ax.texts]
    assert words.count("anger") == words.count("fear") == 2
    assert words.count("anger 0.50") == 2
    assert words[:3] == ["face", "grad cam", "saliency"]
    assert "a-very-long-…otograph.png" in words
    assert len(ax.images) == 2 * (1 + 2 * 2) + 2


def test_signed_maps_are_coloured_on_both_sides_and_undefined_ones_are_grey() -> None:
    fig = explanation_grid([explanation(1.0), explanation(np.nan)])
    drawn = [np.asarray(image.get_array()) for image in fig.axes[0].images]
    grey = [
        np.allclose(image[..., 0], image[..., 1]) and np.allclose(image[..., 1], image[..., 2]) for image in drawn[:-2]
    ]
    assert grey == [True, False, False, False, False, True, True, True, True, True]
    against, towards = drawn[1][0, 0], drawn[4][-1, -1]
    assert against[2] > against[0]
    assert towards[0] > towards[2] or towards[0] > 0.9
