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
        (["--guide-schedule", "cosin"], ["constant, linear, cosine", "did you mean 'cosine'?"]),
    ],
)
def test_bad_input_is_one_line(words: list[str], parts: list[str], run: Run, refused: Callable[..., None]) -> None:
    refused(run("guide", "songnet", "--drawn", "48", "--pretrained", "no", *words), *parts)
