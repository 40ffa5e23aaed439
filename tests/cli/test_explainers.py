"""``xfer explainers`` as a user meets it."""

from collections.abc import Callable

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
