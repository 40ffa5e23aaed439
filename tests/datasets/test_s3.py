"""S3 itself, or nearly: moto's server on 127.0.0.1 holds the faces, changes them, and refuses."""

from pathlib import Path

import numpy as np
import pytest

from xfer import cli, datasets
from xfer.datasets import objects
from xfer.errors import InputError
from xfer.study import faces

pytestmark = pytest.mark.store

KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")


def forget():
    """Let the next call find its credentials anew, as another process would."""
    objects._filesystem.cache_clear()
    objects._handle.cache_clear()


@pytest.fixture
def box(s3, tmp_path, png, tar, table) -> Path:
    """Sixteen faces in four layouts, here and in the bucket."""
    here = tmp_path / "box"
    names = [f"{('anger', 'fear')[i % 2]}/{i:02d}.png" for i in range(16)]
    for i, name in enumerate(names):
        (here / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
        (here / "tree" / name).write_bytes(png(i))
    (here / "tree" / "faces.csv").write_text("\n".join(["file,expression", *(f"{n},{n.split('/')[0]}" for n in names)]))
    for n in range(4):
        part = range(4 * n, 4 * n + 4)
        members = [(f"{i:02d}.png", png(i)) for i in part] + [(f"{i:02d}.cls", names[i].split("/")[0]) for i in part]
        tar(here / f"f-{n:03d}.tar", *sorted(members))
    table(here / "f.parquet", group=5, image=[png(i) for i in range(16)], label=[n.split("/")[0] for n in names])
    for file in here.rglob("*.*"):
        s3.upload_file(str(file), "box", file.relative_to(here).as_posix())
    return here


LAYOUTS = ("folder:{}/tree", "csv:{}/tree/faces.csv", "webdataset:{}/f-{{000..003}}.tar", "parquet:{}/f.parquet")


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_bucket_gives_what_a_folder_gives(box, layout):
    here, stored = (datasets.open(layout.format(place)) for place in (box, "s3://box"))
    assert stored.samples == here.samples
    assert stored.summary() == here.summary()
    assert len(stored) == 16
    assert faces.facts(stored)["digest"] == faces.facts(here)["digest"]
    for (_, ours), (_, theirs) in zip(here.faces(1), stored.faces(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_changes_or_goes_during_the_run_is_named(s3, box, layout):
    dataset = datasets.open(layout.format("s3://box"))
    for file in box.rglob("*.*"):
        s3.put_object(Bucket="box", Key=file.relative_to(box).as_posix(), Body=file.read_bytes() + b"x")
    with pytest.raises(InputError, match=r"^s3://box/\S+: has changed since the data were listed \(digest mismatch\)"):
        list(dataset.faces())
    for file in box.rglob("*.*"):
        s3.delete_object(Bucket="box", Key=file.relative_to(box).as_posix())
    with pytest.raises(InputError, match=r"^s3://box/\S+: no such object, folder or bucket$"):
        list(dataset.faces())


def test_a_shard_that_changes_while_it_is_open_is_named(s3, box, tar, png, tmp_path, monkeypatch):
    monkeypatch.setattr(objects, "_BLOCK", 512)
    dataset = datasets.open("webdataset:s3://box/f-000.tar")
    dataset.samples[0].load()
    body = s3.get_object(Bucket="box", Key="f-000.tar")["Body"].read()
    s3.put_object(Bucket="box", Key="f-000.tar", Body=body[:-1] + b"x")
    with pytest.raises(InputError, match=r"^s3://box/f-000.tar: has changed since the data were listed"):
        list(dataset.faces(1))


def refused(capsys, data: str) -> str:
    """What the command line says, on one line, with exit code 2."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["compare", "--data", data, "--models", "songnet_bn"])
    told = capsys.readouterr().err
    assert ended.value.code == 2
    assert told.count("\n") == 1
    return told.removeprefix("xfer: ").strip()


def test_what_is_not_there(s3, capsys):
    assert refused(capsys, "csv:s3://box/l.csv") == "s3://box: no such folder, or nothing is in it"
    assert refused(capsys, "folder:s3://nobox/f") == "s3://nobox/f: no such object, folder or bucket"
    assert refused(capsys, "webdataset:s3://box/f.tar") == "s3://box/f.tar: no such object, folder or bucket"


def test_no_credentials(s3, box, capsys, monkeypatch):
    for name in KEYS:
        monkeypatch.delenv(name)
    forget()
    told = refused(capsys, "folder:s3://box/tree")
    assert told.startswith("s3://box/tree: no credentials for the store (Unable to locate credentials); log in, or set")


def test_wrong_keys_and_no_permission(s3, box, address, capsys, monkeypatch):
    import boto3
    from moto.core import responses

    iam = boto3.client("iam")
    iam.create_user(UserName="reader")
    key = iam.create_access_key(UserName="reader")["AccessKey"]
    monkeypatch.setattr(responses.settings, "INITIAL_NO_AUTH_ACTION_COUNT", 0.0)
    forget()
    assert refused(capsys, "folder:s3://box/tree").startswith("s3://box/tree: may not be read (The AWS Access Key Id")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    forget()
    assert refused(capsys, "folder:s3://box/tree") == "s3://box/tree: may not be read (Access Denied)"


def test_nobody_answers(s3, capsys, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    forget()
    assert refused(capsys, "folder:s3://box/tree").startswith("s3://box/tree: cannot be read (Could not connect")
