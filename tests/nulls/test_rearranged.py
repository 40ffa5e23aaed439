"""Scores of rearranged values are the metrics', for every metric and rule."""

import numpy as np
import pytest

from xfer.metrics import METRICS, view
from xfer.nulls.rearranged import OVERLAP, SUMS, Rearranged, questions

SHAPE = (9, 8)


def maps(kind: str, rng: np.random.Generator) -> np.ndarray:
    if kind == "ties":
        return rng.integers(0, 5, SHAPE).astype(np.float32)
    values = rng.normal(size=SHAPE) if kind == "signed" else rng.gamma(0.5, size=SHAPE)
    return values.astype(np.float32)


@pytest.mark.parametrize("kind", ["ties", "signed", "positive"])
@pytest.mark.parametrize("name", METRICS)
def test_scores_are_the_metrics(name: str, kind: str, rng: np.random.Generator) -> None:
    heatmap, support = maps(kind, rng), np.ones(SHAPE, bool)
    support[0, :3] = False
    truth = view(rng.random((3, *SHAPE)), support)
    asked = questions([name], ["otsu", "area", 0.4, "upper_bound"])
    values = Rearranged(heatmap, truth, support, asked)
    fields = np.stack([values.own, *rng.random((3, support.sum()))]).astype(np.float32)
    placed = np.concatenate([values.own[None], values.place(fields[1:])])
    contrast = {"others": truth} if METRICS[name].contrast else {}
    for question, found in zip(asked, values.scores(placed), strict=True):
        for row, scores in zip(placed, found, strict=True):
            plain = np.zeros(SHAPE)
            plain[support] = np.sort(heatmap[support].astype(float))[row.argsort(kind="stable").argsort()]
            expected = METRICS[name](view(plain, support), truth, **contrast, **question.options)
            np.testing.assert_allclose(scores, expected, rtol=2e-5, atol=2e-6)


def test_the_quick_metrics_are_registered() -> None:
    assert {*OVERLAP, *SUMS} < set(METRICS)
