"""``xfer guide`` on the command line: a whole run in small, and one line for everything that is refused."""

from collections.abc import Callable
from pathlib import Path

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


def test_the_tables_are_printed_and_the_page_is_written(run: Run, tmp_path: Path) -> None:
    words = ["--drawn", "48", "--seeds", "1", "--explained", "1", "--pretrained", "no", "--controls", "au,none"]
    code, out, _ = run("guide", "songnet", *words, "--draws", "20", "--out", tmp_path / "study")
    assert code == 0
    assert "ATT-COS (training objective)" in out
    assert "au - none" in out
    assert (tmp_path / "study" / "report.html").is_file()
    code, out, _ = run("report", tmp_path / "study", "--faces", "none")
    assert code == 0
