"""``xfer explainers`` as a user meets it."""

from collections.abc import Callable

import pandas as pd

from xfer.explainers import EXPLAINERS

Run = Callable[..., tuple[int, str, str]]


def test_every_explainer_is_listed_with_its_facts(run: Run) -> None:
    code, out, _ = run("explainers", "list")
    assert code == 0
    lines = {line.split()[0]: line.split()[1:4] for line in out.splitlines() if line and not line.startswith(" ")}
    assert set(EXPLAINERS) <= set(lines)
    assert lines["saliency"] == ["gradient", "no", "yes"]
    assert lines["grad_cam"] == ["layer", "yes", "yes"]
    assert lines["rise"] == ["perturbation", "yes", "no"]


def test_check_prints_and_writes_a_leaderboard(run: Run) -> None:
    words = ("--cues", "background", "--explainers", "saliency,random_cam,attention_rollout", "--faces", "120")
    code, out, _ = run("explainers", "check", *words, "--size", "24", "--explained", "4", "--out", "board.csv")
    assert code == 0
    table = pd.read_csv("board.csv")
    assert set(table.explainer) == {"saliency", "random_cam", "attention_rollout"}
    assert "background" in out
    assert "attention_rollout does not apply to _Small" in out


def test_a_cue_that_is_not_there_is_refused(run: Run, refused: Callable[..., None]) -> None:
    refused(run("explainers", "check", "--cues", "nose"), "'cue' must be one of background, brows, mouth, patch")
