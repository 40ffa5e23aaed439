"""URLs of a store: the same faces as from files here, what changes or goes, and every failure in one line."""

from pathlib import Path

import fsspec
import numpy as np
import pandas as pd
import pytest

from xfer import datasets, landmarking
from xfer.datasets import objects
from xfer.errors import InputError
from xfer.study import faces


@pytest.fixture
def box(tmp_path, png, tar, table):
    """The same faces in four layouts, here and in the store of this process's memory: (folder, URL)."""
    here = tmp_path / "box"
    for split in ("train", "test"):
        for i, label in enumerate(("angry", "happy")):
            (here / "tree" / split / label).mkdir(parents=True)
            for j in range(3):
                (here / "tree" / split / label / f"{10 * i + j}.png").write_bytes(
                    png(100 * (split == "test") + 10 * i + j)
                )
    files = sorted((here / "tree").rglob("*.png"))
    rows = [f"{file.relative_to(here / 'tree').as_posix()},{file.parent.name}" for file in files]
    (here / "tree" / "faces.csv").write_text("\n".join(["file,expression", *rows, "gone.png,fear"]))
    (here / "tree" / ".hidden.png").write_bytes(png(1))
    for n, part in enumerate((files[:5], files[5:])):
        members = [(f"{f.parent.parent.name}-{f.name}", f.read_bytes()) for f in part]
        labels = [(Path(name).stem + ".cls", f.parent.name) for (name, _), f in zip(members, part, strict=True)]
        tar(here / f"f-{n}.tar", *sorted(members + labels, key=lambda member: member[0]))
    pictures = [{"bytes": f.read_bytes(), "path": f.name} for f in files]
    table(here / "f.parquet", image=pictures, label=[f.parent.name for f in files])
    store = fsspec.filesystem("memory")
    store.put(str(here), "/box", recursive=True)
    yield here, "memory://box"
    store.rm("/box", recursive=True)


LAYOUTS = ("folder:{}/tree", "csv:{}/tree/faces.csv", "webdataset:{}/f-{{0..1}}.tar", "webdataset:{}", "parquet:{}")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_store_gives_what_a_folder_gives(box, layout):
    here, stored = (datasets.open(layout.format(place)) for place in box)
    assert stored.samples == here.samples
    assert stored.summary() == here.summary()
    assert len(stored) == 12
    for (_, ours), (_, theirs) in zip(here.faces(1), stored.faces(3), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    if not layout.startswith("parquet"):  # where a row group's bytes stand for a picture's
        assert faces.facts(stored) == faces.facts(here)


def test_the_digest_is_that_of_the_pictures_wherever_they_stand(box, tmp_path, tar):
    tree = datasets.open(f"folder:{box[0]}/tree")
    members = [(s.id, s.source.read_bytes()) for s in tree.samples]
    labels = [
        (s.id.replace(".png", ".json"), f'{{"label": "{s.expression}", "split": "{s.split}"}}') for s in tree.samples
    ]
    shard = datasets.open(f"webdataset:{tar(tmp_path / 'tree.tar', *members, *labels)}")
    assert faces.facts(shard)["digest"] == faces.facts(tree)["digest"]
    fsspec.filesystem("memory").pipe("/box/tree/test/angry/0.png", b"longer than it was" * 100)
    assert faces.facts(datasets.open("folder:memory://box/tree"))["digest"] != faces.facts(tree)["digest"]


def test_a_table_in_a_store_may_name_its_pictures_by_url(box):
    store, url = fsspec.filesystem("memory"), box[1]
    whole = datasets.open(f"csv:{url}/tree/faces.csv")
    rows = [f"{url}/tree/{face.id},{face.expression}" for face in whole.samples]
    store.pipe("/box/tree/urls.csv", "\n".join(["file,expression", *rows]).encode())
    assert datasets.open(f"csv:{url}/tree/urls.csv").samples == whole.samples


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_object_that_changes_or_goes_during_the_run_is_named(box, layout):
    url, store = box[1], fsspec.filesystem("memory")
    dataset = datasets.open(layout.format(url))
    for path in store.find("/box"):
        store.pipe(path, store.cat(path) + b"x")
    with pytest.raises(
        InputError, match=r"^memory://box/\S+: has changed since the data were listed \(digest mismatch\)"
    ):
        list(dataset.faces())
    for path in store.find("/box"):
        store.rm(path)
    with pytest.raises(InputError, match=r"^memory://box/\S+: no such object, folder or bucket$"):
        list(dataset.faces())
    store.pipe("/box/x", b"")


def test_another_picture_of_the_same_size_is_found_by_its_digest(box, png):
    dataset = datasets.open(f"folder:{box[1]}/tree")
    one = dataset.samples[0]
    sha256 = landmarking._contents(one)[0]
    assert sha256 == landmarking._contents(datasets.open(f"folder:{box[0]}/tree").samples[0])[0]
    kept = datasets.FaceSample(one.id, one.source, sha256=sha256)
    kept.load()
    fsspec.filesystem("memory").pipe("/box/tree/" + one.id, png(250))
    told = f"{one.id}: has changed during the run (digest mismatch: SHA-256 {sha256[:12]} became "
    with pytest.raises(InputError) as caught:
        kept.load()
    assert str(caught.value).startswith(told)
    here = box[0] / "tree" / one.id
    local = datasets.FaceSample(one.id, here, sha256=sha256)
    local.load()
    here.write_bytes(png(250))
    with pytest.raises(InputError) as caught:
        local.load()
    assert str(caught.value).startswith(told)


def test_cells_of_a_stored_table_stay_below_it(box):
    cells = (
        "../f.parquet",
        "/box/tree/train/angry/0.png",
        "memory://box/f.parquet",
        "train/../train/angry/0.png",
    )
    fsspec.filesystem("memory").pipe(
        "/box/tree/t.csv", "\n".join(["file,expression", *(f"{c},fear" for c in cells)]).encode()
    )
    dataset = datasets.open(f"csv:{box[1]}/tree/t.csv")
    assert [s.id for s in dataset.samples] == ["train/angry/0.png"]
    assert dataset.dropped == tuple((cell, "lies outside the table's folder") for cell in cells[:3])


def test_large_objects_are_not_fetched(box, monkeypatch):
    monkeypatch.setattr("xfer.datasets.stored.MAX_BYTES", 50)
    for layout in LAYOUTS[:2]:
        with pytest.raises(InputError, match=r"no face is left: .* left out: is larger than 0 MB"):
            datasets.open(layout.format(box[1]))


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("csv:memory://box/no.csv", "memory://box/no.csv: no such object, folder or bucket"),
        ("folder:memory://nobox", "memory://nobox: no such folder, or nothing is in it"),
        ("webdataset:memory://nobox/f.tar", "memory://nobox/f.tar: no such object, folder or bucket"),
        ("webdataset:memory://nobox/f-*.tar", "memory://nobox: no such folder, or nothing is in it"),
        ("parquet:memory://box/tree", "memory://box/tree: holds no *.parquet; expected parquet files"),
        ("folder:s3://", "s3://: names no bucket; give s3://BUCKET/..."),
        ("webdataset:memory://box/f-{9..1}.tar", "{9..1}: counts down; write the smaller number first"),
        ("csv:ftp://box/l.csv", "'store' must be one of file, gs, memory, s3; got 'ftp'"),
        ("csv:s4://box/l.csv", "'store' must be one of file, gs, memory, s3; got 's4'"),
        ("csv:zip::memory://box/l.csv", "'store' must be one of file, gs, memory, s3; got 'zip::memory'"),
        ("memory://box/l.csv", "data 'memory://box/l.csv': say what it is, as in csv:memory://box/l.csv"),
        ("kdef:memory://box", "data 'kdef:memory://box': 'kdef' is read from a folder here; by URL there is csv,"),
        ("csv:file:///no/where.csv", "/no/where.csv: no such file or folder; expected a csv file"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_one_line(box, data, told):
    with pytest.raises(InputError) as caught:
        datasets.open(data)
    assert str(caught.value).startswith(told)
    assert "\n" not in str(caught.value)


class NoCredentialsError(Exception):
    """As botocore names it."""


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (
            NoCredentialsError("Unable"),
            "no credentials for the store (Unable); log in, or set AWS_PROFILE or AWS_ACCESS_KEY_ID",
        ),
        (
            PermissionError("The provided token has expired."),
            "the credentials have expired (The provided token has expired.); log in again",
        ),
        (PermissionError("Access Denied"), "may not be read (Access Denied)"),
        (FileNotFoundError("x"), "no such object, folder or bucket"),
        (OSError("the line\nbroke"), "cannot be read (the line)"),
        (OSError(22, "Bad Request"), "cannot be read ([Errno 22] Bad Request; expired credentials are answered so)"),
        (TimeoutError(), "cannot be read (TimeoutError)"),
    ],
)  # fmt: skip
def test_what_a_store_says_is_one_line(box, monkeypatch, error, told):
    dataset = datasets.open(f"folder:{box[1]}/tree")

    def fail(*args, **options):
        raise error

    monkeypatch.setattr(type(fsspec.filesystem("memory")), "cat_file", fail)
    with pytest.raises(InputError) as caught:
        list(dataset.faces())
    assert str(caught.value) == f"memory://box/tree/{dataset.samples[0].id}: {told}"


@pytest.mark.parametrize(("scheme", "package"), [("s3", "'xfer-kit[s3]'"), ("gs", "gcsfs")])
def test_what_to_install_is_told(monkeypatch, scheme, package):
    def fail(*args, **options):
        raise ImportError("no such module")

    objects._filesystem.cache_clear()
    monkeypatch.setattr(fsspec, "filesystem", fail)
    with pytest.raises(InputError) as caught:
        datasets.open(f"csv:{scheme}://bucket/l.csv")
    assert str(caught.value) == f"{scheme}://bucket: {scheme}:// is not installed; pip install {package}"


def test_published_landmarks_need_no_decoding_in_a_store_either(tmp_path, tar, png, monkeypatch):
    points = str([[5.0 + i % 9, 4.0 + i % 7] for i in range(68)])
    file = tar(
        tmp_path / "f.tar", ("a.png", png(1)), ("a.json", f'{{"label": "fear", "landmarks": {points}}}'),
        ("b.png", b""), ("b.json", f'{{"label": "fear", "landmarks": {points}}}'),
    )  # fmt: skip
    dataset = datasets.open(f"webdataset:{file}")
    monkeypatch.setattr("xfer.datasets.images._upright", None)
    table = landmarking.published(dataset)
    assert table["sha256"][0] == landmarking._contents(dataset.samples[0])[0]
    assert table[["width", "height"]].to_numpy().tolist() == [[20, 20], [0, 0]]
    assert table["reason"][1] == "is an empty file"


def test_a_table_of_landmarks_knows_stored_faces_by_name(box, tmp_path):
    dataset = datasets.open(f"folder:{box[1]}/tree")
    names = [sample.id for sample in dataset.samples]
    columns = {f"{axis}{i}": [4.0 + i % (7 + (axis == "x"))] * len(names) for i in range(68) for axis in "xy"}
    pd.DataFrame({"file": names, **columns}).drop(index=3).to_parquet(tmp_path / "points.parquet")
    found = landmarking.landmark(dataset, f"points:{tmp_path / 'points.parquet'}")
    assert found["reason"].tolist() == ["not in the table of landmarks" if i == 3 else "" for i in range(len(names))]
    assert "no file beside which landmarks could lie" in landmarking.landmark(dataset.take([0]), "points")["reason"][0]
