"""Streamed sums: against plain means, in parts, at half resolution, without growing."""

import gc
import tracemalloc
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xfer.errors import InputError
from xfer.heatmaps.normalisations import positive_l1
from xfer.study import sums
from xfer.study.accumulation import Accumulator
from xfer.study.sums import Sums

FACTS = {"model": "net", "guide": "none", "seed": "0", "fold": "1", "layer": "conv"}
SHAPE = (5, 7)
EXPLAINERS = ("hires_cam", "grad_cam")
SUPPORT = np.ones(SHAPE, bool)
SUPPORT[0, :3] = SUPPORT[4, 6] = SUPPORT[2:4, 4:6] = False


class Faces:
    """Random maps with holes, a face without positive part now and then, dealt to groups and ascending blocks."""

    def __init__(self, seed: int, n: int, blocks: int = 3, whole: bool = False) -> None:
        rng = np.random.default_rng(seed)
        self.maps = rng.normal(size=(n, len(EXPLAINERS), *SHAPE)).astype(np.float32)
        self.maps[rng.random((n, 2)) < 0.15] *= 0
        if whole:
            self.maps = np.round(self.maps * 4)
        else:
            self.maps[np.broadcast_to(rng.random((n, 1, *SHAPE)) < 0.1, self.maps.shape)] = np.nan
        self.expressions = rng.choice(["fear", "anger"], n).tolist()
        self.outcomes = rng.choice(["correct", "incorrect"], n).tolist()
        self.blocks = np.sort(rng.integers(blocks, size=n)).tolist()

    def add(self, accumulator: Accumulator, part: slice) -> None:
        maps = torch.from_numpy(self.maps[part])
        accumulator.add(maps, self.expressions[part], self.outcomes[part], self.blocks[part])

    def chosen(self, explainer: str, expression: str, outcome: str, normalisation: str) -> np.ndarray:
        """The maps of a cell in float64, face by face, NaN where there is none; their blocks are `self.at`."""
        maps = self.maps[:, EXPLAINERS.index(explainer)].astype(np.float64)
        if normalisation == "positive_l1":
            maps = positive_l1(maps)
        within = [
            i
            for i in range(len(maps))
            if self.expressions[i] == expression and outcome in ("all", self.outcomes[i])
            if normalisation == "raw" or np.isfinite(maps[i]).any()
        ]
        self.at = np.array(self.blocks)[within]
        return maps[within]


def summed(faces: Faces, *, parts: int = 1, blocks: int = 3) -> list[Sums]:
    """The sums of faces dealt to so many parts, one after the other."""
    found = []
    for part in np.array_split(np.arange(len(faces.blocks)), parts):
        accumulator = Accumulator(EXPLAINERS, SUPPORT, blocks)
        if len(part):
            faces.add(accumulator, slice(part[0], part[-1] + 1))
        found.append(accumulator.finish(FACTS))
    return found


def same(a: Sums, b: Sums) -> None:
    pd.testing.assert_frame_equal(a.cells, b.cells)
    pd.testing.assert_frame_equal(a.rows, b.rows)
    for name in ("sums", "squares", "counts", "block_sums", "block_missing"):
        mine, its = getattr(a, name), getattr(b, name)
        assert mine.dtype == its.dtype
        assert mine.tobytes() == its.tobytes(), name


def keys(table: pd.DataFrame) -> Iterator[tuple[str, ...]]:
    yield from table[sums.CELL].itertuples(index=False, name=None)


def test_means_and_spreads_are_those_of_the_faces_one_by_one() -> None:
    faces = Faces(0, 60)
    (shard,) = summed(faces)
    maps, table = sums.heatmaps([shard])
    spreads, _ = sums.spread([shard])
    assert len(table) == 2 * 2 * 3 * 2
    with np.errstate(invalid="ignore"):
        for i, key in enumerate(keys(table)):
            single = faces.chosen(*key)
            assert table["n"][i] == len(single)
            np.testing.assert_allclose(maps[i], np.nanmean(single, axis=0), rtol=1e-6, atol=1e-7)
            np.testing.assert_allclose(spreads[i], np.nanstd(single, axis=0, ddof=1), rtol=1e-5, atol=1e-6)


def test_faces_without_positive_relevance_are_counted_apart() -> None:
    accumulator = Accumulator(["grad_cam", "layer_cam"], np.ones((1, 2), bool), 1)
    maps = torch.tensor([[[[1.0, 3.0]], [[1.0, 1.0]]], [[[-1.0, 0.0]], [[0.0, 2.0]]]])
    accumulator.add(maps, ["fear", "fear"], ["correct", "correct"], [0, 0])
    maps, table = sums.heatmaps([accumulator.finish(FACTS)])
    cells = {(r.explainer, r.outcome, r.normalisation): (r.n, r.undefined, i) for i, r in enumerate(table.itertuples())}
    assert cells["grad_cam", "all", "positive_l1"][:2] == (1, 1)
    assert maps[cells["grad_cam", "correct", "positive_l1"][2]].values.tolist() == [[0.25, 0.75]]
    assert maps[cells["grad_cam", "correct", "raw"][2]].values.tolist() == [[0.0, 1.5]]
    assert cells["layer_cam", "correct", "positive_l1"][:2] == (2, 0)
    assert maps[cells["layer_cam", "correct", "positive_l1"][2]].values.tolist() == [[0.25, 0.75]]


def test_the_key_is_whole_and_outcome_all_is_made_of_the_others() -> None:
    maps, table = sums.heatmaps(summed(Faces(1, 40)))
    assert {name: str(maps[name].values[0]) for name in FACTS} == FACTS
    assert (table["target"] == table["expression"]).all()
    n = dict(zip(keys(table), table["n"], strict=True))
    for explainer, expression, _, normalisation in n:
        parts = [n.get((explainer, expression, outcome, normalisation), 0) for outcome in sums.OUTCOMES]
        assert parts[2] == parts[0] + parts[1] > 0


def test_cells_and_pixels_without_faces_are_nan() -> None:
    accumulator = Accumulator(["grad_cam"], np.ones((1, 2), bool), 1)
    accumulator.add(torch.tensor([[[[np.nan, -3.0]]]]), ["fear"], ["incorrect"], [0])
    maps, table = sums.heatmaps([accumulator.finish(FACTS)])
    undefined = ("grad_cam", "fear", "all", "positive_l1")
    assert list(keys(table)) == [*(("grad_cam", "fear", o, "raw") for o in ("incorrect", "all")), undefined]
    assert table[["n", "undefined"]].to_numpy().tolist() == [[1, 0], [1, 0], [0, 1]]
    assert np.isnan(maps.values[2]).all()
    np.testing.assert_array_equal(maps.values[:2], [[[np.nan, -3]]] * 2)
    with pytest.raises(ValueError, match="no cell has a face"):
        sums.heatmaps([Accumulator(["grad_cam"], SUPPORT, 1).finish(FACTS)])


def test_a_selection_by_prediction_has_outcome_all_alone() -> None:
    accumulator = Accumulator(["grad_cam"], np.ones((1, 1), bool), 1)
    accumulator.add(torch.ones(1, 1, 1, 1), ["fear"], ["all"], [0])
    shard = accumulator.finish(FACTS)
    assert sums.heatmaps([shard])[1]["outcome"].tolist() == ["all", "all"]
    assert sums.blocks(shard, "grad_cam", "fear", "all", "raw").sums.tolist() == [[1.0]]


def test_blocks_are_the_pooled_sums_of_their_faces() -> None:
    faces = Faces(2, 50)
    (shard,) = summed(faces)
    positions, area = sums.half_pixels(SUPPORT)
    for explainer in EXPLAINERS:
        for outcome in sums.OUTCOMES:
            for normalisation in sums.STREAMED:
                found = sums.blocks(shard, explainer, "fear", outcome, normalisation)
                single = faces.chosen(explainer, "fear", outcome, normalisation)
                for block in range(3):
                    mine = single[faces.at == block]
                    assert found.n[block] == len(mine)
                    for pixel, position in enumerate(positions):
                        y, x = 2 * (position // 4), 2 * (position % 4)
                        inside = SUPPORT[y : y + 2, x : x + 2]
                        values = mine[:, y : y + 2, x : x + 2][:, inside]
                        assert values.shape[1] == area[pixel]
                        assert found.counts[block, pixel] == np.isfinite(values).sum()
                        np.testing.assert_allclose(found.sums[block, pixel], np.nansum(values), rtol=1e-6, atol=1e-6)


def test_blocks_of_whole_maps_make_the_halved_mean_map() -> None:
    faces = Faces(3, 40, whole=True)
    (shard,) = summed(faces)
    found = sums.blocks(shard, "grad_cam", "anger", "all", "raw")
    mean = faces.chosen("grad_cam", "anger", "all", "raw").mean(axis=0)
    np.testing.assert_allclose(found.sums.sum(0) / found.counts.sum(0), sums.halved(mean, SUPPORT), rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "explainer",
            "gradcam",
            "'explainer' must be one of grad_cam, hires_cam; got 'gradcam' (did you mean 'grad_cam'?)",
        ),
        ("outcome", "right", "'outcome' must be one of correct, incorrect, all; got 'right'"),
        ("normalisation", "published", "'normalisation' must be one of raw, positive_l1; got 'published'"),
    ],
)
def test_names_that_are_not_there(name: str, value: str, message: str) -> None:
    (shard,) = summed(Faces(4, 10))
    asked = {"explainer": "grad_cam", "expression": "fear", "outcome": "all", "normalisation": "raw", name: value}
    with pytest.raises(InputError) as caught:
        sums.blocks(shard, **asked)
    assert str(caught.value) == message


def test_an_expression_without_faces_has_empty_blocks() -> None:
    found = sums.blocks(summed(Faces(4, 10))[0], "grad_cam", "surprise", "all", "raw")
    assert found.n.tolist() == [0, 0, 0]
    assert not found.sums.any()
    assert not found.counts.any()


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 99), n=st.integers(0, 30), cut=st.integers(0, 3))
def test_whole_blocks_are_as_they_were(seed: int, n: int, cut: int) -> None:
    faces = Faces(seed, n)
    both = [Accumulator(EXPLAINERS, SUPPORT, 3) for _ in range(2)]
    place = int(np.searchsorted(faces.blocks, cut))
    for accumulator, some in zip(both, (slice(place), slice(place, n)), strict=True):
        faces.add(accumulator, some)
    merged, (whole,) = sums.merge([each.finish(FACTS) for each in both]), summed(faces)
    pd.testing.assert_frame_equal(merged.rows, whole.rows)
    for name in ("counts", "block_sums", "block_missing"):
        np.testing.assert_array_equal(getattr(merged, name), getattr(whole, name))
    np.testing.assert_allclose(merged.sums, whole.sums, rtol=1e-13, atol=1e-13)
    same(sums.merge(iter([whole])), whole)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 99), n=st.integers(1, 30), parts=st.integers(1, 4))
def test_parts_merge_to_the_whole(seed: int, n: int, parts: int) -> None:
    faces = Faces(seed, n)
    (whole,), merged = summed(faces), sums.merge(summed(faces, parts=parts))
    pd.testing.assert_frame_equal(merged.cells, whole.cells)
    pd.testing.assert_frame_equal(merged.rows, whole.rows)
    np.testing.assert_array_equal(merged.counts, whole.counts)
    np.testing.assert_array_equal(merged.block_missing, whole.block_missing)
    np.testing.assert_allclose(merged.sums, whole.sums, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(merged.squares, whole.squares, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(merged.block_sums, whole.block_sums, rtol=1e-6, atol=1e-5)


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 99), sizes=st.lists(st.integers(1, 7), min_size=1, max_size=6))
def test_how_many_faces_come_at_once_changes_nothing(seed: int, sizes: list[int]) -> None:
    faces = Faces(seed, sum(sizes))
    accumulator = Accumulator(EXPLAINERS, SUPPORT, 3)
    ends = np.cumsum([0, *sizes])
    for start, end in pairwise(ends):
        faces.add(accumulator, slice(start, end))
    same(accumulator.finish(FACTS), summed(faces)[0])


def test_parts_of_other_units_are_not_merged() -> None:
    one, two = summed(Faces(5, 4))[0], Accumulator(EXPLAINERS, SUPPORT, 3).finish(FACTS | {"seed": "1"})
    with pytest.raises(ValueError, match="parts of different units cannot be merged"):
        sums.merge([one, two])


def test_blocks_come_in_order_and_are_as_many_as_said() -> None:
    accumulator = Accumulator(["grad_cam"], np.ones((1, 1), bool), 3)
    with pytest.raises(ValueError, match="faces come block by block, from 0 to 2: 1 after 2"):
        accumulator.add(torch.ones(2, 1, 1, 1), ["fear"] * 2, ["all"] * 2, [2, 1])
    with pytest.raises(ValueError, match="from 0 to 2: 3 after 2"):
        accumulator.add(torch.ones(1, 1, 1, 1), ["fear"], ["all"], [3])
    with pytest.raises(ValueError, match="'blocks' must be from 1 to 200; got 201"):
        Accumulator(["grad_cam"], SUPPORT, 201)


def test_memory_does_not_grow_with_the_faces() -> None:
    def held() -> int:
        return sum(tensor.nbytes for tensor in gc.get_objects() if type(tensor) is torch.Tensor)

    tensors, peaks = [], []
    maps = torch.rand(10, 1, 80, 60)
    for faces in (40, 400):
        before = held()
        accumulator = Accumulator(["grad_cam"], np.ones((80, 60), bool), 4)
        tracemalloc.start()
        for start in range(0, faces, 10):
            accumulator.add(maps, ["fear"] * 10, ["correct"] * 10, [start * 4 // faces] * 10)
        tensors.append(held() - before)
        accumulator.finish(FACTS)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        del accumulator
    assert tensors[0] == tensors[1] > 0
    assert peaks[1] < 1.05 * peaks[0]
