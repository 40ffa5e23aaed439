"""A twin study from faces to tables: what is in the folder, what is kept, what is refused."""

import copy
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tomli_w
import torch

import xfer
from xfer import cli
from xfer.cli.printing import print_twins
from xfer.datasets import Dataset, FaceSample
from xfer.errors import InputError
from xfer.guidance import Guide
from xfer.labels import BASIC
from xfer.study import Study
from xfer.study.arms import SHARES, ablation, some_subjects
from xfer.study.folder import CHECKPOINTS
from xfer.study.loading import load_model
from xfer.study.looking import MEASURES
from xfer.study.running import running
from xfer.study.twin_study import TwinStudy
from xfer.study.twins import settle
from xfer.training import read_weights

TINY: Mapping[str, Any] = {
    "controls": ["au", "none"],
    "seeds": 2,
    "drawn": 48,
    "explained": 1,
    "pretrained": "no",
    "draws": 50,
    "training": {"epochs": 1, "precision": "32", "batch": 8},
}


def guide(place: Path, **options: Any) -> TwinStudy:
    return xfer.guide("songnet", out=place / "study", workers=1, **{**TINY, **options})


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("twins")
    guide(place)
    return place


@pytest.fixture
def study(home: Path) -> TwinStudy:
    return TwinStudy(home / "study")


def one(table: pd.DataFrame, **key: str) -> pd.Series:
    rows = table[(table[list(key)] == pd.Series(key)).all(axis=1)]
    assert len(rows) == 1
    return rows.iloc[0]


def test_every_heatmap_tells_its_guide_and_seed(study: TwinStudy) -> None:
    keys = {(str(c.guide.values), str(c.seed.values)) for c in study.leading}
    assert keys == {(arm, seed) for arm in ("au", "none") for seed in "01"}
    assert set(study.leading.coords["explainer"].values) == {"occlusion"}
    assert set(study.scores["guide"]) == {"au", "none"}
    assert set(study.networks["seed"].astype(int)) == {0, 1}


def test_every_test_face_is_in_the_table_and_some_are_explained(study: TwinStudy) -> None:
    table = study.looking
    assert len(table) == 4 * table["face"].nunique()
    explained = table[np.isfinite(table["att_cos"].astype(float))]
    by = explained.groupby(["guide", "seed"])["face"].agg(lambda faces: tuple(sorted(faces)))
    assert len(set(by)) == 1
    assert len(by.iloc[0]) == len(BASIC)
    assert set(study.twins["measure"]) == {"accuracy", "macro_f1", *MEASURES}


def test_a_twin_study_tells_what_its_stages_took(study: TwinStudy) -> None:
    table = study.costs.set_index("stage")
    stages = ["options", "pictures", "landmarks", "linear classifier", "networks", "scores", "intervals", "report"]
    assert (table.loc[stages, "actual_s"] >= 0).all()
    assert (table.loc[["songnet: training", "songnet: heatmaps"], "actual_s"] > 0).all()


def test_who_took_part_in_the_term_is_counted(study: TwinStudy) -> None:
    table = study.taking_part
    assert list(zip(table["guide"], table["seed"].astype(int), strict=True)) == [("au", 0), ("au", 1)]
    trained = study.networks.loc[study.networks["guide"] == "au", "n_train"].tolist()
    assert table["guided_faces"].tolist() == trained
    assert (table.filter(like="absent_") == 0).all(axis=None)
    assert study.mean_taking_part.loc["au", "guided_faces"] == pytest.approx(np.mean(trained))
    shown = study.looking.drop_duplicates("face")["expression"]
    assert study.majority == pytest.approx(max(np.mean(shown == expression) for expression in BASIC))
    log = study.folder / CHECKPOINTS / "songnet-au-s0-f0.csv"
    whole = log.read_bytes()
    try:
        for damaged in (b"", b"epoch,guide_term\n1,", b"epoch\none\n"):
            log.write_bytes(damaged)
            assert TwinStudy(study.folder).taking_part["seed"].astype(int).tolist() == [1]
    finally:
        log.write_bytes(whole)
    assert "Every training face took part." in (study.folder / "report.html").read_text(encoding="utf-8")


def test_a_share_of_the_people_is_drawn_anew_for_every_seed_and_nested_in_one() -> None:
    told = [(f"s{i % 40}", BASIC[i % 6]) for i in range(240)] + [("s40", "neutral")]
    samples = [FaceSample(str(i), Path(), expression, subject) for i, (subject, expression) in enumerate(told)]
    data, train = Dataset("made-up", samples), np.arange(3, 241)
    people = {}
    for seed in range(4):
        for share in SHARES:
            chosen = some_subjects(data, train, share, seed)
            assert set(chosen) <= set(train)
            names = people[seed, share] = {samples[i].subject for i in chosen}
            assert chosen.tolist() == [i for i in train if samples[i].subject in names]
            assert {samples[i].expression for i in chosen} == {*BASIC, "neutral"}
            assert len(names) >= round(share * 41)
        assert people[seed, 0.25] <= people[seed, 0.5] <= people[seed, 1.0] == {name for name, _ in told}
    assert len({frozenset(people[seed, 0.25]) for seed in range(4)}) == 4
    six = Dataset("six", samples[:240])
    alike = [{samples[i].subject for i in some_subjects(six, np.arange(240), 0.25, seed)} for seed in range(4)]
    assert [len(names) for names in alike] == [10] * 4
    assert len(set(map(frozenset, alike))) == 4


def test_tested_people_trained_nothing(study: TwinStudy) -> None:
    tested = set(study.looking["subject"])
    faces = study.faces
    others = faces[faces["fold_0"].isin(["train", "validation"])] if "fold_0" in faces else faces[~faces["used"]]
    assert not tested & set(others["subject"])


def test_the_twin_without_a_guide_is_a_plain_training(study: TwinStudy, tmp_path: Path) -> None:
    """And at its start that of the guided one: the first batch is the only thing that differs later."""
    plain = xfer.train(
        "songnet", out=tmp_path / "plain", workers=1, drawn=48, pretrained="no", training=TINY["training"]
    )
    alone, _ = read_weights(plain[0].weights)
    twin, _ = read_weights(study.folder / CHECKPOINTS / "songnet-none-s0-f0.safetensors")
    guided, _ = read_weights(study.folder / CHECKPOINTS / "songnet-au-s0-f0.safetensors")
    assert all(torch.equal(alone[name], twin[name]) for name in alone)
    assert not all(torch.equal(guided[name], twin[name]) for name in alone)


def test_a_second_run_trains_nothing_and_changes_no_number(study: TwinStudy, home: Path) -> None:
    log = (study.folder / "units.jsonl").read_text()
    before = {name: (study.folder / name).read_bytes() for name in ("scores.csv", "twins.csv", "differences.csv")}
    guide(home)
    assert (study.folder / "units.jsonl").read_text() == log
    assert {name: (study.folder / name).read_bytes() for name in before} == before
    assert len(log.splitlines()) == 4
    assert {json.loads(line)["fold"] for line in log.splitlines()} == {"0"}


def test_another_weight_in_the_folder_is_refused_with_the_difference(home: Path) -> None:
    with pytest.raises(InputError, match=r"arms\.au\.weight: 4\.0 there, 2\.0 now"):
        guide(home, guide_weight=2.0)


def test_every_twin_has_a_card_of_its_own(study: TwinStudy) -> None:
    table = study.networks.set_index("checkpoint")
    floor = one(study.floors, floor="gaussian", measure="iou", form="value", expression="all")["value"]
    for name, arm, seed in (("songnet-au-s0-f0", "au", 0), ("songnet-none-s1-f0", "none", 1)):
        card, row = (study.folder / CHECKPOINTS / f"{name}.md").read_text(encoding="utf-8"), table.loc[name]
        seen = study.looking[(study.looking["guide"] == arm) & (study.looking["seed"] == seed)]
        own = (seen["iou"] - seen["iou_others"]).groupby(seen["expression"]).mean().mean()
        for part in (
            f"sha256 `{row['weights_digest']}`",
            f"seed {seed};",
            "synthetic, 48 faces of",
            f"{int(row['n_train'])} training, {int(row['n_validation'])} validation",
            "of weight 4.0 (constant, warm-up 0.0) on the layers last (features.4), with"
            if arm == "au"
            else "None: plain cross entropy",
            f"| this network | {row['accuracy']:.3f} | {row['macro_f1']:.3f} |",
            f"| iou of single faces, specificity | {own:.3f} |",
            f"gaussian {floor:.3f}",
            "against the masks of ekman",
        ):
            assert part in card


def test_a_card_that_a_kill_prevented_is_written_later(study: TwinStudy, home: Path) -> None:
    card = study.folder / CHECKPOINTS / "songnet-au-s1-f0.md"
    before = card.read_text(encoding="utf-8")
    card.unlink()
    guide(home)
    assert card.read_text(encoding="utf-8") == before


def test_a_twin_is_opened_by_its_arm_and_seed(study: TwinStudy) -> None:
    word = f"{study.folder}#songnet"
    model, facts = load_model(f"{word}/au-s1")
    state, _ = read_weights(study.folder / CHECKPOINTS / "songnet-au-s1-f0.safetensors")
    assert all(torch.equal(tensor, state[name]) for name, tensor in model.state_dict().items())
    assert facts.classes == tuple(study.config["data"]["expressions"])
    with pytest.raises(InputError) as told:
        load_model(word)
    assert str(told.value) == f"{word}: its twins are au-s0, au-s1, none-s0, none-s1; write {word}/au-s0"


def test_how_far_twins_are_is_told(study: TwinStudy, tmp_path: Path) -> None:
    found = running(study.folder).networks
    assert found["guide"].tolist() == ["au-s0", "au-s1", "none-s0", "none-s1"]
    assert set(found["stage"]) == {"explained"}
    accuracy = study.networks.set_index("checkpoint")["accuracy"]
    assert found["accuracy"].tolist() == [accuracy[f"songnet-{guide}-f0"] for guide in found["guide"]]
    half = tmp_path / "half"
    (half / CHECKPOINTS).mkdir(parents=True)
    shutil.copy(study.folder / "study.toml", half)
    shutil.copy(study.folder / CHECKPOINTS / "songnet-none-s0-f0.csv", half / CHECKPOINTS)
    with pytest.raises(InputError) as told:
        _ = TwinStudy(half).twins
    assert str(told.value) == (
        f"{half}: is unfinished (twins.csv is missing; of 4 networks and folds 1 training: songnet (none-s0) (epoch 1 "
        "of 1); 3 waiting: songnet (au-s0), songnet (au-s1), songnet (none-s1)); nobody works on it now; run its "
        "'xfer guide' line again, it goes on from there"
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("ablate", None), ("seeds", "two"), ("seed", None), ("models", []), ("explainers", "grad_cam"), ("arms", {}),
        ("data.name", None), ("data.expressions", 6), ("guide.masks", None), ("arms.au", "au"), ("pairs", [["au"]]),
        ("pairs", [["au", "nobody"]]), ("networks", None), ("draws", None), ("guide", []),
    ],
)  # fmt: skip
def test_a_damaged_study_toml_is_told_by_whoever_reads_it(
    key: str, value: Any, study: TwinStudy, tmp_path: Path
) -> None:
    config, (*outer, last) = copy.deepcopy(study.config), key.split(".")
    table = config[outer[0]] if outer else config
    table[last] = value
    if value is None:
        del table[last]
    (tmp_path / "study.toml").write_text(tomli_w.dumps(config))
    told = rf"study\.toml: is damaged \({key}[^)]*\); mend it, or run the 'xfer guide' line with --fresh"
    with pytest.raises(InputError, match=told):
        TwinStudy(tmp_path)
    if isinstance(config.get("networks"), dict):
        with pytest.raises(InputError, match=r"study\.toml: is damaged"):
            running(tmp_path)


def test_the_tables_are_printed_and_the_page_is_written_anew(
    study: TwinStudy, capsys: pytest.CaptureFixture[str]
) -> None:
    print_twins(study)
    out = capsys.readouterr().out
    assert "ATT-COS (training objective)" in out
    assert "au - none" in out
    with pytest.raises(SystemExit) as ended:
        cli.main(["report", str(study.folder), "--faces", "none"])
    assert not ended.value.code


def test_the_tables_of_a_paper_are_written(study: TwinStudy, tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["report", str(study.folder), "--tables", str(tmp_path / "paper")])
    assert not ended.value.code
    names = {f"{name}.{form}" for name in ("twins", "differences", "floors") for form in ("csv", "tex")}
    assert {path.name for path in (tmp_path / "paper").iterdir()} == {*names, "methods.txt"}
    for name in ("twins", "differences", "floors"):
        pd.testing.assert_frame_equal(
            *(pd.read_csv(place / f"{name}.csv") for place in (study.folder, tmp_path / "paper"))
        )
    text = (tmp_path / "paper" / "methods.txt").read_text(encoding="utf-8")
    assert "at the layer last (features.4)" in text
    assert text.strip() == Study(study.folder).methods() == study.methods()


def test_a_plain_study_is_no_twin_study(study: TwinStudy) -> None:
    assert Study(study.folder).config["kind"] == "twins"
    page = (study.folder / "report.html").read_text(encoding="utf-8")
    assert "No circles" in page
    assert "It never looks into the layer that was guided: last (features.4)." in page
    assert "training objective" in page


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"explainer": "grad_cam"}, "the headline is never read from a layer that training may have guided"),
        (
            {"explainer": "integrated_gradients", "guide_loss": "harmonize"},
            "--explainer integrated_gradients: reads the gradients at the pictures, which --guide-loss harmonize",
        ),
        ({"masks": "belharbi2024_code"}, "shares regions 'belharbi2024' with --guide-masks belharbi2024"),
        ({"guide_masks": "ekman"}, "shares codebook 'ekman' with --guide-masks ekman"),
        ({"controls": ["au", "template"]}, "--controls lacks none"),
        ({"controls": ["au", "none", "tempalte"]}, "did you mean 'template'?"),
        ({"ablate": "weight"}, "leave --controls out"),
        ({"ablate": "weigth", "controls": None}, "did you mean 'weight'?"),
        ({"seeds": 0}, "--seeds 0: train every twin at least once"),
        ({"guide_weight": -1.0}, "must be 0 or more; got -1.0"),
        ({"expressions": ["anger", "neutral"]}, "two expressions of the data need a mask; got anger"),
    ],
)
def test_what_cannot_be_is_refused_before_any_work(options: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as error:
        settle("songnet", out=tmp_path / "study", **{**{k: v for k, v in TINY.items() if k != "workers"}, **options})
    assert message in str(error.value)
    assert not (tmp_path / "study").exists()


def test_masks_of_a_file_of_ones_own_do_not_guide_and_judge(tmp_path: Path) -> None:
    """Whatever name the file gives itself, and as a folder of what it draws too."""
    book = tmp_path / "mine.toml"
    text = 'format = 1\nname = "{}"\ntitle = "t"\nreference = "me"\nregions = "xfer"\nmerge = "max"\n'
    units = dict(zip(BASIC, (4, 9, 20, 12, 15, 1), strict=True))
    text += "".join(f'[expressions.{e}]\nevidence = "memory"\naus = {{{{ AU{k} = 1.0 }}}}\n' for e, k in units.items())
    book.write_text(text.format("mine"))
    again = tmp_path / "again.toml"
    again.write_text(text.format("again"))
    options = {**TINY, "out": tmp_path / "study", "guide_masks": book}
    for judged in (book, again):
        with pytest.raises(InputError, match=r"shares codebook '\w+' and regions 'xfer' with .*mine\.toml"):
            settle("songnet", masks=judged, **options)


def test_two_networks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="xfer guide takes one network at a time; got songnet, silnet"):
        settle("songnet,silnet", out=tmp_path / "study", **TINY)


def test_ablations_vary_one_thing() -> None:
    base = Guide(weight=4.0)
    for kind, stages in (("weight", ()), ("codebook", ()), ("layer", ("a", "b")), ("data", ())):
        found = ablation(kind, base, stages)
        for first, second in found.pairs:
            arms = {arm.name: arm for arm in found.arms}
            one, other = arms[first], arms[second]
            assert other.guide.control == "none"
            assert one.share == other.share
            changed = {k for k, v in one.guide.config().items() if v != base.config()[k]}
            assert changed <= {{"weight": "weight", "codebook": "masks", "layer": "layers", "data": ""}[kind]}
    assert pd.Series([arm.share for arm in ablation("data", base).arms]).nunique() == 3
