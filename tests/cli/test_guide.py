"""``xfer guide`` on the command line: one line for all that is refused; runs are in tests/study/test_twins.py."""

from collections.abc import Callable

import pytest

Run = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--explainer", "grad_cam"], ["--explainer", "occlusion, integrated_gradients"]),
        (["--masks", "belharbi2024"], ["--masks belharbi2024", "--guide-masks belharbi2024", "ekman"]),
        (["--controls", "au,template"], ["--controls lacks none"]),
        (["--ablate", "colour"], ["--ablate", "layer, weight, codebook, data"]),
        (["--guide-layers", "nowhere"], ["nowhere"]),
        (
            ["--expressions", "fear,surprise"],
            ["'shuffled' needs a derangement of fear, surprise", "leave the control out"],
        ),
        (
            ["--guide-masks", "ekman"],
            ["--masks ekman: shares codebook 'ekman'", "guide by another source, such as belh"],
        ),
        (["--guide-schedule", "cosin"], ["constant, linear, cosine", "did you mean 'cosine'?"]),
    ],
)
def test_bad_input_is_one_line(words: list[str], parts: list[str], run: Run, refused: Callable[..., None]) -> None:
    refused(run("guide", "songnet", "--drawn", "48", "--pretrained", "no", *words), *parts)


def test_a_network_in_onnx_cannot_be_guided(run: Run, refused: Callable[..., None]) -> None:
    told = "a network in ONNX is not trained, so nothing can guide it"
    refused(run("guide", "onnx:theirs.onnx"), told)
    refused(run("compare", "--models", "onnx:theirs.onnx", "--guide", "au"), "--guide au: ", told)
