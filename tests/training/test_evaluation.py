"""Predictions and what is counted of them, against scikit-learn."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn import metrics

from xfer import training
from xfer.training import Settings

CLASSES = ("anger", "fear", "happiness", "sadness")


@pytest.fixture
def predictions(rng: np.random.Generator) -> pd.DataFrame:
    true, guess = (rng.choice(CLASSES[:3], 50, p=p) for p in ([0.5, 0.3, 0.2], [0.2, 0.2, 0.6]))
    return pd.DataFrame({"expression": true, "predicted": guess})


def test_against_scikit_learn(predictions: pd.DataFrame) -> None:
    true, guess = predictions["expression"], predictions["predicted"]
    assert training.accuracy(predictions) == pytest.approx(metrics.accuracy_score(true, guess), rel=1e-12)
    f1 = metrics.f1_score(true, guess, average="macro")
    assert training.macro_f1(predictions, CLASSES) == pytest.approx(f1, rel=1e-12)
    counts = metrics.confusion_matrix(true, guess, labels=CLASSES)
    np.testing.assert_array_equal(training.confusion(predictions, CLASSES), counts)
    right = metrics.recall_score(true, guess, average=None, labels=CLASSES[:3])
    np.testing.assert_allclose(training.recall(predictions, CLASSES)[:3], right, rtol=1e-12)


def test_what_does_not_occur_is_nan_and_not_counted(predictions: pd.DataFrame) -> None:
    assert np.isnan(training.recall(predictions, CLASSES)["sadness"])
    nobody = predictions.assign(expression="")
    assert np.isnan(training.accuracy(nobody))
    assert training.confusion(nobody, CLASSES).to_numpy().sum() == 0
    assert np.isnan(training.macro_f1(nobody, CLASSES))
    half = pd.concat([predictions, nobody])
    assert training.accuracy(half) == training.accuracy(predictions)


def test_evaluate(pixels: training.Pixels, network: Callable, settings: Settings) -> None:
    model = network()
    chosen = [40, 3, 9, 12, 33]
    found = training.evaluate(model, pixels, chosen, settings, batch=2)
    assert model.training
    assert found["id"].tolist() == [pixels.ids[i] for i in chosen]
    assert found["expression"].tolist() == [pixels.classes[pixels.labels[i]] for i in chosen]
    with torch.no_grad():
        expected = model.eval()(pixels.images(chosen).float() / 255).softmax(1).numpy()
    columns = [f"p_{name}" for name in pixels.classes]
    np.testing.assert_allclose(found[columns], expected, rtol=1e-5)
    assert found["predicted"].tolist() == [pixels.classes[i] for i in expected.argmax(1)]


def test_an_error_in_the_network_leaves_its_mode(pixels: training.Pixels, network: Callable) -> None:
    model = network()
    with pytest.raises(KeyError, match="not read"):
        training.evaluate(model, training.Pixels(**{**vars(pixels), "row": pixels.row * 0 - 1}), [0], Settings(size=32))
    with pytest.raises(RuntimeError, match="expected input"):
        training.evaluate(torch.nn.Sequential(torch.nn.Conv2d(7, 1, 1)), pixels, [0], Settings(size=32))
    assert model.training
