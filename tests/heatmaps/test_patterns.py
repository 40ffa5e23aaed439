"""Which file is which cell: names parsed, named errors, an order that is no directory's."""

import os
import re
from itertools import product
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xfer import labels
from xfer.errors import InputError
from xfer.heatmaps import match

NETWORK = "{model}_{expression}_heatmap.png"
FOLD = "{model}_{fold}_{expression}_heatmap.png"


def touch(folder, *names):
    for name in names:
        path = Path(os.fsdecode(os.fsencode(folder) + b"/" + (name if isinstance(name, bytes) else name.encode())))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def told(folder, pattern, *fields):
    return list(match(pattern, folder)[list(fields)].itertuples(index=False, name=None))


def refused(folder, pattern):
    with pytest.raises(InputError) as error:
        match(pattern, folder)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_what_a_name_does_not_tell(tmp_path):
    index = match(NETWORK, touch(tmp_path, "VGG16_Happy_heatmap.png"))
    assert index.columns.tolist() == ["path", *labels.KEY]
    assert index.iloc[0].to_dict() == {
        "path": tmp_path / "VGG16_Happy_heatmap.png",
        "model": "VGG16",
        "guide": "none",
        "seed": "unknown",
        "fold": "all",
        "layer": "unknown",
        "explainer": "unknown",
        "target": "happiness",
        "expression": "happiness",
        "outcome": "all",
        "normalisation": "published",
    }
    assert index.attrs["skipped"] == []


def test_every_field_is_read(tmp_path):
    pattern = "/".join(f"{{{name}}}" for name in labels.KEY) + ".npy"
    values = ["Net_1", "au", "7", "CV2", "layer4", "grad_cam".replace("_", "-"), "Sad", "Angry", "correct", "raw"]
    index = match(pattern, touch(tmp_path, "/".join(values) + ".npy"))
    assert index.iloc[0][list(labels.KEY)].tolist() == [*values[:6], "sadness", "anger", *values[8:]]


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("AlexNet_CV1_Anger_heatmap.png", ("AlexNet", "CV1", "anger")),
        ("my_net_v2_CV1_Anger_heatmap.png", ("my_net_v2", "CV1", "anger")),
        ("my_net_CV10_happily_surprised_heatmap.png", ("my_net", "CV10", "happily_surprised")),
        ("my_net_CV10_Happily Surprised_heatmap.png", ("my_net", "CV10", "happily_surprised")),
        ("net_1_HAPPILY-DISGUSTED_heatmap.png", ("net", "1", "happily_disgusted")),
        ("fear_net_1_joy_heatmap.png", ("fear_net", "1", "happiness")),
        ("sad_1_awe_heatmap.png", ("sad", "1", "awed")),
        ("=1+1_<script>_afraid_heatmap.png", ("=1+1", "<script>", "fear")),
    ],
)
def test_underscores_in_models_and_compounds(tmp_path, name, cell):
    assert told(touch(tmp_path, name), FOLD, "model", "fold", "expression") == [cell]


def test_expression_first_and_repeated_fields(tmp_path):
    touch(tmp_path, "sadly_angry_my_net.png", "sad_my_net.png")
    assert told(tmp_path, "{expression}_{model}.png", "expression", "model") == [
        ("sadly_angry", "my_net"),
        ("sadness", "my_net"),
    ]
    touch(tmp_path, "a/a_fear.png", "a/b_fear.png")
    index = match("{model}/{model}_{expression}.png", tmp_path)
    assert index["path"].tolist() == [tmp_path / "a/a_fear.png"]
    assert index.attrs["skipped"] == ["a/b_fear.png", "sad_my_net.png", "sadly_angry_my_net.png"]


@given(
    st.lists(
        st.from_regex(r"[A-Za-z0-9+=.<>-]{1,8}(_[a-z0-9]{1,4})?", fullmatch=True), min_size=1, max_size=3, unique=True
    ),
    st.lists(st.from_regex(r"[A-Za-z0-9]{1,4}", fullmatch=True), min_size=1, max_size=2, unique=True),
    st.lists(st.sampled_from(labels.EXPRESSIONS), min_size=1, max_size=3, unique=True),
    st.randoms(),
)
@settings(max_examples=40, deadline=None)
def test_names_round_trip_in_key_order(tmp_path_factory, models, folds, expressions, random):
    """Written in any order, read back sorted by key."""
    models = [m for m in models if not m.startswith(".")]
    cells = list(product(models, folds, expressions))
    random.shuffle(cells)
    folder = tmp_path_factory.mktemp("names")
    touch(folder, *("{}_{}_{}_heatmap.png".format(*cell) for cell in cells))
    if cells:
        assert told(folder, FOLD, "model", "fold", "expression") == sorted(cells)


def test_what_does_not_fit_is_listed(tmp_path):
    touch(
        tmp_path,
        "a_fear_heatmap.png",
        "notes.txt",
        "b_fear_heatmap.PNG",
        "deeper/c_fear_heatmap.png",
        ".hidden_fear_heatmap.png",
    )
    index = match(NETWORK, tmp_path)
    assert index["model"].tolist() == ["a"]
    assert index.attrs["skipped"] == ["b_fear_heatmap.PNG", "deeper/", "notes.txt"]


def test_stores_are_files(tmp_path):
    touch(tmp_path, "a/fear.zarr/.zarray", "b/joy.zarr/.zarray")
    assert told(tmp_path, "{model}/{expression}.zarr", "model", "expression") == [("a", "fear"), ("b", "happiness")]


def test_names_that_are_not_text(tmp_path):
    try:
        touch(tmp_path, b"caf\xe9_fear_heatmap.png", b"caf\xe8_fear_heatmap.png")
    except OSError:
        pytest.skip("this file system refuses names that are not UTF-8")
    index = match(NETWORK, tmp_path)
    assert index["model"].tolist() == [r"caf\xe8", r"caf\xe9"]
    assert all(path.exists() for path in index["path"])
    touch(tmp_path, b"caf\xe8_Afraid_heatmap.png")
    refused(tmp_path, NETWORK).encode()


def test_missing_folder(tmp_path):
    assert refused(tmp_path / "maps", NETWORK) == f"{tmp_path / 'maps'}: no such folder"
    touch(tmp_path, "file")
    assert refused(tmp_path / "file", NETWORK) == f"{tmp_path / 'file'}: is not a folder"


def test_nothing_fits(tmp_path):
    assert refused(tmp_path, NETWORK) == f"{tmp_path}: no file fits the pattern {NETWORK!r}; there is nothing"
    touch(tmp_path, *(f"{n}.png" for n in "gfedcba"), "sub/x.png")
    assert refused(tmp_path, NETWORK) == (
        f"{tmp_path}: no file fits the pattern {NETWORK!r}; there is a.png, b.png, c.png, d.png, e.png and 3 more"
    )


def test_unknown_expression(tmp_path):
    text = refused(touch(tmp_path, "a_Angr_heatmap.png", "a_fear_heatmap.png"), NETWORK)
    start = f"{tmp_path / 'a_Angr_heatmap.png'}: 'expression' must be one of anger, disgust, "
    assert text.startswith(start)
    assert text.endswith("; got 'Angr' (did you mean 'anger'?)")


def test_two_files_for_one_cell(tmp_path):
    assert refused(touch(tmp_path, "a_sad_heatmap.png", "a_Sadness_heatmap.png"), NETWORK) == (
        f"{tmp_path / 'a_Sadness_heatmap.png'} and {tmp_path / 'a_sad_heatmap.png'}: two files for one cell "
        "(model a, fold all, expression sadness); keep one"
    )


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("{modl}_{expression}.png", "'field' must be one of model, guide, seed, fold, layer, explainer, target, "
         "expression, outcome, normalisation; got 'modl' (did you mean 'model'?)"),
        ("{model}.png", "says nowhere where the {expression} stands"),
        ("*.png", "says nowhere where the {expression} stands"),
        ("{model}_{expression.png", "expected '}' before end of string; write fields as in {expression}"),
        ("{}_{expression}.png", "got ''"),
        ("{model!r}_{expression}.png", "got 'model!r' (did you mean 'model'?)"),
        ("{model:5}_{expression}.png", "got 'model:5' (did you mean 'model'?)"),
        ("{model.x}_{expression}.png", "got 'model.x' (did you mean 'model'?)"),
    ],
)  # fmt: skip
def test_bad_patterns(tmp_path, pattern, text):
    with pytest.raises(InputError, match=f"^{re.escape(f'pattern {pattern!r}: ')}.*{re.escape(text)}$"):
        match(pattern, tmp_path)


def test_the_rest_of_a_pattern_is_literal(tmp_path):
    touch(tmp_path, "a+(x)_fear.png", "a+(x)_fearxpng", "{b}_fear.png")
    assert told(tmp_path, "a+(x)_{expression}.png", "model", "expression") == [("unknown", "fear")]
    assert told(tmp_path, "{{b}}_{expression}.png", "model", "expression") == [("unknown", "fear")]


def test_published_folders(published):
    networks, folds = match(NETWORK, published / "by_network"), match(FOLD, published / "by_fold")
    assert (len(networks), networks["model"].nunique(), networks["expression"].nunique()) == (72, 12, 6)
    assert (len(folds), sorted(set(folds["fold"]))) == (360, ["CV1", "CV2", "CV3", "CV4", "CV5"])
    assert networks.attrs["skipped"] == folds.attrs["skipped"] == []
