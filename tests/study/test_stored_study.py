"""A study in a store is that of a folder: the same bytes, read, reported and set against others by its URL."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import xfer
from xfer import cli
from xfer.errors import InputError
from xfer.labels import BASIC
from xfer.report.widgets.explorer import opened
from xfer.study import Study
from xfer.study.places import writing

URL = "memory://box/study"


def compare(maps: Path, out: str | Path, **options: Any) -> Study:
    fixed = {"pattern": "{model}_{expression}.npy", "mask_pattern": "{expression}.npy", "masks": maps.parent / "gt"}
    return xfer.compare(heatmaps=maps, out=out, metrics="iou", **{"draws": 0, **fixed, **options})


@pytest.fixture
def maps(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Noise of two networks, and masks."""
    for folder in ("maps", "gt"):
        (tmp_path / folder).mkdir()
    for i, expression in enumerate(BASIC):
        np.save(tmp_path / "gt" / f"{expression}.npy", np.eye(12, k=i, dtype=np.float32))
        for model in ("alpha", "beta"):
            np.save(tmp_path / "maps" / f"{model}_{expression}.npy", rng.random((12, 12)).astype(np.float32))
    return tmp_path / "maps"


def test_it_is_that_of_a_folder_and_is_read_and_reported_by_its_url(maps, tmp_path, store, machine, capsys):
    local, stored = compare(maps, tmp_path / "local"), compare(maps, URL)
    assert stored.place == URL
    assert stored.name == "study"
    files = [path.relative_to(local.folder).as_posix() for path in local.folder.rglob("*") if path.is_file()]
    mine = {path.removeprefix("/box/study/"): store.cat(path) for path in store.find("/box/study")}
    assert {name for name in mine if not name.startswith(".")} == {n for n in files if "/" in n or n[0] != "."}
    for name in ("study.toml", "scores.csv", *(name for name in files if name.startswith("heatmaps.zarr/"))):
        assert mine[name] == (local.folder / name).read_bytes(), name
    machine("reader")
    study = Study.open(URL)
    assert study.folder != stored.folder
    assert study.scores.equals(local.scores)
    np.testing.assert_array_equal(study.heatmaps.values, local.heatmaps.values)
    store.rm("/box/study/report.html")
    with pytest.raises(SystemExit) as ended:
        cli.main(["report", URL])
    assert (ended.value.code, capsys.readouterr().out) == (0, f"{URL}/report.html\n")
    assert store.exists("/box/study/report.html")
    store.rm("/box/study/scores.parquet")
    with pytest.raises(InputError, match=f"^{URL}: was finished, but scores.parquet is gone; run its 'xfer"):
        _ = Study.open(URL).scores  # as it is now
    assert len(study.scores) > 0
    store.pipe("/box/study/scores.parquet", b"?")
    with pytest.raises(InputError, match=rf"^{URL}/scores.parquet: is damaged \("):
        _ = Study.open(URL).scores
    for name in ("scores.parquet", "provenance.json"):
        store.rm(f"/box/study/{name}")
    with pytest.raises(InputError, match=rf"^{URL}: is unfinished .*\(training_view\('{URL}'\) follows it\)"):
        opened(URL)


def test_a_plan_is_kept_with_the_study_in_the_store(store, machine):
    from xfer.study.folder import COSTS
    from xfer.study.places import written

    home = writing(URL)
    home.mkdir(parents=True)
    (home / COSTS).write_text("stage")
    written(home / COSTS)
    machine("second")
    assert (writing(URL) / COSTS).read_text() == "stage"


def test_the_command_line_names_what_would_work(capsys):
    for url, told in {
        "gcs://box/study": "'store' must be one of file, gs, memory, s3; got 'gcs' (did you mean 'gs'?)",
        "s3://": "s3://: names no bucket; give s3://BUCKET/...",
    }.items():
        with pytest.raises(SystemExit) as ended:
            cli.main(["report", url])
        assert (ended.value.code, capsys.readouterr().err) == (2, f"xfer: {told}\n")


@pytest.mark.parametrize(
    ("told", "why"), [(b"format = 9\n", "format 9; this xfer reads format 1"), (b"\xff", "not a study written by xfer")]
)
def test_a_configuration_that_cannot_be_read_is_named_by_its_url(store, told, why):
    store.pipe("/box/study/study.toml", told)
    for read in (Study, xfer.running, lambda url: xfer.load_model(f"{url}#songnet")):
        with pytest.raises(InputError, match=f"^{URL}/study.toml: {why}"):
            read(URL)
    with pytest.raises(InputError, match=f"^{URL}/study.toml: {why}"):
        xfer.train("songnet", out=URL)
