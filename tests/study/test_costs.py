"""What a study costs: the arithmetic of plans with made-up unit costs, planned against actual, a tiny real plan."""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import permutations, product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import xfer
from xfer import landmarking
from xfer.errors import InputError
from xfer.landmarking.table import Row, Rows
from xfer.study import Study, computing, costs, folder, pilot, planning, stages, trial
from xfer.study.costs import COLUMNS, Costs, makespan
from xfer.study.dealing import Fold
from xfer.study.forecast import Forecast
from xfer.study.lease import Lease
from xfer.study.pilot import Pilot
from xfer.study.places import writing
from xfer.study.plan import Plan, settle
from xfer.study.rehearsal import Attempt, Chance, Line, Rehearsed, fit, tiled
from xfer.study.trial import Tried
from xfer.study.units import BLOCKS, Units

TINY: dict[str, Any] = {
    "drawn": 72,
    "pretrained": "no",
    "metrics": "iou",
    "training": {"epochs": 3, "size": 64, "precision": "32"},
}


def both(seconds: float) -> np.ndarray:
    """On the wall, and twice as much of processors."""
    return np.array([seconds, 2 * seconds])


def simulated(seconds: list[int], workers: int, parts: dict[int, list[int]] | None = None) -> int:
    """Units begun in their order whenever a worker is free, and then their parts, second by second."""
    waiting, clock = [(each, (parts or {}).get(place, [])) for place, each in enumerate(seconds)], 0
    busy: list[tuple[int, list[int]]] = [(0, [])] * workers
    while waiting or any(left for left, _ in busy):
        for worker in range(workers):
            if not busy[worker][0] and waiting:
                busy[worker] = waiting.pop(0)
        for worker, (left, released) in enumerate(busy):
            if left == 1:
                waiting += [(each, []) for each in released]
            busy[worker] = max(0, left - 1), released
        clock += 1
    return clock


units = st.lists(st.integers(1, 9), min_size=1, max_size=6)


@given(units, st.integers(1, 4))
@settings(deadline=None, max_examples=50)
def test_units_side_by_side_take_as_long_as_second_by_second(seconds: list[int], workers: int) -> None:
    assert makespan(seconds, workers) == simulated(seconds, workers)


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(0, 4)), min_size=1, max_size=5), st.integers(1, 4))
@settings(deadline=None, max_examples=50)
def test_parts_wait_for_their_unit(trainings: list[tuple[int, int]], workers: int) -> None:
    seconds, parts = [each for each, _ in trainings], {i: [2] * count for i, (_, count) in enumerate(trainings)}
    assert makespan(seconds, workers, parts) == simulated(seconds, workers, parts)


@given(units, st.integers(1, 3))
@settings(deadline=None, max_examples=25)
def test_longest_first_is_near_the_best_of_all_orders(seconds: list[int], workers: int) -> None:
    """Within 4/3 - 1/(3 m) of the best assignment (Graham 1969, doi:10.1137/0117039), and no order is below it."""
    best = min(
        max(sum(s for s, w in zip(seconds, where, strict=True) if w == worker) for worker in range(workers))
        for where in product(range(workers), repeat=len(seconds))
    )
    assert best <= makespan(sorted(seconds, reverse=True), workers) <= best * (4 / 3 - 1 / (3 * workers)) + 1e-9
    assert min(makespan(order, workers) for order in list(permutations(seconds))[:50]) >= best


@pytest.fixture(scope="module")
def chosen(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    return settle("songnet,mobilenetv3", out=tmp_path_factory.mktemp("chosen") / "study", **TINY)


@pytest.fixture
def made_up(chosen: Plan) -> Callable[..., Forecast]:
    """Networks on 48 training, 6 validation and 18 test faces: a step takes 2 s and 1 s, a face explained .5 s."""

    def make(scale: float = 1, workers: int = 1, rivals: dict[str, Tried] | None = None) -> Forecast:
        ends = np.arange(72)
        of_all = {"start": both(3), "turn": both(1), "end": both(4), "face": both(0.5), "rest": both(2)}
        facts = {"forwards": 5.0, "memory_mb": 100.0, "checkpoint_mb": 7.0, "shard_mb": 2.0, "batch": 16}
        tried = {
            name: Tried(0.0, both(6), step=both(step), **of_all, **facts)
            for name, step in (("songnet", 2), ("mobilenetv3", 1))
        }
        line = Line(both(1), both(0.1))
        chance = Chance(both(1), both(0), both(0.01), both(0.002))
        measured = Pilot(
            folds=(Fold("0", ends[:48], ends[48:54], ends[54:]),),
            landmarks=line,
            pictures=line,
            linear=both(0.01),
            portrait=line,
            tried=tried,
            rivals=rivals or {},
            failed={},
            worker=both(6),
            rehearsed=Rehearsed(both(0.1), chance, Line(both(1), both(2)), 0.5, 1.5),
            memory_mb=50.0,
        )
        return Forecast(chosen, measured, both(5), scale, workers)

    return make


def seconds_of(found: Costs, stage: str) -> float:
    return float(found.stages.set_index("stage").loc[stage, "total_s"])


def test_the_stages_of_a_plan_are_unit_costs_times_counts(made_up: Callable[..., Forecast]) -> None:
    found = made_up().costs()
    training = {
        # 3 epochs of 3 batches of 16, two turns between them, 6 validation faces of a third of a step each
        "songnet": 3 + 3 * 3 * 2 + 2 * 1 + 3 * 6 * (2 / 3 / 16) + 4,
        "mobilenetv3": 3 + 3 * 3 * 1 + 2 * 1 + 3 * 6 * (1 / 3 / 16) + 4,
    }
    for name, seconds in training.items():
        assert seconds_of(found, f"{name}: training") == pytest.approx(seconds)
        assert seconds_of(found, f"{name}: heatmaps") == pytest.approx(2 + 18 * 0.5)
    assert seconds_of(found, "networks") == pytest.approx(6 + sum(training.values()) + 2 * 11)
    assert seconds_of(found, "pictures") == pytest.approx(1 + 72 * 0.1)
    assert seconds_of(found, "linear classifier") == pytest.approx(48 * 0.01)
    assert seconds_of(found, "mean face") == pytest.approx(1 + 18 * 0.1)
    cells = 2 * 6 * 1 * 3 * 2  # networks, expressions, explainers, outcomes, normalisations
    assert seconds_of(found, "scores") == pytest.approx(cells * 0.1)
    assert seconds_of(found, "intervals") == pytest.approx(1 + 12 * 20 * 0.01 + 1 * 20 * 0.002)
    assert seconds_of(found, "report") == pytest.approx(1 + 2 * 2)
    whole = found.stages[found.stages["network"] == ""]
    assert found.total == pytest.approx(whole["total_s"].sum())
    assert found.processor == pytest.approx(2 * found.total)
    assert found.forwards == 2 * (3 * (48 + 6) + 18 * 5)
    assert found.disk_mb == pytest.approx(2 * (7 + 2) + cells * 0.5 + 2 * 1.5)
    assert found.gpu_hours == 0


def test_maps_of_single_faces_and_tables_of_faces_are_on_the_disk(made_up: Callable[..., Forecast]) -> None:
    plan = made_up()
    tried = {name: replace(found, maps_mb=0.25) for name, found in plan.pilot.tried.items()}
    found = replace(plan, pilot=replace(plan.pilot, tried=tried, listed_mb=0.001)).costs()
    table = found.stages.set_index("stage")
    assert table.loc["songnet: heatmaps", "disk_mb"] == pytest.approx(2 + 18 * 0.25)
    assert table.loc["landmarks", "disk_mb"] == pytest.approx(72 * 0.001)
    assert found.disk_mb == pytest.approx(plan.costs().disk_mb + 2 * 18 * 0.25 + 0.072)


def test_a_table_of_few_faces_tells_what_many_take_on_the_disk(rng: np.random.Generator, tmp_path: Path) -> None:
    """The file of so few is mostly its header, and what memory holds of a row is more than the file."""

    def landmarks(count: int) -> pd.DataFrame:
        shown = rng.uniform(0, 200, (count, 68, 2)).astype(np.float32)
        numbers = (1.0, np.nan, 0.5, 0.25), 1, "mediapipe", "d" * 64, ""
        return Rows(Row(f"{i:06}.png", rng.bytes(32).hex(), 224, 224, shown[i], *numbers) for i in range(count)).table()

    few, many = landmarks(42), landmarks(3000)
    landmarking.write(many, tmp_path / "many")
    a_row = (tmp_path / "many").stat().st_size / 1e6 / len(many)
    assert pilot.stored_mb(few, landmarking.write) == pytest.approx(a_row, rel=0.05)
    assert many.memory_usage(index=False, deep=True).sum() / 1e6 / len(many) > 1.15 * a_row
    assert pilot.stored_mb(few.iloc[:0], landmarking.write) == 0


def test_what_was_not_measured_is_said(made_up: Callable[..., Forecast]) -> None:
    assert made_up().costs().notes == ()
    (more,) = made_up(10).costs().notes
    assert more.startswith("measured on 72 faces; for 10 times as many all that grows with faces is taken to do so")
    (side,) = made_up(1, 4).costs().notes
    assert side.startswith("1 side by side was measured; for 4 as many more machines like this one are taken for")
    gpu = replace(made_up(), plan=replace(made_up().plan, device="cuda:0"))
    assert "memory is the machine's; that of graphics processors is not measured" in gpu.costs().notes


def test_more_faces_and_workers(made_up: Callable[..., Forecast]) -> None:
    one, ten, two = (made_up(*options).costs() for options in ((1, 1), (10, 1), (1, 2)))
    assert ten.faces == 720
    assert seconds_of(ten, "pictures") == pytest.approx(1 + 720 * 0.1)
    step = seconds_of(ten, "songnet: training") - 3 - 2 - 4 - 3 * 60 * (2 / 3 / 16)
    assert step == pytest.approx(10 * 3 * 3 * 2)
    parts = [sum(seconds_of(two, f"{name}: {part}") for part in ("training", "heatmaps")) for name in
             ("songnet", "mobilenetv3")]  # fmt: skip
    assert seconds_of(two, "networks") == pytest.approx(6 + max(parts))
    work = two.stages.set_index("stage").loc["networks", "processor_s"]
    assert work == pytest.approx(2 * sum(parts) + 2 * 12)
    assert two.memory_mb == 50 + 2 * 100
    assert one.memory_mb == 100


def test_many_test_faces_are_explained_in_parts_after_their_training(
    made_up: Callable[..., Forecast], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("xfer.study.parts.FACES", 5)  # 18 faces in 4 parts
    one, two, many = (made_up(1, workers).costs() for workers in (1, 2, 8))
    trainings = [seconds_of(many, f"{name}: training") for name in ("songnet", "mobilenetv3")]
    assert seconds_of(many, "networks") == pytest.approx(6 + max(trainings) + 11 / 4)
    assert seconds_of(one, "networks") == pytest.approx(6 + sum(trainings) + 2 * 11)
    first = max(max(trainings), min(trainings) + 11)  # the other's parts while the longer training runs
    assert seconds_of(two, "networks") == pytest.approx(6 + first + 11 / 2)
    assert one.stages.set_index("stage").loc["networks", "units"] == 2 + 2 * 4


def test_networks_with_randomised_weights_are_explained_last(made_up: Callable[..., Forecast]) -> None:
    rival = Tried(0.0, both(0), face=both(0.5), rest=both(10), forwards=1.0, memory_mb=1.0)
    plan = made_up(1, 2, {"songnet": rival})
    plan.plan.config["randomised"] = 2
    try:
        found = plan.costs()
    finally:
        plan.plan.config["randomised"] = 0
    assert seconds_of(found, "songnet: randomised") == pytest.approx(2 * (10 + 18 * 0.5))
    parts = [sum(seconds_of(found, f"{name}: {part}") for part in ("training", "heatmaps")) for name in
             ("songnet", "mobilenetv3")]  # fmt: skip
    assert seconds_of(found, "networks") == pytest.approx(6 + makespan([*parts, 19, 19], 2))


def test_the_bottleneck_is_named(made_up: Callable[..., Forecast]) -> None:
    assert made_up().costs().bottleneck.startswith("networks, 65%")
    assert made_up().costs().bottleneck.endswith("most of all songnet: training (28 s); more workers help")
    assert made_up(1, 2).costs().bottleneck.endswith("more workers do not help")
    rows = [("pictures", "", 1, 9.0, 9.0, 9.0, 1, 0, 0), ("networks", "", 1, 1.0, 1.0, 1.0, 1, 0, 0)]
    found = Costs(pd.DataFrame(rows, columns=list(COLUMNS)), 10, 1, 1, "cpu")
    assert found.bottleneck == "pictures, 90% of the time"


def test_a_plan_can_be_read_by_people(made_up: Callable[..., Forecast]) -> None:
    found = made_up(1, 2).costs()
    text = str(found)
    assert "  songnet: training" in text
    assert "72 faces, 1 fold, networks 2 side by side" in text
    assert f"\nbottleneck: {found.bottleneck}" in text
    noted = Costs(found.stages, 1, 1, 1, "cuda:0", ("<script>",))
    assert "&lt;script&gt;" in noted._repr_html_()
    assert "<script>" not in noted._repr_html_()
    parts = found.stages[found.stages["network"] != ""]
    assert noted.gpu_hours == pytest.approx(parts["total_s"].sum() / 3600)


@given(st.tuples(*(st.floats(0, 5) for _ in range(4))))
@settings(deadline=None, max_examples=25)
def test_intervals_are_fitted_exactly_where_they_are_linear(numbers: tuple[float, ...]) -> None:
    true = Chance(*(both(number) for number in numbers))
    tries = [[Attempt(n, p, d, true.at(n, p, d)) for d in (40, 40, 120)] for n, p in ((6, 0), (18, 3))]
    np.testing.assert_allclose(fit(tries, true.pair).at(72, 66, 500), true.at(72, 66, 500), rtol=1e-9, atol=1e-6)
    alone = fit(tries[1:], true.pair)
    np.testing.assert_allclose(alone.at(18, 3, 500), true.at(18, 3, 500), rtol=1e-9, atol=1e-6)


def test_a_warm_up_is_paid_once() -> None:
    true = Chance(*(both(number) for number in (1, 0.5, 0.01, 0)))
    tries = [[Attempt(6, 0, d, true.at(6, 0, d) + warm) for d, warm in ((40, 7), (40, 0), (120, 0))]]
    np.testing.assert_allclose(fit(tries, both(0)).at(6, 0, 120), true.at(6, 0, 120) + 7)


def test_one_attempt_is_what_it_took() -> None:
    one = [Attempt(6, 0, 20, both(3))]
    np.testing.assert_allclose(fit([one], both(0)).at(6, 0, 20), both(3))
    two = [one, [Attempt(18, 3, 20, both(9))]]
    np.testing.assert_allclose(fit(two, both(0)).at(72, 0, 20), both(3 + (72 - 6) * 0.5))
    np.testing.assert_allclose(fit([[]], both(0)).at(72, 66, 20), both(0))


def test_tiled_units_have_as_many_rows_and_nearly_the_same_mean(rng: np.random.Generator) -> None:
    key, inside = ("net", "fear"), np.ones((4, 5), bool)
    rows = rng.uniform(1, 2, (3, 20)).astype(np.float32)
    found = tiled(Units(BLOCKS, inside, {key: rows}, {key: ("0", "1", "2")}, {key: 9}), BLOCKS, 30)
    assert found.rows[key].shape == (30, 20)
    assert len(set(found.names[key])) == 30
    np.testing.assert_allclose(found.rows[key].mean(0), rows.mean(0), rtol=0.1)
    np.testing.assert_allclose(found.rows[key][4] / rows[1], found.rows[key][4, 0] / rows[1, 0], rtol=1e-5)


def test_blocks_that_have_a_face(rng: np.random.Generator) -> None:
    dealt = [len(set(rng.integers(0, 30, 20).tolist())) for _ in range(4000)]
    assert planning.filled(30, 20) == pytest.approx(np.mean(dealt), abs=0.15)


@pytest.mark.parametrize(("seconds", "faces"), [(0.001, 32), (0.1, 12), (1.0, 2), (50.0, 2)])
def test_slow_networks_are_tried_on_fewer_faces(seconds: float, faces: int) -> None:
    assert trial.affordable(seconds, 32, 10.0) == faces


def test_the_first_group_of_steps_does_not_count() -> None:
    ticks = [both(t) for t in (5, 5, 6, 6, 7, 7)]
    each, rest = trial.line(ticks, 2, both(9))
    np.testing.assert_allclose([each, rest], [both(0.5), both(6)])
    each, rest = trial.line(ticks[:2], 2, both(9))
    np.testing.assert_allclose([each, rest], [both(4.5), both(0)])
    np.testing.assert_allclose(trial.line(ticks, 6, both(9), both(4)), [both(1), both(3)])


def test_stages_are_written_down_less_those_inside(tmp_path: Path) -> None:
    began = time.perf_counter()
    with stages.recorded(tmp_path, "outer"):
        time.sleep(0.02)
        with stages.recorded(tmp_path, "inner"):
            time.sleep(0.05)
    whole = time.perf_counter() - began
    with pytest.raises(ValueError, match="lost"), stages.recorded(tmp_path, "broken"):
        raise ValueError("lost")
    with (tmp_path / stages.STAGES).open("a") as file:
        file.write('{"stage": "outer", "seconds": 1.0, "processor_seconds": 0.5}\n{"stage": "torn')
    found = stages.read(tmp_path).set_index("stage")
    assert found.index.tolist() == ["inner", "outer"]
    assert found.loc["inner", "seconds"] >= 0.05
    lines = [json.loads(line) for line in (tmp_path / stages.STAGES).read_text().splitlines()[:2]]
    assert lines[1]["seconds"] >= 0.02
    assert lines[1]["seconds"] + found.loc["inner", "seconds"] <= whole + 1e-3
    assert found.loc["outer", "seconds"] == pytest.approx(1 + lines[1]["seconds"])
    assert stages.read(tmp_path / "none").empty


def test_what_processors_worked_elsewhere_is_added(tmp_path: Path) -> None:
    with stages.recorded(tmp_path, "on a cluster"):
        stages.worked_elsewhere(40.0)
    assert stages.read(tmp_path)["processor_seconds"].tolist() == [pytest.approx(40, abs=5)]


def test_a_watch_sees_when_steps_are_done() -> None:
    told: list[str] = []
    watch = stages.Watch(lambda name, steps: lambda: told.append(name))
    step = watch("reading", 2)
    step()
    step()
    assert told == ["reading"] * 2
    times = [watch.begun["reading"], *watch.done["reading"]]
    assert len(times) == 3
    assert (np.diff(np.array(times), axis=0) >= 0).all()
    _, took = stages.taken(sum, range(200_000))
    assert (took >= 0).all()


@pytest.fixture
def run_of(tmp_path: Path) -> Path:
    """What a run of a study leaves: stages and units, one of which was begun twice."""
    rows = [("options", 2.0, 1.0), ("networks", 30.0, 50.0), ("report", 3.0, 3.0)]
    lines = [{"stage": s, "seconds": wall, "processor_seconds": work} for s, wall, work in rows]
    (tmp_path / stages.STAGES).write_text("".join(json.dumps(line) + "\n" for line in lines))
    one = {"model": "songnet", "fold": "0", "train_seconds": 10.0, "explain_seconds": 2.0}
    logged = [one, {**one, "fold": "1"}, {**one, "train_seconds": 0.0, "explain_seconds": 4.0, "randomised": 9}]
    damaged = [{**one, "train_seconds": None}, {**one, "explain_seconds": "2"}, {**one, "model": 1}, [one], None, 7]
    lines = [json.dumps(line) for line in (*logged, *damaged)]
    (tmp_path / "units.jsonl").write_text("\n".join([*lines, '{"model']))
    return tmp_path


def test_planned_against_actual(run_of: Path, made_up: Callable[..., Forecast]) -> None:
    bare = costs.against(run_of).set_index("stage")
    assert bare.loc["songnet: training", "actual_s"] == 20
    assert bare.loc["songnet: heatmaps", "actual_s"] == 4
    assert bare.loc["songnet: randomised", "actual_s"] == 4
    assert bare.loc["total", "actual_s"] == 35
    assert bare["ratio"].isna().all()
    plan = made_up(1, 2).costs()
    costs.write(run_of, plan, {"format": 1})
    found = costs.against(run_of).set_index("stage")
    assert found.loc["total", "planned_s"] == pytest.approx(plan.total)
    assert found.loc["total", "planned_processor_s"] == pytest.approx(plan.processor)
    assert found.loc["total", "ratio"] == pytest.approx(plan.total / 35)
    assert found.loc["report", "ratio"] == pytest.approx(5 / 3)
    assert np.isnan(found.loc["pictures", "actual_s"])
    assert np.isnan(found.loc["songnet: randomised", "planned_s"])


def test_a_damaged_plan_is_told_and_orders_nothing(run_of: Path) -> None:
    (run_of / folder.COSTS).write_text("no,plan\n1,2\n")
    with pytest.raises(InputError, match=r"costs\.csv: is damaged .*; plan again, or remove it"):
        costs.against(run_of)
    assert costs.planned_seconds(run_of) == {}


def test_the_plan_of_another_study_is_none(tmp_path: Path, made_up: Callable[..., Forecast]) -> None:
    costs.write(tmp_path, made_up().costs(), {"format": 1, "models": ["vgg16"]})
    assert costs.read(tmp_path) is not None
    (tmp_path / folder.CONFIG).write_text('format = 1\nmodels = ["songnet"]\n')
    assert costs.read(tmp_path) is None
    (tmp_path / folder.CONFIG).write_text('format = 1\nmodels = ["vgg16"]\n')
    assert costs.read(tmp_path) is not None


def test_a_plan_is_kept_in_a_store_where_nobody_runs(
    store: Any, machine: Callable[[str], None], made_up: Callable[..., Forecast], chosen: Plan
) -> None:
    url = "memory://box/study"
    there, found = replace(chosen, home=writing(url)), made_up().costs()
    with Lease.take(url).kept(lambda error: None):
        for act in (planning.require_quiet, lambda plan, faces: planning.keep(plan, found, faces)):
            with pytest.raises(InputError, match=f"^{url}: is being written by process "):
                act(there, None)
            act(there, 100)  # of other faces, which is not kept
        assert not store.exists("/box/study/costs.csv")
    planning.keep(there, found, None)
    assert store.cat("/box/study/costs.csv") == (there.home / "costs.csv").read_bytes()


def test_a_folder_without_stages_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="tells of no stage of a study; run 'xfer compare'"):
        costs.against(tmp_path)


def test_a_plan_orders_the_units_of_its_study(tmp_path: Path, made_up: Callable[..., Forecast], chosen: Plan) -> None:
    """By operations MobileNetV3 is far lighter than SongNet; a plan that measured otherwise is believed."""
    described = [{"network": n.name, "settings": n.settings} for n in chosen.networks]
    drawn = [{**each, "randomised": 1} for each in described]
    by = [each["network"] for each in computing.longest_first(described, 6)]
    assert by == ["songnet", "mobilenetv3"]
    plan = made_up().costs()
    costs.write(tmp_path, plan, {})
    assert costs.planned_seconds(tmp_path) == {
        name: pytest.approx(sum(seconds_of(plan, f"{name}: {part}") for part in ("training", "heatmaps")))
        for name in by
    }
    planned = {"songnet": 1.0, "mobilenetv3": 2.0}
    order = [
        (each["network"], "randomised" in each) for each in computing.longest_first([*drawn, *described], 6, planned)
    ]
    assert order == [("mobilenetv3", False), ("songnet", False), ("mobilenetv3", True), ("songnet", True)]
    assert [each["network"] for each in computing.longest_first(described, 6, {"mobilenetv3": 2.0})] == by


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"faces": 0}, "--faces must be 1 or more; got 0"),
        ({"workers": 0}, "--workers must be 1 or more; got 0"),
        (
            {"all_gpus": 2, "device": "cpu"},
            "--all-gpus 2: what a GPU takes is measured on one, and --device is cpu here",
        ),
    ],
)
def test_numbers_that_are_none_are_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError) as caught:
        xfer.plan("songnet", **{**TINY, **options})
    assert str(caught.value) == said


def test_what_compare_refuses_is_refused() -> None:
    with pytest.raises(InputError, match=r"got 'songnt' \(did you mean 'songnet'\?\)"):
        xfer.plan("songnt")
    with pytest.raises(InputError, match="nowhere: no such file or folder"):
        xfer.plan("songnet", data="folder:nowhere")


def test_a_tiny_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every stage is tried, the plan is kept in the study's folder, and nothing else is there."""
    monkeypatch.setattr(pilot, "FACES", {"train": 12, "validation": 6, "test": 6})
    steps: list[str] = []
    home = tmp_path / "study"
    found = xfer.plan("songnet", out=home, workers=1, progress=lambda s, n: lambda: steps.append(s), **TINY)
    table = found.stages.set_index("stage")
    wanted = ["options", "landmarks", "pictures", "linear classifier", "mean face", "networks", "songnet: training",
              "songnet: heatmaps", "scores", "intervals", "report"]  # fmt: skip
    assert table.index.tolist() == wanted
    assert (table.loc[table.index != "landmarks", "total_s"] > 0).all()
    assert (table["processor_s"] > 0).sum() >= 9
    assert table.loc["songnet: training", "units"] == 3 * 4
    assert table.loc["songnet: heatmaps", "units"] == 12
    assert table.loc["songnet: heatmaps", "forwards"] == 12
    assert found.memory_mb > 100
    assert table.loc["songnet: training", "disk_mb"] > 0.5
    assert steps == ["measuring"] * 4
    assert [path.name for path in home.iterdir()] == [folder.COSTS]
    kept = costs.read(home)
    assert kept is not None
    pd.testing.assert_frame_equal(kept, found.stages, check_dtype=False)
    with folder.claim(home, {"format": 1}):
        pass
    assert not planning._own(settle("songnet", out=home, **TINY))


def test_a_study_tells_what_it_took(run_of: Path) -> None:
    config = dict.fromkeys(("kind", "masks", "metrics", "threshold", "linkage"), "")
    with folder.claim(run_of / "s", {"format": 1, **config}):
        (run_of / stages.STAGES).replace(run_of / "s" / stages.STAGES)
    assert Study(run_of / "s").costs["actual_s"].iloc[-1] == 35
