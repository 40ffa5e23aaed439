"""ATT-COS and CAM-COS, against the published steps written out pixel by pixel."""

import math

import numpy as np
import pytest
import torch

from xfer.metrics import METRICS, reason
from xfer.metrics.published_cosines import att_cos, cam_cos, published


def plain(heatmap: np.ndarray, mask: np.ndarray) -> float:
    top = sum(float(a) * float(b) for a, b in zip(heatmap.flat, mask.flat, strict=True))
    return top / math.sqrt(sum(float(a) ** 2 for a in heatmap.flat)) / math.sqrt(sum(float(b) ** 2 for b in mask.flat))


@pytest.mark.parametrize("offset", [0.0, 5.0])
def test_attention_is_moved_only_where_it_is_negative(offset: float, rng: np.random.Generator) -> None:
    heatmap, mask = rng.normal(size=(6, 5)) + offset, rng.random((6, 5))
    moved = heatmap if offset else heatmap - heatmap.min()
    assert float(att_cos(heatmap, mask)) == pytest.approx(plain(moved, mask), rel=1e-12)


def test_a_class_activation_map_is_stretched_first(rng: np.random.Generator) -> None:
    heatmap, mask = rng.normal(size=(6, 5)) + 2, rng.random((6, 5))
    stretched = (heatmap - heatmap.min()) / (heatmap.max() - heatmap.min())
    assert float(cam_cos(heatmap, mask)) == pytest.approx(plain(stretched, mask), rel=1e-12)


@pytest.mark.parametrize("name", ["att_cos", "cam_cos"])
def test_what_the_published_code_counts_as_zero_is_nan_with_a_reason(name: str) -> None:
    heatmaps, mask = np.stack([np.ones((2, 2)), np.eye(2)]), np.eye(2)
    scores = METRICS[name](heatmaps, mask)
    assert np.isnan(scores).tolist() == [True, False]
    assert reason(METRICS[name], heatmaps, mask).tolist() == ["constant heatmap", ""]
    assert published(scores).tolist() == pytest.approx([0.0, 1.0])
    assert published(torch.from_numpy(scores)).tolist() == pytest.approx([0.0, 1.0])


def test_a_support_is_where_the_smallest_value_is_looked_for() -> None:
    heatmap = np.array([[-9.0, 1.0], [2.0, 3.0]])
    mask, support = np.array([[0.0, 0.0], [1.0, 0.5]]), np.array([[False, True], [True, True]])
    assert float(att_cos(heatmap, mask, support=support)) == pytest.approx(plain(np.array([1.0, 2, 3]), mask[support]))
    assert float(cam_cos(heatmap, mask, support=support)) == pytest.approx(plain(np.array([0.0, 1, 2]), mask[support]))
