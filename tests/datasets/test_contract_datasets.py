"""What every registered data set keeps to, checked on a tiny tree in its own layout."""

import os
import pickle
import re
import tarfile
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from xfer import datasets, labels
from xfer.datasets import DATASETS
from xfer.errors import InputError

VOTES = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n"
GREY = " ".join(["7"] * 48 * 48)


def folder(root, picture):
    for name in ("train/angry/a.png", "train/happy/b.png", "test/angry/c.png", "test/happy/d.png", "misc/e.png"):
        picture(root / name)


def table(root, picture):
    for name in "abcde":
        picture(root / f"{name}.png")
    rows = "a.png,anger,s1\nb.png,happy,s1\nc.png,anger,s2\nd.png,happy,s2\ne.png,dull,s2\n"
    (root / "faces.csv").write_text(f"file,expression,subject\n{rows}")


def raf_db(root, picture):
    names = ["train_00001", "train_00002", "test_0001", "test_0002", "test_0003"]
    for name in names:
        picture(root / "Image" / "aligned" / f"{name}_aligned.png")
    (root / "EmoLabel").mkdir()
    rows = "".join(f"{name}.png {code}\n" for name, code in zip(names, (4, 5, 4, 5, 0), strict=True))
    (root / "EmoLabel" / "list_patition_label.txt").write_text(rows)


def affectnet(root, picture):
    for i, code in enumerate((1, 6, 1, 6, 9)):
        part = root / ("train_set" if i < 3 else "val_set")
        picture(part / "images" / f"{i}.png")
        (part / "annotations").mkdir(exist_ok=True)
        np.save(part / "annotations" / f"{i}_exp.npy", np.array(str(code)))
        np.save(part / "annotations" / f"{i}_lnd.npy", np.arange(136.0))


def fer2013(root, picture):
    rows = [(0, "Training"), (3, "Training"), (0, "PublicTest"), (3, "PrivateTest"), (9, "Training")]
    (root / "fer2013.csv").write_text("emotion,pixels,Usage\n" + "".join(f"{e},{GREY},{u}\n" for e, u in rows))


def ferplus(root, picture):
    fer2013(root, picture)
    votes = ["0,9,0,0,0,0,0,0,0,0", "0,0,0,0,9,0,0,0,0,0"] * 2 + ["0,0,0,0,0,0,0,0,9,0"]
    (root / "fer2013new.csv").write_text(VOTES + "".join(f"Training,fer{i:07d}.png,{v}\n" for i, v in enumerate(votes)))


def ck_plus(root, picture):
    for subject in ("S005", "S010"):
        for frame in range(1, 6):
            picture(root / "cohn-kanade-images" / subject / "001" / f"{subject}_001_{frame:08d}.png")
        (root / "Emotion" / subject / "001").mkdir(parents=True)
        (root / "Emotion" / subject / "001" / f"{subject}_001_00000005_emotion.txt").write_text("   5.0000000e+00\n")


def jaffe(root, picture):
    for name in ("KA.AN1.39", "KA.HA1.40", "YM.AN1.1", "YM.HA1.2", "odd"):
        picture(root / f"{name}.png")


def kdef(root, picture):
    for name in ("AF01ANS", "AF01HAS", "BM02ANS", "BM02HAS", "BM02HAFL"):
        picture(root / name[:4] / f"{name}.png")


SHARDED = {"a": "angry", "b": "happy", "c": "angry", "d": "happy", "e": "dull"}


def webdataset(root, picture, spoilt=False):
    for shard, keys in (("faces-0", "ab"), ("faces-1", "cde")):
        with tarfile.open(root / f"{shard}.tar", "w") as tar:
            for key in keys:
                told, seen = tarfile.TarInfo(f"{key}.cls"), tarfile.TarInfo(f"{key}.png")
                content = b"" if spoilt and key == "a" else picture(root.parent / f"{key}.png").read_bytes()
                told.size, seen.size = len(SHARDED[key]), len(content)
                tar.addfile(told, BytesIO(SHARDED[key].encode()))
                tar.addfile(seen, BytesIO(content))


def parquet(root, picture, spoilt=False):
    contents = [picture(root.parent / f"{key}.png").read_bytes() for key in SHARDED]
    contents[0] = b"" if spoilt else contents[0]
    pictures = [{"bytes": content, "path": "x.png"} for content in contents]
    table = pa.table({"image": pictures, "label": list(SHARDED.values())})
    pq.write_table(table, root / "faces.parquet", row_group_size=2)


TREES: dict[str, Callable[..., None]] = {
    "folder": folder, "csv": table, "raf_db": raf_db, "raf_db_compound": raf_db, "affectnet": affectnet,
    "fer2013": fer2013, "ferplus": ferplus, "ck_plus": ck_plus, "jaffe": jaffe, "kdef": kdef,
    "webdataset": webdataset, "parquet": parquet,
}  # fmt: skip
ON_DISK = sorted(name for name in DATASETS if DATASETS[name].layout)
FILES = {"csv": "faces.csv"}
IN_ONE_FILE = ("fer2013", "ferplus")
SHARDS = ("webdataset", "parquet")


@pytest.fixture(params=ON_DISK)
def name(request) -> str:
    return request.param


@pytest.fixture
def tree(name, tmp_path, picture) -> Path:
    root = tmp_path / "tree"
    root.mkdir()
    assert name in TREES, f"{name} is registered without a tree in this suite"
    TREES[name](root, picture)
    return root


def opened(name: str, root: Path, **options) -> datasets.Dataset:
    return datasets.open(f"{name}:{root / FILES.get(name, '')}", **options)


@pytest.mark.parametrize("name", list(DATASETS))
def test_facts_are_declared(name):
    reader = DATASETS[name]
    assert re.fullmatch(r"[a-z0-9_]+", name)
    assert reader.reference
    assert reader.licence
    assert "\n" not in reader.layout
    assert "raises" in (reader.function.__doc__ or "").lower() or not reader.layout


def test_faces_keep_the_contract(name, tree):
    dataset = opened(name, tree)
    assert len(dataset) >= 4
    assert len({s.id for s in dataset.samples}) == len(dataset)
    for sample, image in dataset.faces():
        assert sample.expression in labels.EXPRESSIONS
        assert sample.subject
        assert sample.split in ("train", "test", "validation", "")
        assert sample.landmarks is None or sample.landmarks.shape == (68, 2)
        assert sample.time is None or sample.time >= 0
        assert all(isinstance(k, str) and isinstance(v, str) for k, v in sample.extra.items())
        assert not isinstance(image, str)
        assert image.dtype == np.uint8
        assert image.ndim == 3
        assert image.shape[2] == 3
        np.testing.assert_array_equal(sample.load(), image)


def test_expressions_are_canonical(name, tree):
    expressions = opened(name, tree).expressions
    assert len(expressions) == 2
    assert list(expressions) == sorted(expressions, key=labels.EXPRESSIONS.index)


def test_nothing_is_lost(name, tree):
    dataset = opened(name, tree)
    given = 5 if name in (*IN_ONE_FILE, *SHARDS) else len(list(tree.rglob("*.png")))
    faces = [d for d in dataset.dropped if not d.reason.startswith("is not named as a picture")]
    assert len(dataset) + len(faces) == given
    assert faces
    assert all(d.id and d.reason for d in dataset.dropped)


def test_opening_twice_gives_the_same(name, tree):
    assert opened(name, tree) == opened(name, tree)


def test_it_does_not_tell_where_it_lies(name, tree):
    dataset = opened(name, tree)
    told = [
        dataset.name,
        *dataset.summary(),
        *(t for s in dataset.samples for t in (s.id, s.subject, *s.extra.values())),
    ]
    assert not [t for t in told if str(tree.parent) in t]


def test_samples_travel_to_other_processes(name, tree):
    samples = opened(name, tree).samples
    twins = pickle.loads(pickle.dumps(samples))
    assert twins == samples
    np.testing.assert_array_equal(twins[0].load(), samples[0].load())


def test_a_spoilt_picture_is_told_and_the_rest_goes_on(name, tree, picture):
    if name in IN_ONE_FILE:
        file = tree / "fer2013.csv"
        file.write_text(file.read_text().replace("7 7", "7 x", 1))
        reason = "does not hold 48 x 48 numbers from 0 to 255"
    elif name in SHARDS:
        TREES[name](tree, picture, spoilt=True)
        reason = "is an empty file"
    else:
        opened(name, tree).samples[0].source.write_bytes(b"")
        reason = "is an empty file"
    images = [image for _, image in opened(name, tree).faces(2)]
    assert images[0] == reason
    assert not [image for image in images[1:] if isinstance(image, str)]


def test_pictures_outside_are_not_read(name, tree, picture):
    if name in (*IN_ONE_FILE, *SHARDS):
        pytest.skip("holds its pictures in the file that was asked for")
    inside = opened(name, tree).samples[0].source
    outside = picture(tree.parent / "outside.png")
    inside.unlink()
    inside.symlink_to(outside)
    dataset = opened(name, tree)
    assert inside not in {s.source for s in dataset.samples}
    assert "lies outside the data folder (read with --allow-outside)" in {d.reason for d in dataset.dropped}
    assert inside in {s.source for s in opened(name, tree, allow_outside=True).samples}


def test_a_wrong_path_is_one_line_with_what_would_work(name, tmp_path):
    for path in (tmp_path / "nowhere", tmp_path):
        with pytest.raises(InputError) as caught:
            datasets.open(f"{name}:{path}")
        assert "\n" not in str(caught.value)
        assert "expected" in str(caught.value) or "no face is left: nothing was found" in str(caught.value)


def test_min_faces_leaves_nothing_in_one_line(name, tree):
    with pytest.raises(InputError, match="no face is left: ") as caught:
        opened(name, tree, min_faces=1000)
    assert "fewer than 1000 faces" in str(caught.value)
    assert os.linesep not in str(caught.value)


@pytest.mark.parametrize("name", [name for name in DATASETS if not DATASETS[name].layout])
def test_drawn_sets_open_by_name_alone(name):
    dataset = datasets.open(name)
    sample = dataset.samples[0]
    image = sample.load()
    assert image.dtype == np.uint8
    assert image.shape[2] == 3
    assert sample.expression in labels.EXPRESSIONS
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(sample)).load(), image)
    with pytest.raises(InputError, match=f"data '{name}:x': '{name}' takes no path"):
        datasets.open(f"{name}:x")
