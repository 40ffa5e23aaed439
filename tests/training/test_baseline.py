"""The linear classifier, against scikit-learn."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from xfer import training
from xfer.datasets import Dataset, FaceSample
from xfer.training import baseline


@pytest.mark.parametrize("c", [0.01, 1.0])
def test_logistic_against_scikit_learn(c: float, rng: np.random.Generator) -> None:
    features = rng.normal(size=(120, 7))
    labels = (features @ rng.normal(size=(7, 3)) + 2 * rng.normal(size=(120, 3)) + [0, 1, -1]).argmax(1)
    reference = LogisticRegression(C=c, tol=1e-10, max_iter=10_000).fit(features, labels)
    weights = baseline.logistic(features, labels, 3, c)
    np.testing.assert_allclose(baseline.probabilities(features, weights), reference.predict_proba(features), atol=1e-4)
    np.testing.assert_allclose(weights[:-1].T, reference.coef_, atol=1e-3)


def test_grey_is_luminance_of_small_faces(pixels: training.Pixels) -> None:
    rows = baseline.grey(pixels, [4, 2], 32)
    expected = np.einsum("ncyx,c->nyx", pixels.images([4, 2]).double().numpy() / 255, [0.299, 0.587, 0.114])
    assert rows.dtype == np.uint8
    np.testing.assert_allclose(rows / 255, expected.reshape(2, -1), atol=0.5 / 255 + 1e-6)
    assert baseline.grey(pixels, [], 24).shape == (0, 576)


def test_standardising_some_rows_at_a_time_is_standardising(rng: np.random.Generator) -> None:
    """More rows than are looked at together, against scikit-learn on a standardised copy."""
    pictures = rng.integers(0, 256, (1500, 9)).astype(np.uint8)
    pictures[:, 4] = 7
    labels = (pictures[:, 0] > pictures[:, 1]).astype(np.int64)
    mean, deviation = pictures.mean(axis=0), pictures.std(axis=0)
    deviation[4] = 1
    scale = baseline._scale(pictures)
    np.testing.assert_allclose(scale, (mean, deviation), rtol=1e-12)
    reference = LogisticRegression(C=0.1, tol=1e-10, max_iter=10_000).fit((pictures - mean) / deviation, labels)
    weights = baseline.logistic(pictures, labels, 2, 0.1 / 2, scale=scale)  # two weights share what one has there
    found = baseline.probabilities(pictures, weights, scale)
    np.testing.assert_allclose(found, reference.predict_proba((pictures - mean) / deviation), atol=1e-4)


def noisy_faces(rng: np.random.Generator) -> Dataset:
    """Noise, a little brighter in the top half for anger and in the bottom half for fear."""
    pictures = rng.integers(0, 200, (240, 32, 32, 3)).astype(np.uint8)
    for i, picture in enumerate(pictures):
        half = picture[:16] if i % 2 else picture[16:]
        half += 10
    samples = [
        FaceSample(f"{i}", lambda i=i: pictures[i], ("anger", "fear")[i % 2], f"{i}") for i in range(len(pictures))
    ]
    return Dataset("noise", samples)


def test_a_planted_difference_is_found_and_the_test_faces_choose_nothing(rng: np.random.Generator) -> None:
    pixels = training.read(noisy_faces(rng), 32)
    train, held, test = np.split(np.arange(240), [160, 200])
    found = training.linear_baseline(pixels, train, held, test)
    assert found.accuracy > 0.8
    assert found.accuracy == training.accuracy(found.predictions)
    assert len(found.predictions) == 40
    fewer = training.linear_baseline(pixels, train, held, test[:5])
    assert (fewer.c, fewer.validation_accuracy) == (found.c, found.validation_accuracy)
