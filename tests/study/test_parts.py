"""Units explained in parts: what they merge to is the unit done as one; each network is made ready once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from xfer import datasets, training
from xfer.explainers import SilentLayerError
from xfer.models.layers import Layer
from xfer.models.starting import Start
from xfer.progress import silent
from xfer.study import parts, shards, unit
from xfer.study.folder import MAPS, PARTIALS, SHARDS
from xfer.study.ready import Ready
from xfer.study.unit import Unit
from xfer.training import Pixels, Settings

FACES, SIZE = 24, 32
SETTINGS = Settings(size=SIZE, seed=3, batch=5, mean=(0.5,) * 3, std=(0.25,) * 3)
FACTS = {"model": "net", "guide": "none", "seed": "3", "fold": "0", "coarse": "", "size": SIZE}
BLOCKS = np.random.default_rng(0).integers(7, size=FACES)


def network(gain: float = 1.0) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(1)
        net = nn.Sequential(nn.Conv2d(3, 6, 5, stride=4), nn.Tanh(), nn.Flatten(), nn.Linear(6 * 49, 6))
    with torch.no_grad():
        net[3].weight.mul_(gain)
    return net.eval()


class Names:
    """A witness that remembers whom it was shown."""

    def __init__(self) -> None:
        self._seen: list[int] = []

    def __call__(self, index: np.ndarray, maps: Tensor) -> None:
        self._seen += index.tolist()

    def tables(self) -> dict[str, pd.DataFrame]:
        return {"seen": pd.DataFrame({"face": self._seen})}


@dataclass(frozen=True)
class Watched(Unit):
    """A unit with a witness."""

    def witness(self, model: nn.Module) -> Names:
        return Names()


@pytest.fixture(scope="module")
def pixels() -> Pixels:
    """Drawn faces, of which one cannot be warped, one has no landmarks and one is of no class."""
    read = training.read(datasets.open("synthetic", faces=FACES, size=SIZE), SIZE, workers=1)
    points, labels = read.landmarks.copy(), read.labels.copy()
    points[7] = points[7, :1]
    points[11] = np.nan
    labels[20] = -1
    return replace(read, landmarks=points, labels=labels)


@pytest.fixture
def made(pixels: Pixels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Unit]:
    """A unit whose network is there; how often it was made ready is counted."""
    monkeypatch.setattr(parts, "prepared", prepared)
    (tmp_path / PARTIALS).mkdir()
    parts.forget()
    prepared.count = 0

    def make(**changes: Any) -> Unit:
        some: dict[str, Any] = {
            "network": "net", "fold": "0", "digest": "whole", "trained": "t", "settings": SETTINGS,
            "start": Start("scratch", ""), "device": "cpu", "pixels": pixels, "train": np.arange(2),
            "validation": np.arange(2), "test": np.arange(FACES)[::-1], "blocks": BLOCKS, "explainers": ("grad_cam",),
            "selection": "true", "per_class": 0, "frame": "xfer", "home": tmp_path, "per_face": True,
        }  # fmt: skip
        return Watched(**{**some, **changes})

    return make


def prepared(unit: Unit, progress: object, gain: float = 1.0) -> Ready:
    """The network, always the same."""
    prepared.count += 1
    return Ready(network(gain), Layer("1", (7, 7), "map"), FACTS, ("known before",))


prepared.count = 0  # type: ignore[attr-defined]


def in_parts(whole: Unit, most: int, monkeypatch: pytest.MonkeyPatch) -> Sequence[parts.Piece]:
    """The shard of a unit, made part by part, the last first."""
    monkeypatch.setattr(parts, "FACES", most)
    pieces = parts.cut(whole)
    for piece in reversed(pieces):
        parts.compute(piece, silent)
    if pieces:
        parts.merge(whole, pieces)
    return pieces


@pytest.mark.parametrize(
    ("selection", "per_class", "drawn_by", "most"),
    [("true", 0, None, 9), ("shown", 3, 7, 4), ("predicted", 0, None, 2)],
)
def test_parts_merge_to_the_unit_done_as_one(
    made: Callable[..., Unit],
    selection: str,
    per_class: int,
    drawn_by: int | None,
    most: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    given: dict[str, Any] = {"selection": selection, "per_class": per_class, "drawn_by": drawn_by}
    alone, cut = made(**given), made(**given, digest="cut")
    unit.keep(alone, unit.explain(alone, prepared(alone, silent), silent))
    prepared.count = 0
    pieces = in_parts(cut, most, monkeypatch)
    assert len(pieces) > 1
    assert prepared.count == 1, "the network stays"
    assert not list((cut.home / PARTIALS).iterdir())
    one, other = (cut.home / SHARDS / f"{name}.npz" for name in ("whole", "cut"))
    first, second = shards.read(one), shards.read(other)
    assert first.facts == second.facts
    for name in ("counts", "support", "block_sums", "block_missing"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name), strict=True)
    for name in ("sums", "squares"):  # regrouped by parts: the rounding of float64
        np.testing.assert_allclose(getattr(second, name), getattr(first, name), rtol=1e-12, atol=1e-13)
    for name in ("cells", "rows"):
        pd.testing.assert_frame_equal(getattr(first, name), getattr(second, name))
    for (title, table), joined in zip(shards.read_tables(one).items(), shards.read_tables(other).values(), strict=True):
        pd.testing.assert_frame_equal(table, joined, obj=title)
    with np.load(cut.home / MAPS / "whole.npz") as a, np.load(cut.home / MAPS / "cut.npz") as b:
        assert a.files == b.files
        for name in a.files:
            np.testing.assert_array_equal(a[name], b[name])


def test_parts_that_nobody_asks_for_any_more_go(made: Callable[..., Unit], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "FACES", 9)
    old, new = (parts.cut(made(digest=digest))[0] for digest in ("old", "new"))
    for piece in (old, new):
        for path in (piece.path, piece.maps):
            path.touch()
    other = old.path.with_name("landmarks-old.parquet")
    other.touch()
    parts.clear(old.unit.home, {"new"})
    assert set(other.parent.iterdir()) == {new.path, new.maps, other}


def test_what_is_done_as_one(made: Callable[..., Unit], monkeypatch: pytest.MonkeyPatch) -> None:
    assert parts.cut(made()) == [], "few faces"
    monkeypatch.setattr(parts, "FACES", 8)
    assert sum(piece.part.stop - piece.part.start for piece in parts.cut(made())) == FACES - 2
    few: dict[str, Any] = {"blocks": np.zeros(FACES, int)}
    for changes in (few, {"randomised": 5}, {"until": "training"}, {"selection": "predicted", "per_class": 3}):
        assert parts.cut(made(**changes)) == []


def test_a_network_without_gradients_is_told_when_all_parts_say_so(
    made: Callable[..., Unit], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "prepared", lambda unit, progress: prepared(unit, progress, gain=0.0))
    with pytest.raises(SilentLayerError, match="every gradient at layer '1' is zero: its features do not reach"):
        in_parts(made(), 10, monkeypatch)


def test_a_batch_that_one_part_halved_is_remarked(made: Callable[..., Unit], monkeypatch: pytest.MonkeyPatch) -> None:
    real, tried = unit.explain_faces, []

    def explain(*given: Any, **options: Any) -> Any:
        tried.append(options["batch_size"])
        if len(tried) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(*given, **options)

    monkeypatch.setattr(unit, "explain_faces", explain)
    whole = made()
    assert len(in_parts(whole, 10, monkeypatch)) > 1
    told = shards.read_facts(whole.home / SHARDS / "whole.npz")["remarks"]
    assert told == "known before; memory ran out with 5 faces explained at a time; explained 2 at a time"


@settings(max_examples=60)
@given(sizes=st.lists(st.integers(1, 9), min_size=1, max_size=12), most=st.integers(1, 20))
def test_parts_are_whole_blocks_and_as_large_as_may_be(sizes: list[int], most: int) -> None:
    blocks = np.repeat(np.arange(len(sizes)), sizes)
    stops = parts.ends(blocks, most)
    spans = [blocks[start:stop] for start, stop in zip([0, *stops], stops, strict=False)]
    assert np.concatenate(spans).tolist() == blocks.tolist()
    assert not any(set(a) & set(b) for a, b in pairwise(spans))
    assert all(len(span) <= most or len(set(span)) == 1 for span in spans)
    assert all(len(a) + sizes[b[0]] > most for a, b in pairwise(spans)), "the next block would not have fitted"
