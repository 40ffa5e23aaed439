"""ROC areas against scikit-learn and by counting pairs."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from xfer.errors import InputError
from xfer.metrics import METRICS, reason
from xfer.metrics.roc import auc_judd, shuffled_auc


@pytest.mark.parametrize("levels", [2, 7, 10**9])
def test_auc_is_scikit_learns(levels: int, rng: np.random.Generator) -> None:
    heatmap, mask = rng.integers(0, levels, (50, 40)), rng.random((50, 40)) > 0.7
    assert float(auc_judd(heatmap, mask)) == pytest.approx(roc_auc_score(mask.ravel(), heatmap.ravel()), rel=1e-10)


def test_auc_counts_pairs_with_ties_half(rng: np.random.Generator) -> None:
    heatmap, mask = rng.integers(0, 3, (4, 4)), rng.random((4, 4)) > 0.5
    wins = [(a > b) + (a == b) / 2 for a in heatmap[mask] for b in heatmap[~mask]]
    assert float(auc_judd(heatmap, mask)) == pytest.approx(float(np.mean(wins)), rel=1e-12)


def test_shuffled_auc_ranks_against_the_other_masks_only(rng: np.random.Generator) -> None:
    heatmap, masks = rng.integers(0, 9, (12, 10)), rng.random((4, 12, 10)) > 0.8
    own, others = masks[0], masks[1:]
    negatives = others.any(axis=0) & ~own
    counted = own | negatives
    expected = roc_auc_score(own[counted], heatmap[counted])
    assert float(shuffled_auc(heatmap, own, others=others)) == pytest.approx(expected, rel=1e-10)
    assert float(shuffled_auc(heatmap, own, others=masks)) == pytest.approx(expected, rel=1e-10)


def test_shuffled_auc_takes_all_masks_at_once(rng: np.random.Generator) -> None:
    heatmap, masks = rng.random((12, 10)), rng.random((4, 12, 10)) > 0.8
    together = shuffled_auc(heatmap, masks, others=masks)
    one_by_one = [float(shuffled_auc(heatmap, m, others=np.delete(masks, i, 0))) for i, m in enumerate(masks)]
    np.testing.assert_allclose(together, one_by_one, rtol=1e-14)


def test_what_all_masks_share_earns_nothing() -> None:
    own = np.array([[1, 1, 1, 0, 0, 0]])
    other = np.array([[0, 1, 1, 1, 0, 0]])
    shared = np.array([[0, 1, 1, 0, 0, 0]])
    assert float(auc_judd(shared, own)) == pytest.approx(5 / 6)
    assert float(shuffled_auc(shared, own, others=other[None])) == pytest.approx(5 / 6)
    assert float(shuffled_auc(shared, own * (1 - shared), others=other[None] * (1 - shared))) == 0.5


def test_no_negatives_is_undefined_with_its_reason() -> None:
    heatmap, mask = np.array([[1.0, 2.0, 3.0]]), np.array([[1, 1, 0]])
    assert np.isnan(shuffled_auc(heatmap, mask, others=mask[None]))
    assert reason(METRICS["shuffled_auc"], heatmap, mask, others=mask[None]) == (
        "other masks leave no pixel outside this one"
    )


@pytest.mark.parametrize(("others", "got"), [(None, "nothing"), (np.ones((2, 2)), "an array of 2 dimensions")])
def test_missing_others_are_told(others: object, got: str) -> None:
    with pytest.raises(InputError) as error:
        shuffled_auc(np.eye(2), np.eye(2), others=others)
    assert str(error.value) == f"'others' must be the other expressions' masks (k, y, x); got {got}"
