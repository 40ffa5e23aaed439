"""Studies of guided networks: options, what refuses a guide, and where a reader finds it."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch

import xfer
from xfer.errors import InputError
from xfer.guidance import Guide
from xfer.labels import BASIC
from xfer.study import Study, guiding
from xfer.study.loading import load_model
from xfer.training import Settings, preset, read_weights

TINY: dict[str, Any] = {
    "drawn": 72,
    "pretrained": "no",
    "metrics": "iou",
    "workers": 1,
    "draws": 0,
    "training": {"epochs": 1, "size": 48, "precision": "32"},
    "guide": "au",
    "guide_weight": 2.5,
}
SIZES = {"songnet": Settings(size=48)}


def test_options_become_a_guide() -> None:
    assert guiding.settle("quick") is None
    assert guiding.settle("quick", "none") is None
    assert guiding.settle("quick", "au") == Guide()
    assert guiding.settle("quick", "none", output_stride=8) == Guide(control="none", output_stride=8)
    found = guiding.settle("quick", "random", weight=2, layers="features.6, -1", loss="cam", masks="ekman", seed=3)
    wanted = Guide("random", "cam", 2.0, ("features.6", "-1"), "ekman", seed=3)
    assert found == wanted
    changing = guiding.settle("quick", "au", schedule="linear", warm_up=0.25)
    assert changing == Guide(schedule="linear", warm_up=0.25)


def test_the_preset_of_belharbi_is_guided_as_published() -> None:
    published = Guide(weight=4.0, layers=("last",), output_stride=8)
    assert guiding.settle("belharbi2024") == published
    assert guiding.settle("belharbi2024", weight=9) == published.change(weight=9.0)
    assert guiding.settle("belharbi2024", "none") == Guide(control="none", output_stride=8)
    assert guiding.settle("belharbi2024", "none", output_stride=0) is None


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            {"control": "aus"},
            "'--guide' must be one of au, none, random, shuffled, template; got 'aus' (did you mean 'au'?)",
        ),
        ({"control": "au", "weight": -1.0}, "the guide's 'weight' must be 0 or more; got -1.0"),
        (
            {"weight": 2.0, "masks": "ekman"},
            "--guide-weight, --guide-masks: nothing is guided; add --guide au",
        ),
        (
            {"schedule": "linear", "warm_up": 0.1},
            "--guide-schedule, --guide-warm-up: nothing is guided; add --guide au",
        ),
        (
            {"control": "au", "schedule": "cosin"},
            "'schedule' must be one of constant, linear, cosine; got 'cosin' (did you mean 'cosine'?)",
        ),
        ({"control": "au", "warm_up": 1.0}, "the guide's 'warm_up' must be at least 0 and below 1; got 1.0"),
        ({"control": "au", "output_stride": 5}, "'output_stride' must be one of 0, 8, 16, 32; got 5"),
        (
            {"control": "au", "layers": " , "},
            "the guide's 'layers' must name at least one layer, as in ('last',); got ()",
        ),
    ],
)
def test_wrong_options(options: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError) as caught:
        guiding.settle("quick", **options)
    assert str(caught.value) == told


@pytest.mark.parametrize(
    ("guide", "told"),
    [
        (
            Guide(layers=("features.99",)),
            "songnet: 'layer' must be a module of Plain; got 'features.99' (the nearest: features.9, features.8, "
            "features.7, features.6, features.5, features.4, features.3, features.2, features.1, features.0)",
        ),
        (
            Guide(layers=("classifier",)),
            "songnet: layer 'classifier' has no grid of cells: its output is 1 x 6",
        ),
        (
            Guide(layers=(12,)),
            "songnet: layer 12 is not among the network's 5 stages (0: features.1, 1: features.4, 2: features.7, "
            "3: features.11, 4: features.12)",
        ),
    ],
)
def test_a_layer_that_is_not_there_or_sees_no_places(guide: Guide, told: str) -> None:
    with pytest.raises(InputError) as caught:
        guiding.require(guide, SIZES, BASIC, strict=False)
    assert str(caught.value) == told


def test_a_codebook_without_a_label_names_it() -> None:
    with pytest.raises(InputError) as told:
        guiding.require(Guide(), SIZES, ("anger", "contempt"), strict=False)
    assert str(told.value) == (
        "masks 'belharbi2024' have no answer for contempt; they know anger, disgust, fear, happiness, sadness, "
        "surprise, neutral: leave those faces out, or guide by another source"
    )


def test_an_output_stride_that_was_asked_for_is_not_given_up() -> None:
    sizes = {"songnet": Settings(size=64), "timm:resnet18": Settings(size=64)}
    guide = Guide(output_stride=8)
    yielded = guiding.require(guide, sizes, BASIC, strict=False)
    assert yielded == {"songnet": guide.change(output_stride=0), "timm:resnet18": guide}
    assert guiding.require(guide, sizes, BASIC, strict=True) == dict.fromkeys(sizes, guide)
    with pytest.raises(InputError, match=r"^songnet: model 'songnet' has one output stride, its own"):
        guiding.require(guide, SIZES, BASIC, strict=True)


def compare(place: Path, **options: Any) -> Study:
    return xfer.compare("songnet", out=place, **{**TINY, **options})


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a study of a guided network."""
    place = tmp_path_factory.mktemp("guided") / "study"
    compare(place)
    return place


def test_the_guide_stands_where_a_reader_looks(home: Path) -> None:
    study = Study(home)
    assert set(study.heatmaps.coords["guide"].values) == {"au"}
    assert study.networks["guide"].tolist() == ["au"]
    assert study.networks["checkpoint"].tolist() == ["songnet-au-f0"]
    told = study.provenance["config"]["guide"]
    assert (told["control"], told["weight"], told["masks"]) == ("au", 2.5, "belharbi2024")
    assert len(told["masks_digest"]) == 64
    assert study.curves["guided_faces"].tolist() == [study.networks.loc[0, "n_train"]]
    assert 0 < study.curves.loc[0, "guide_term"] < 1
    page = (home / "report.html").read_text()
    assert "the networks were guided" in page
    assert re.search(r"<th[^>]*>\s*guide\s*<", page)
    assert "are what the networks were trained to look at" not in page


def test_scores_against_the_masks_of_the_training_are_called_a_circle(tmp_path: Path, home: Path) -> None:
    page = (compare(tmp_path / "study", masks="ekman,belharbi2024").folder / "report.html").read_text()
    assert "The masks of &#39;belharbi2024&#39; are what the networks were trained to look at" in page


def test_a_guided_network_is_found_by_its_name(home: Path) -> None:
    model, facts = load_model(f"{home}#songnet")
    path = home / "checkpoints" / "songnet-au-f0.safetensors"
    state, told = read_weights(path)
    assert told["guide"] == Study(home).config["guide"]
    assert all(tensor.equal(state[name]) for name, tensor in model.state_dict().items())
    assert facts == load_model(f"songnet={path}")[1]


def test_the_card_tells_of_the_guide_and_the_floors(home: Path) -> None:
    card = (home / "checkpoints" / "songnet-au-f0.md").read_text()
    study = Study(home)
    row = study.networks.loc[0]
    for part in (
        "# songnet, guided (au), fold 0",
        f"sha256 `{row['weights_digest']}`",
        "synthetic, 72 faces of",
        "a term `au_cosine` of weight 2.5",
        "of the mask source belharbi2024",
        f"over {int(row['n_train'])} faces. It is the training objective",
        f"| this network | {row['accuracy']:.3f} | {row['macro_f1']:.3f} |",
        f"| floor: linear classifier on 24 x 24 grey pixels | {row['linear']:.3f} | |",
        "| floor: chance, one by the number of expressions | 0.167 | |",
        f"| iou | {study.table('iou').mean(axis=1).iloc[0]:.3f} |",
        "compare it with the controls",
    ):
        assert part in card
    assert "nan" not in card
    assert str(home) not in card


@pytest.mark.usefixtures("no_page")
def test_train_stops_there_and_compare_goes_on_to_the_same_bytes(home: Path, tmp_path: Path) -> None:
    (trained,) = xfer.train("songnet", out=tmp_path / "study", **TINY)
    assert trained.weights.name == "songnet-au-f0.safetensors"
    card = trained.weights.with_suffix(".md").read_text()
    assert "Not explained yet" in card
    assert f"| this network | {trained.accuracy:.3f} | not known |" in card
    compare(tmp_path / "study")
    for name in ("scores.csv", "checkpoints/songnet-au-f0.safetensors", "checkpoints/songnet-au-f0.md"):
        assert (tmp_path / "study" / name).read_bytes() == (home / name).read_bytes()


def test_an_output_stride_stays_with_the_network(tmp_path: Path) -> None:
    """From the training to the card, the checkpoint and whoever opens it."""
    (trained,) = xfer.train("timm:test_resnet", out=tmp_path / "study", output_stride=8, **{**TINY, "drawn": 48})
    assert trained.failed == ""
    assert "an output stride of 8 px" in trained.weights.with_suffix(".md").read_text()
    assert read_weights(trained.weights)[1]["guide"]["output_stride"] == 8
    images = torch.zeros(1, 3, 48, 48)
    for word in (f"{tmp_path / 'study'}#timm:test_resnet", f"timm:test_resnet={trained.weights}"):
        model, _ = load_model(word)
        assert model.forward_features(images).shape[-2:] == (6, 6)
    with pytest.raises(InputError, match=r"output_stride: 8 there, 16 now"):
        xfer.train("timm:test_resnet", out=tmp_path / "study", output_stride=16, **{**TINY, "drawn": 48})


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"guide_weight": 4.0}, "guide.weight: 2.5 there, 4.0 now"),
        ({"guide_masks": "ekman"}, "guide.masks: 'belharbi2024' there, 'ekman' now"),
        ({"drawn": 78}, "data.faces: 72 there, 78 now"),
        ({"guide": "none", "guide_weight": None}, "guide.control: 'au' there, 'none' now"),
    ],
)
def test_resuming_with_something_else_is_refused(home: Path, changes: dict[str, Any], told: str) -> None:
    with pytest.raises(InputError) as caught:
        compare(home, **changes)
    assert f"{home}: belongs to another study (" in str(caught.value)
    assert told in str(caught.value)
    assert "--fresh" in str(caught.value)


def test_a_codebook_of_ones_own_that_changed_is_another_guide(tmp_path: Path) -> None:
    book = tmp_path / "mine.toml"
    text = 'format = 1\nname = "mine"\ntitle = "t"\nreference = "me"\nregions = "xfer"\nmerge = "max"\n'
    text += "".join(f'[expressions.{e}]\nevidence = "memory"\naus = {{ AU{{}} = 1.0 }}\n' for e in BASIC)
    digests = []
    for unit in (4, 12):
        book.write_text(text.replace("AU{}", f"AU{unit}"))
        told = guiding.described(Guide(masks=str(book)))
        assert told["masks"] == "mine"
        digests.append(told["masks_digest"])
    assert digests[0] != digests[1]


def test_plain_networks_have_no_guide(tmp_path: Path) -> None:
    settings = preset("quick", "songnet")
    assert guiding.require(None, {"songnet": settings}, BASIC, strict=True) == {"songnet": None}
    assert guiding.described(None) == {"control": "none"}
    assert torch.is_grad_enabled()
