"""What units are told apart by: who upgrades a library never gets a number that an older one made."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from xfer.study import photographs, plan, provenance
from xfer.study.plan import EXPLAINING, TRAINING, Plan

Versions = dict[str, dict[str, str]]


def told(where: Path) -> Versions:
    some: Any = SimpleNamespace(device="cpu")
    (where / "net.onnx").touch()
    network: Any = SimpleNamespace(path=where / "net.onnx")
    return {
        "weights": Plan.versions(some, TRAINING),
        "heatmaps": Plan.versions(some, EXPLAINING),
        "randomised": Plan.versions(some, plan.RANDOMISING),
        "photographs": photographs._made_by(network, {}),  # type: ignore[arg-type]
    }


@pytest.mark.parametrize(
    ("library", "changed"),
    [
        *((name, {"heatmaps", "photographs"}) for name in ("captum", "grad-cam", "scikit-image")),
        *((name, {"weights", "heatmaps", "randomised", "photographs"}) for name in ("torch", "timm", "numpy")),
        ("matplotlib", set()),
    ],
)
def test_who_follows_from_a_library(
    library: str, changed: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, version = told(tmp_path), provenance.version
    monkeypatch.setattr(provenance, "version", lambda name: "0.1" if name == library else version(name))
    now = told(tmp_path)
    assert {name for name in before if now[name] != before[name]} == changed
    assert provenance.versions()[library] == "0.1", "the record of a study names it"
