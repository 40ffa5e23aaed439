"""Tables and methods for a paper: whole numbers in csv, LaTeX that is well formed, text that names what was run."""

import re

import pandas as pd
import pytest

from xfer import scoring
from xfer.errors import InputError
from xfer.report import exports, standings
from xfer.report.methods import methods

EVIL = ("net_a_1", "50 % & {more}", r"\input{secret}", "=1+1", "a#b~c^d$e")


@pytest.fixture(scope="module")
def study(make_tested):
    return make_tested(models=EVIL)


@pytest.fixture(scope="module")
def written(study, tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables") / "new"
    return {path.name: path for path in exports.write_tables(study, folder)}


def test_every_table_is_written_in_both_forms(written):
    names = {f"{name}.{form}" for name in ("networks", "cells", "nulls", "comparisons") for form in ("csv", "tex")}
    assert set(written) == names | {"methods.txt"}
    assert {path.name for path in written["cells.csv"].parent.iterdir()} == set(written)


@pytest.mark.parametrize("name", ["networks", "cells", "nulls", "comparisons"])
def test_csv_has_every_digit(written, study, name):
    table = exports.tables(study)[name]
    read = scoring.read_csv(written[f"{name}.csv"])
    assert list(read.columns) == list(table.columns)
    for column in table.columns:
        if pd.api.types.is_numeric_dtype(table[column]):
            found = pd.to_numeric(read[column], errors="coerce").to_numpy(dtype=float)
            assert found == pytest.approx(table[column].to_numpy(dtype=float), abs=0, nan_ok=True)
        else:
            assert read[column].astype(str).tolist() == table[column].tolist()


def test_csv_cells_cannot_act_as_formulas(written):
    assert "\n'=1+1," in written["networks.csv"].read_text()


def test_whole_numbers_are_whole(written):
    assert set(scoring.read_csv(written["cells.csv"])["m"]) == {15}
    assert "15.0" not in written["networks.csv"].read_text()


@pytest.mark.parametrize("name", ["networks", "cells", "nulls", "comparisons"])
def test_latex_is_well_formed(written, name):
    text = written[f"{name}.tex"].read_text()
    bare = text.replace(r"\{", "").replace(r"\}", "")
    depth = 0
    for character in bare:
        depth += {"{": 1, "}": -1}.get(character, 0)
        assert depth >= 0
    assert depth == 0
    assert re.findall(r"(?<!\\)[_#%~^]", text) == []
    assert len(re.findall(r"(?<!\\)\$", text)) % 2 == 0
    assert text.isascii()
    assert re.findall(r"\\begin\{(\w+)\}", text) == ["table", "tabular"]
    (sides,) = re.findall(r"\\begin\{tabular\}\{(\w+)\}", text)
    body = [line for line in text.splitlines() if line.endswith(r"\\")]
    assert len(body) > 2
    assert {len(re.findall(r"(?<!\\)&", line)) + 1 for line in body} == {len(sides)}


def test_latex_prints_names_as_they_are(written):
    text = written["networks.tex"].read_text()
    assert r"net\_a\_1 &" in text
    assert r"50 \% \& \{more\} &" in text
    assert r"\textbackslash{}input\{secret\} &" in text
    assert r"a\#b\textasciitilde{}c\textasciicircum{}d\$e &" in text


def test_latex_has_the_numbers_and_order_of_the_page(written, study, page_of):
    rows = [line.split(" & ") for line in written["networks.tex"].read_text().splitlines() if line.endswith(r"\\")]
    table = page_of(study).table("chance")
    assert len(rows) == len(table)
    for printed, shown in zip(rows[1:], table[1:], strict=True):
        numbers = [cell.replace("$-$", "−") for cell in printed]
        scores = [f"{v} ({low} to {high})" for v, low, high in (numbers[1:4], numbers[4:7])]
        assert [*scores, *numbers[7:10]] == shown[1:6]


def test_columns_without_a_number_are_left_out_of_latex(make_tested, tmp_path):
    exports.write_tables(make_tested(anchored=False), tmp_path)
    assert "anchored" not in (tmp_path / "networks.tex").read_text()
    assert "anchored" in (tmp_path / "networks.csv").read_text()


def test_undefined_numbers_are_dashes(make_tested, tmp_path):
    exports.write_tables(make_tested(constant=[("net_b", "fear")]), tmp_path)
    (row,) = (line for line in (tmp_path / "cells.tex").read_text().splitlines() if line.startswith("net\\_b & fear"))
    assert row.split(" & ")[2:5] == ["--"] * 3
    assert "constant heatmap" in (tmp_path / "cells.csv").read_text()


def test_a_study_without_statistics_has_nothing_to_export(make_study, tmp_path):
    with pytest.raises(InputError, match="has no statistics to export; run its 'xfer compare' line with draws again"):
        exports.write_tables(make_study(), tmp_path / "tables")
    assert not (tmp_path / "tables").exists()


def test_a_file_in_the_way_is_named(study, tmp_path):
    (tmp_path / "tables").write_text("mine")
    with pytest.raises(InputError, match="tables: cannot be made"):
        exports.write_tables(study, tmp_path / "tables")
    assert (tmp_path / "tables").read_text() == "mine"


def test_a_failing_writer_leaves_the_old_file_whole(study, tmp_path, monkeypatch):
    exports.write_tables(study, tmp_path)
    before = (tmp_path / "networks.csv").read_bytes()

    def half(table, path):
        path.write_text("half")
        raise RuntimeError("power cut")

    monkeypatch.setattr(scoring, "write_csv", half)
    with pytest.raises(RuntimeError, match="power cut"):
        exports.write_tables(study, tmp_path)
    assert (tmp_path / "networks.csv").read_bytes() == before
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_methods_name_what_was_run(study):
    said = methods(study)
    for part in (
        "15 mean heatmaps of 5 networks for 3 expressions", "IoU at the threshold 'area'", "The estimand is the score",
        "blocks of subjects, at most 30 a network and fold", "500 draws of the population mean map",
        "500 draws for every heatmap", "for the 15 heatmaps tested",
        "(scores differ from full resolution by at most 0.001)",
        "the masks of emfacs, du2014 and ck_plus scored against those of 'ekman'",
        "p-values of the 10 pairs", "Ranks of 5 networks over 3 blocks", "Nemenyi", "the share of 500 resampled trees",
        "from the seed 3", "never used for a p-value", "Tested beside it: rotated map (after the spin test",
        "since they give few values: centre bias (Tatler 2007, doi:10.1167/7.14.4), mirrored map,",
    ):  # fmt: skip
        assert part in said
    assert len(set(re.findall(r"doi:(10\.\d{4,9}/\S+?)[,;)]", said))) >= 12


def test_methods_of_folds_and_of_single_maps_say_so(make_tested):
    folds = methods(make_tested(level="folds", anchored=False, folds=("CV1", "CV2", "CV3")))
    assert "Units of resampling are the 3 folds" in folds
    assert "No ceiling was computed" in folds
    single = methods(make_tested(level="", anchored=False))
    assert "Only one map of each network and expression was available" in single
    assert "draws of the population mean map" not in single
    assert "clustered" not in single


def test_methods_of_a_study_without_statistics_are_empty(make_study):
    assert methods(make_study()) == ""


def test_leading_threshold_is_the_studys_own(study):
    assert set(standings.networks(study, "iou")["threshold"]) == {"otsu"}
    study.config["threshold"] = "0.5"
    rows = study.inference[study.inference["metric"] == "iou"]
    alone = standings.leading_threshold(study, rows[rows["threshold"] == "area"], "iou")
    study.config["threshold"] = "otsu"
    assert set(alone["threshold"]) == {"area"}
