"""The command line as a user meets it: real files, exact lines, exit codes."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tifffile
from PIL import Image

from xfer.labels import BASIC

Run = Callable[..., tuple[int, str, str]]
Check = Callable[..., None]
SIZE = (22, 18)


@pytest.fixture
def maps(tmp_path: Path, rng: np.random.Generator) -> Path:
    """Two networks x six expressions as 8-bit PNGs, and six masks, all 22 x 18."""
    (tmp_path / "maps").mkdir()
    (tmp_path / "gt").mkdir()
    for i, expression in enumerate(BASIC):
        mask = np.zeros(SIZE, np.uint8)
        mask[i : i + 8, 3:15] = 255
        Image.fromarray(mask).save(tmp_path / "gt" / f"{expression}_gt.png")
        for model in ("netA", "netB"):
            noise = rng.integers(0, 256, SIZE, dtype=np.uint8)
            Image.fromarray(noise).save(tmp_path / "maps" / f"{model}_{expression}_heatmap.png")
    return tmp_path / "maps"


def files(folder: Path) -> set[str]:
    return {str(p.relative_to(folder)) for p in folder.rglob("*")}


def test_score_writes_a_tidy_table(run: Run, maps: Path) -> None:
    code, out, err = run("score", maps, "--masks", "gt", "--metrics", "iou,pearson", "--out", "s.csv")
    assert (code, err) == (0, "")
    assert out == "s.csv: 168 scores of 12 heatmaps on the canvas, FACS agreement with gt\n"
    table = pd.read_csv("s.csv")
    assert len(table) == 12 * 2 * (6 + 1)
    assert set(table["metric"]) == {"iou", "pearson", "iou_specificity", "pearson_specificity"}
    assert table["value"].notna().all()


def test_compare_writes_a_whole_study_and_resumes_it(run: Run, maps: Path, tmp_path: Path) -> None:
    line = ("compare", "--heatmaps", maps, "--masks", "gt", "--out", "study")
    code, out, err = run(*line)
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == str(Path("study") / "report.html")
    wanted = {"study.toml", "provenance.json", "heatmaps.zarr", "scores.parquet", "scores.csv", "clusters.csv"}
    assert wanted | {"report.html"} <= {p.name for p in Path("study").iterdir()}
    before = {p: p.stat().st_mtime_ns for p in Path("study").iterdir() if p.name.startswith("scores")}
    assert run(*line)[0] == 0
    assert before == {p: p.stat().st_mtime_ns for p in before}
    text = (tmp_path / "study" / "provenance.json").read_text()
    assert str(tmp_path) not in text


@pytest.mark.usefixtures("no_page")
def test_compare_says_what_beats_chance(run: Run, maps: Path) -> None:
    code, out, err = run(
        "compare", "--heatmaps", maps, "--masks", "gt", "--metrics", "iou", "--draws", "40", "--out", "s"
    )
    assert (code, err) == (0, "")
    assert "network  anchored, 95 %  iou (area), 95 %  raw" in " ".join(out.split("\n"))
    table = pd.read_parquet(Path("s", "inference.parquet"))
    cells = table[table["threshold"] == "area"]
    beaten = int((cells["q"] <= 0.05).sum())
    assert f"{beaten} of 12 heatmaps beat smooth chance maps at a false discovery rate of .05\n" in out
    assert "1 unit: no interval" in out
    assert run("compare", "--heatmaps", maps, "--masks", "gt", "--draws", "0", "--out", "t")[1].count("chance") == 0


def test_report_writes_tables_for_a_paper(run: Run, maps: Path, refused: Check) -> None:
    line = ("compare", "--heatmaps", maps, "--masks", "gt", "--metrics", "iou", "--out")
    assert run(*line, "s", "--draws", "40")[0] == 0
    code, out, err = run("report", "s", "--tables", "paper")
    assert (code, err) == (0, "")
    written = {"networks.csv", "networks.tex", "cells.csv", "cells.tex", "nulls.csv", "nulls.tex", "methods.txt"}
    assert {path.name for path in Path("paper").iterdir()} == written
    assert out.splitlines()[-1] == str(Path("s", "report.html"))
    assert run(*line, "t", "--draws", "0")[0] == 0
    refused(run("report", "t", "--tables", "none"), "has no statistics to export", "with draws again")


@pytest.mark.usefixtures("no_page")
def test_the_same_command_gives_the_same_bytes(run: Run, maps: Path) -> None:
    for out in ("one", "two"):
        assert run("compare", "--heatmaps", maps, "--masks", "gt", "--out", out)[0] == 0
    for name in ("scores.csv", "clusters.csv", "study.toml"):
        assert (Path("one") / name).read_bytes() == (Path("two") / name).read_bytes()
    stores = [sorted((Path(o) / "heatmaps.zarr").rglob("*")) for o in ("one", "two")]
    for a, b in zip(*stores, strict=True):
        assert a.relative_to("one") == b.relative_to("two")
        assert a.is_dir() or a.read_bytes() == b.read_bytes()


def test_report_is_made_anew(run: Run, maps: Path) -> None:
    run("compare", "--heatmaps", maps, "--masks", "gt", "--out", "study")
    Path("study/report.html").unlink()
    assert run("report", "study")[:2] == (0, f"{Path('study') / 'report.html'}\n")
    assert Path("study/report.html").stat().st_size > 10_000


def test_lists_and_doctor(run: Run) -> None:
    assert "energy_inside" in run("metrics", "list")[1]
    assert "ekman" in run("masks", "list")[1]
    code, out, _ = run("doctor")
    assert code == 0
    assert "ok  numpy" in out


def test_masks_show_and_render(run: Run, tmp_path: Path) -> None:
    code, out, _ = run("masks", "show", "emfacs")
    assert code == 0
    assert "AU12" in out
    assert run("masks", "render", "ekman", "--out", "drawn")[0] == 0
    assert {p.name for p in (tmp_path / "drawn").iterdir()} == {f"{e}_gt.png" for e in BASIC}
    with Image.open(tmp_path / "drawn" / "fear_gt.png") as image:
        assert (image.mode, image.size) == ("L", (224, 275))


def test_the_program_is_python_m_xfer(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "xfer", "score", "nowhere"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "xfer: nowhere: no such folder\n"


# --- bad input: one clear line, exit code 2, nothing written -----------------------------------------------------


def test_missing_folder(run: Run, maps: Path, refused: Check) -> None:
    refused(run("score", "nowhere"), "nowhere: no such folder")
    refused(run("compare", "--heatmaps", "nowhere"), "nowhere: no such folder")
    refused(run("score", maps, "--masks", "./nowhere/"), "nowhere")
    refused(run("report", "nowhere"), "nowhere: is not a study folder")
    assert not Path("reports").exists()


def test_pattern_that_matches_nothing_says_what_is_there(run: Run, maps: Path, refused: Check) -> None:
    refused(
        run("score", maps, "--pattern", "{model}-{expression}.tif", "--masks", "gt"),
        "{model}-{expression}.tif",
        "netA_anger_heatmap.png",
    )


@pytest.mark.parametrize(
    "pattern", ["{modle}_{expression}_heatmap.png", "{model}_heatmap.png", "{model_{expression}.png"]
)
def test_pattern_with_a_wrong_field(run: Run, maps: Path, pattern: str, refused: Check) -> None:
    refused(run("score", maps, "--pattern", pattern, "--masks", "gt"), "pattern")


def test_unknown_expression_in_a_file_name(run: Run, maps: Path, refused: Check) -> None:
    (maps / "netA_anger_heatmap.png").rename(maps / "netA_Angr_heatmap.png")
    refused(run("score", maps, "--masks", "gt"), "netA_Angr_heatmap.png", "got 'Angr' (did you mean 'anger'?)")


def test_two_files_for_one_cell(run: Run, maps: Path, refused: Check) -> None:
    (maps / "netA_Angry_heatmap.png").write_bytes((maps / "netA_anger_heatmap.png").read_bytes())
    refused(run("score", maps, "--masks", "gt"), "netA_Angry_heatmap.png", "netA_anger_heatmap.png")


def test_missing_cell_is_named_and_can_be_allowed(run: Run, maps: Path, refused: Check) -> None:
    (maps / "netA_fear_heatmap.png").unlink()
    refused(run("score", maps, "--masks", "gt"), "netA", "fear", "--allow-missing")
    refused(run("compare", "--heatmaps", maps, "--masks", "gt", "--out", "s"), "--allow-missing")
    assert not Path("s").exists()
    code, out, err = run("score", maps, "--masks", "gt", "--allow-missing", "--metrics", "iou")
    assert code == 0
    assert "11 heatmaps" in out
    assert "netA" in err
    assert "fear" in err
    assert run("compare", "--heatmaps", maps, "--masks", "gt", "--allow-missing", "--out", "s")[0] == 0
    page = Path("s/report.html").read_text()
    assert "fear" in page
    assert "netA" in page


def test_map_and_mask_of_different_size(run: Run, maps: Path, refused: Check) -> None:
    refused(run("score", maps, "--masks", "ekman"), "22", "18", "275", "224", "netA")
    refused(run("compare", "--heatmaps", maps, "--masks", "ekman", "--out", "s"), "275")
    assert not Path("s").exists()
    Image.new("L", (5, 5)).save(maps / "netB_fear_heatmap.png")
    refused(run("compare", "--heatmaps", maps, "--masks", "gt", "--out", "s"), "netB_fear_heatmap.png")
    assert not Path("s").exists()


def _npy(path: Path, array: np.ndarray, **options: bool) -> None:
    np.save(path, array, **options)


BROKEN: dict[str, tuple[str, Callable[[Path], object], str]] = {
    "empty": ("png", lambda p: p.write_bytes(b""), "empty"),
    "text": ("png", lambda p: p.write_text("not an image"), "image"),
    "truncated": (
        "png",
        lambda p: (
            Image.fromarray(np.random.default_rng(0).integers(0, 256, SIZE, dtype=np.uint8)).save(p),
            p.write_bytes(p.read_bytes()[:200]),
        ),
        "truncated",
    ),
    "coloured": ("png", lambda p: Image.new("RGB", SIZE[::-1], (9, 8, 7)).save(p), "channels"),
    "nan": ("npy", lambda p: _npy(p, np.full(SIZE, np.nan)), "NaN"),
    "infinite": ("tif", lambda p: tifffile.imwrite(p, np.full(SIZE, np.inf, "float32")), "infinite"),
    "pickled": ("npy", lambda p: _npy(p, np.array([[{}]], dtype=object), allow_pickle=True), "pickle"),
    "two arrays": ("npz", lambda p: np.savez(p, a=np.ones(SIZE), b=np.ones(SIZE)), "2 arrays (a, b)"),
    "three dimensions": ("npy", lambda p: _npy(p, np.ones((2, *SIZE))), "2"),
    "oversized": ("npy", lambda p: p.write_bytes(_header((100_000, 100_000))), "100000"),
    "truncated array": ("npy", lambda p: p.write_bytes(_header(SIZE) + b"\0" * 10), "truncated"),
    "empty zarr": ("zarr", lambda p: p.mkdir(), "zarr"),
}


def _header(shape: tuple[int, ...]) -> bytes:
    import io

    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, {"descr": "<f4", "fortran_order": False, "shape": shape})
    return out.getvalue()


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_map_files(run: Run, tmp_path: Path, maps: Path, kind: str, refused: Check) -> None:
    suffix, write, text = BROKEN[kind]
    (tmp_path / "broken").mkdir()
    write(tmp_path / "broken" / f"net_anger.{suffix}")
    pattern = "{model}_{expression}." + suffix
    refused(run("score", "broken", "--pattern", pattern, "--masks", "gt"), f"net_anger.{suffix}", text)
    refused(run("compare", "--heatmaps", "broken", "--pattern", pattern, "--masks", "gt", "--out", "s"), text)
    assert not Path("s").exists()
    assert not Path("scores.csv").exists()


@pytest.mark.parametrize("level", [0, 255])
def test_constant_map_scores_nan_with_a_reason(run: Run, maps: Path, level: int) -> None:
    Image.new("L", SIZE[::-1], level).save(maps / "netB_fear_heatmap.png")
    code, _, err = run("score", maps, "--masks", "gt", "--out", "s.csv")
    assert code == 0
    assert "constant heatmap" in err
    table = pd.read_csv("s.csv", keep_default_na=False, na_values={"value": ""})
    flat = table[(table["model"] == "netB") & (table["expression"] == "fear")]
    assert flat["value"].isna().all()
    assert set(flat["reason"]) == {"constant heatmap"}
    rest = table.drop(flat.index)
    assert rest["value"].notna().all()
    assert set(rest["reason"]) == {""}


@pytest.mark.parametrize(("level", "word"), [(0, "empty"), (255, "full")])
def test_empty_or_full_mask(run: Run, maps: Path, level: int, word: str, refused: Check) -> None:
    Image.new("L", SIZE[::-1], level).save("gt/fear_gt.png")
    refused(run("score", maps, "--masks", "gt"), "fear", word)


TOML_FAULTS = {
    "unknown AU": ('[expressions.anger]\nevidence="memory"\naus = { AU99 = 1.0 }\n', "AU99"),
    "typo in a key": ('[expressions.anger]\nevidense="memory"\naus = { AU4 = 1.0 }\n', "did you mean 'evidence'?"),
    "landmark out of range": (
        '[expressions.anger]\nevidence="memory"\nshapes = [{ kind="polygon", points=[1, 2, 90] }]\n',
        "90",
    ),
    "unknown expression": ('[expressions.angr]\nevidence="memory"\naus = { AU4 = 1.0 }\n', "did you mean 'anger'?"),
    "not TOML": ("[expressions.anger\n", "line"),
}


@pytest.mark.parametrize("fault", TOML_FAULTS)
def test_faulty_codebooks(run: Run, maps: Path, fault: str, refused: Check) -> None:
    body, text = TOML_FAULTS[fault]
    top = 'format = 1\nname = "mine"\ntitle = "t"\nreference = "me"\n'
    top += "points = 89\n" if "shapes" in body else 'regions = "xfer"\nmerge = "max"\n'
    Path("mine.toml").write_text(top + body)
    refused(run("masks", "check", "mine.toml"), "mine.toml", text)
    refused(run("score", maps, "--masks", "mine.toml"), "mine.toml", text)


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (("--metrics", "iuo"), ("'metric' must be one of", "did you mean 'iou'?")),
        (("--masks", "ekmann"), ("did you mean 'ekman'?",)),
        (("--threshold", "otzu"), ("'threshold' must be otsu, area, upper_bound or a number between 0 and 1", "otzu")),
        (("--threshold", "1.5"), ("'threshold' must be",)),
        (("--support", "face"), ("'support' must be one of frame, canvas; got 'face'",)),
        (("--frame", "nowhere.csv"), ("nowhere.csv",)),
        (("--nonsense",), ("--nonsense",)),
    ],
)
def test_wrong_options(run: Run, maps: Path, words: tuple[str, ...], parts: tuple[str, ...], refused: Check) -> None:
    base = () if "--masks" in words else ("--masks", "gt")
    refused(run("score", maps, *base, *words), *parts)
    if words[0] != "--nonsense":
        refused(run("compare", "--heatmaps", maps, *base, *words, "--out", "s"), *parts)
        assert not Path("s").exists()


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (
            ("compare", "--models", "songnet", "--size", "64"),
            ("--size, --mean, --std, --labels and --any-labels are for",),
        ),
        (("compare", "--models", "onnx:no.onnx", "--mean", "onnx:no=x"), ("--mean must be one number", "got 'x'")),
        (("compare", "--models", "onnx:no.onnx", "--size", "big"), ("--size must be a number of px; got 'big'",)),
        (("compare", "--models", "onnx:no.onnx", "--explainers", "saliency"), ("onnx:no gives no gradients",)),
        (
            ("compare", "--heatmaps", "maps", "--labels", "happy,sad"),
            ("--labels are for networks, not for --heatmaps",),
        ),
        (("train", "onnx:no.onnx"), ("no.onnx: no such file",)),
    ],
)
def test_networks_in_onnx_that_cannot_be(
    run: Run, words: tuple[str, ...], parts: tuple[str, ...], refused: Check
) -> None:
    refused(run(*words, "--out", "s"), *parts)
    assert not Path("s").exists()


@pytest.mark.usefixtures("no_page")
def test_output_folder_of_another_study(run: Run, maps: Path, refused: Check) -> None:
    line = ("compare", "--heatmaps", maps, "--masks", "gt", "--metrics", "iou", "--out", "s")
    assert run(*line)[0] == 0
    before = Path("s/scores.csv").read_bytes()
    refused(run(*line, "--threshold", "area"), "threshold: 'otsu' there, 'area' now", "--fresh")
    assert Path("s/scores.csv").read_bytes() == before
    assert run(*line, "--threshold", "area", "--fresh")[0] == 0
    assert Path("s.old-1/scores.csv").read_bytes() == before


def test_output_folder_that_is_not_ours(run: Run, maps: Path, refused: Check) -> None:
    before = files(maps)
    refused(run("compare", "--heatmaps", maps, "--masks", "gt", "--out", maps), "holds files that xfer did not write")
    assert files(maps) == before


def test_output_that_this_program_would_lose(run: Run, maps: Path, refused: Check) -> None:
    lines = (("train", "songnet"), ("guide", "songnet"), ("compare", "--heatmaps", maps, "--masks", "gt"))
    for line in lines:
        refused(run(*line, "--out", "memory://box/s"), "--out memory://box/s: is lost when this command ends; give a")


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's here")
def test_output_that_cannot_be_written(run: Run, maps: Path, refused: Check) -> None:
    Path("file").write_text("x")
    refused(run("compare", "--heatmaps", maps, "--masks", "gt", "--out", "file/s"), "file/s", "cannot be written")
    refused(run("score", maps, "--masks", "gt", "--out", "nowhere/s.csv"), "nowhere/s.csv")
    refused(run("score", maps, "--masks", "gt", "--out", "gt"), "gt: give a file")


def test_hostile_labels_are_data_and_nothing_else(run: Run, maps: Path, tmp_path: Path) -> None:
    names = ["=1+1", "<script>alert(1)</script>".replace("/", "∕"), "..", "@SUM(A1)", "+cmd", "-x"]
    for name in names:
        for path in sorted(maps.glob("netA_*")):
            (maps / path.name.replace("netA", name)).write_bytes(path.read_bytes())
    before = files(tmp_path)
    assert run("compare", "--heatmaps", maps, "--masks", "gt", "--metrics", "iou", "--out", "s")[0] == 0
    new = files(tmp_path) - before
    assert all(name == "s" or name.startswith("s/") for name in new)
    for path in ("s/scores.csv", "s/clusters.csv"):
        cells = {c for line in Path(path).read_text().splitlines() for c in line.split(",")}
        assert "'=1+1" in cells
        assert not any(c.startswith(("=", "@", "+")) for c in cells)
    page = Path("s/report.html").read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_control_characters_do_not_reach_the_terminal(run: Run, maps: Path, refused: Check) -> None:
    (maps / "net\x1b[31m_Angr_heatmap.png").write_bytes(b"")
    refused(run("score", maps, "--masks", "gt"), "\\x1b[31m")
    assert "\x1b" not in run("score", maps, "--masks", "gt")[2]


def test_options_of_a_guide(run: Run, maps: Path, refused: Check) -> None:
    refused(run("compare", "--heatmaps", maps, "--guide", "au"), "--guide are for networks, not for --heatmaps")
    refused(run("train", "songnet", "--guide", "aus"), "'--guide' must be one of", "(did you mean 'au'?)")
    refused(run("train", "songnet", "--guide-weight", "2"), "--guide-weight: nothing is guided; add --guide au")
    refused(run("train", "songnet", "--guide", "au", "--guide-weight", "-1"), "'weight' must be 0 or more; got -1.0")
    assert not Path("reports").exists()
