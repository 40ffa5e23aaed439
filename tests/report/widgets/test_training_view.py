"""The live view: the logs of a folder that is written meanwhile, torn, foreign or absent."""

import json
import os
import shutil
from pathlib import Path

import pandas as pd
import pytest

from xfer.report.widgets import training_view
from xfer.report.widgets.explorer import plain
from xfer.study import lease
from xfer.study.running import running
from xfer.training.fitting import LOG


@pytest.fixture
def going(trained, tmp_path: Path) -> Path:
    """The folder of a study as it is in the middle of its second epoch."""
    home = tmp_path / "going"
    (home / "checkpoints").mkdir(parents=True)
    shutil.copy(trained.folder / "study.toml", home)
    log = pd.read_csv(trained.folder / "checkpoints" / "songnet-f0.csv")
    log.iloc[:1].to_csv(home / "checkpoints" / "songnet-f0.csv", index=False)
    (home / ".lock-holder").write_text("process 123")
    return home


def test_a_finished_study_shows_every_epoch(trained):
    view = training_view(trained.folder)
    assert view.told == "finished; networks x folds: 1 explained"
    log = pd.read_csv(trained.folder / "checkpoints" / "songnet-f0.csv")
    found = running(trained.folder)
    assert found.curves["train_loss"].tolist() == log["train_loss"].tolist()
    best = log.sort_values(["validation_accuracy", "validation_loss"], ascending=[False, True]).iloc[0]
    assert found.networks["best"].item() == best["epoch"] == trained.networks["epoch"].item()
    assert f"2 of 2 {best['validation_accuracy']:.3f} {trained.networks['accuracy'].item():.3f}" in plain(
        view.table.value
    )


def test_the_button_reads_what_was_written_since(going, trained):
    view = training_view(going)
    assert view.told.startswith("networks x folds: 1 training; written by process 123, the last epoch ended ")
    assert "training 1 of 2" in plain(view.table.value)
    before = view.png
    shutil.copy(trained.folder / "checkpoints" / "songnet-f0.csv", going / "checkpoints")
    shutil.copy(trained.folder / "checkpoints" / "songnet-f0.safetensors", going / "checkpoints")
    view.refresh.click()
    assert view.png != before
    assert "trained 2 of 2" in plain(view.table.value)
    shutil.copy(trained.folder / "units.jsonl", going)
    view.refresh.click()
    assert "explained 2 of 2" in plain(view.table.value)


def test_one_that_runs_elsewhere_is_followed_by_its_url(going, trained, store, monkeypatch):
    store.put(f"{going}/", "/box/study", recursive=True)
    view = training_view("memory://box/study")
    assert view.told.startswith("networks x folds: 1 training; nobody writes it now, the last epoch ended ")
    taken = lease.Lease.take("memory://box/study")
    log, weights = "checkpoints/songnet-f0.csv", "checkpoints/songnet-f0.safetensors"
    store.put_file(str(trained.folder / log), f"/box/study/{log}")
    store.put_file(str(trained.folder / weights), f"/box/study/{weights}")
    view.refresh.click()
    assert f"1 trained; written by process {os.getpid()}, heard of 0 s ago, the last epoch ended 0 s ago" in view.told
    assert "trained 2 of 2" in plain(view.table.value)
    monkeypatch.setattr(type(store), "get", None)  # nothing has changed, so nothing is fetched
    running("memory://box/study")
    taken._write(free=True)
    view.refresh.click()
    assert "nobody writes it now" in view.told
    store.rm("/box/study", recursive=True)
    view.refresh.click()
    expected = "memory://box/study: is not a study folder (no study.toml); 'xfer compare --out memory://box/study'"
    assert view.told.startswith(expected)


def test_before_the_first_epoch_a_network_waits(going):
    (going / "checkpoints" / "songnet-f0.csv").unlink()
    (going / ".lock-holder").unlink()
    view = training_view(going)
    assert view.told == "networks x folds: 1 waiting; nobody writes it now"
    assert "waiting 0 of 2" in plain(view.table.value)


def test_a_view_may_be_there_before_the_study(tmp_path, going):
    view = training_view(tmp_path / "later")
    assert view.told.endswith("later: there is no such folder yet; if the study was moved, give its new place")
    assert view.png == b""
    shutil.copytree(going, tmp_path / "later")
    view.refresh.click()
    assert "1 training" in view.told


def test_it_follows_a_run_without_a_timer(going, trained):
    view = training_view(going)
    before = view.png
    tick = view("songnet: training", 3)
    assert "songnet: training" in view.bars.children[-1].children[0].value
    tick()
    tick()
    shutil.copy(trained.folder / "checkpoints" / "songnet-f0.csv", going / "checkpoints")
    tick()
    assert view.png != before, "the end of a stage reads the logs"
    assert not view.bars.children


def test_a_run_that_begins_is_followed_at_once(tmp_path, going):
    view = training_view(tmp_path / "later")
    shutil.copytree(going, tmp_path / "later")
    view("reading faces", 100)
    assert "1 training" in view.told


def test_bars_of_many_stages_do_not_pile_up(going):
    view = training_view(going)
    for i in range(9):
        view(f"stage {i}", 5)
    assert len(view.bars.children) == 4


def test_torn_and_foreign_logs_are_named_not_fatal(going):
    (going / "units.jsonl").write_text('{"unit": "a", "model": "songnet", "fo')
    (going / "checkpoints" / "songnet-f0.csv").write_text("epoch,train_loss\n1,")
    (going / "checkpoints" / "other.csv").write_text("x")
    view = training_view(going)
    assert view.told.endswith("cannot be read: songnet-f0.csv")


def test_logs_from_before_guides_are_whole(going):
    log = going / "checkpoints" / "songnet-f0.csv"
    pd.read_csv(log)[list(LOG[:6])].to_csv(log, index=False)
    found = running(going)
    assert found.torn == ()
    assert found.curves["guide_term"].isna().all()


def test_guided_networks_have_curves_of_their_own(going):
    checkpoints = going / "checkpoints"
    log = pd.read_csv(checkpoints / "songnet-f0.csv").assign(guide_term=0.4, guided_faces=9)
    log.to_csv(checkpoints / "songnet-au-f0.csv", index=False)
    found = running(going)
    assert list(zip(found.networks["model"], found.networks["guide"], strict=True)) == [
        ("songnet", ""),
        ("songnet", "au"),
    ]
    assert "songnet (au) 0" in plain(training_view(going).table.value)


def test_randomised_units_say_nothing_of_the_trained_one(going):
    line = {"unit": "b", "model": "songnet", "fold": "0", "until": "heatmaps", "accuracy": None, "randomised": 5}
    (going / "units.jsonl").write_text(json.dumps(line) + "\n")
    assert running(going).networks["stage"].tolist() == ["training"]


def test_heatmaps_from_files_were_not_trained(imported):
    assert training_view(imported.folder).told.endswith("its heatmaps came from files, no network was trained")
