"""Studies on S3 itself, or nearly: what a machine loses, two of them at once, what the store refuses, and readers."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

import xfer
from xfer import cli
from xfer.datasets import objects
from xfer.errors import InputError
from xfer.study import Study, lease
from xfer.study.claiming import claim
from xfer.study.lease import Lease
from xfer.study.places import reading, writing
from xfer.study.running import running

pytestmark = [pytest.mark.store, pytest.mark.usefixtures("no_page")]

URL = "s3://box/deep/study"
OPTIONS: dict[str, Any] = {
    "models": "songnet_bn,songnet",
    "drawn": 60,
    "pretrained": "no",
    "metrics": "iou",
    "draws": 0,
    "randomised": 0,
    "workers": 1,
    "training": {"epochs": 2, "size": 48, "precision": "32"},
}
KILLED = f"""
import os, sys, time
import torch, xfer
from xfer.datasets import objects
from xfer.study import claiming
torch.set_num_threads(1)
claiming.EVERY = 0.1
trained = []

def progress(stage, steps):
    if stage.endswith(": training"):
        trained.append(stage)
    left = [steps]

    def tick():
        left[0] -= 1
        if len(trained) == 2 and left[0] == steps // 4:  # in the second epoch of the second network
            at, root = objects.at({URL!r})
            name = stage.removesuffix(": training")
            while not at.exists(f"{{root}}/checkpoints/{{name}}.ckpt"):
                time.sleep(0.05)
            os.kill(os.getpid(), 9)

    return tick

xfer.compare(**{OPTIONS!r}, out={URL!r}, progress=progress)
"""


def objects_of(s3: Any) -> dict[str, bytes]:
    found = {}
    for each in s3.get_paginator("list_objects_v2").paginate(Bucket="box", Prefix="deep/study/").search("Contents"):
        found[each["Key"].removeprefix("deep/study/")] = s3.get_object(Bucket="box", Key=each["Key"])["Body"].read()
    return found


def recorded(stages: dict[str, int]) -> Any:
    """A progress that writes stages and their steps down."""

    def progress(stage: str, steps: int) -> Any:
        stages[stage] = steps
        return lambda: None

    return progress


def test_a_run_that_is_killed_is_continued_by_another_machine_to_the_same_bytes(s3, machine, tmp_path, monkeypatch):
    monkeypatch.setattr(lease, "SILENT", 6)
    whole: dict[str, int] = {}
    local = xfer.compare(**OPTIONS, out=tmp_path / "local", progress=recorded(whole))
    killed = subprocess.run([sys.executable, "-c", KILLED], env=dict(os.environ), capture_output=True, text=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    machine("reader")
    told = running(URL).networks.set_index("stage")
    assert told.loc["explained", "epoch"] == 2
    assert told.loc["training", "epoch"] == 1
    expected = rf"^{URL}: is unfinished \(scores.parquet is missing; of 2 networks and folds 1 explained: .*; pr"
    with pytest.raises(InputError, match=expected):
        _ = Study.open(URL).scores
    machine("second")
    stages: dict[str, int] = {}
    stored = xfer.compare(**OPTIONS, out=URL, progress=recorded(stages))
    assert next(iter(stages)).startswith("waiting for process ")
    first, second = (f"{told.loc[stage, 'model']}-f0: training" for stage in ("explained", "training"))
    assert first not in stages
    assert stages[second] == whole[second] / 2
    there = objects_of(s3)
    files = [path.relative_to(local.folder).as_posix() for path in local.folder.rglob("*") if path.is_file()]
    same = [name for name in files if name.startswith(("shards/", "heatmaps.zarr/")) or name.endswith(".safetensors")]
    assert len(same) > 30
    for name in [*same, "scores.csv", "scores.parquet", "masks.npz", "study.toml"]:
        assert there[name] == (local.folder / name).read_bytes(), name
    assert there["report.html"] == stored.name.encode()
    assert [name for name in there if name.startswith(".")] == [".lease/000002"]
    assert not [name for name in there if name.endswith((".tmp", ".ckpt", ".best.safetensors"))]
    assert stored.place == URL
    machine("reader")
    assert Study.open(URL).scores.equals(local.scores)
    assert running(URL).finished


CONFIG: dict[str, Any] = {"format": 1, "kind": "models"}


def work(act: Any = lambda home: None, config: dict[str, Any] = CONFIG, **options: Any) -> None:
    """A run that does something and goes on for long."""
    home = writing(URL)
    with claim(home, config, **options):
        if act(home) is not None:
            time.sleep(20)


def test_conditional_writes_are_s3s_own(s3, machine, tmp_path):
    (tmp_path / "file").write_bytes(b"file")
    assert objects.create(f"{URL}/one", b"first")
    assert not objects.create(f"{URL}/one", b"second")
    assert not objects.create(f"{URL}/one", tmp_path / "file")
    assert objects.create(f"{URL}/two", tmp_path / "file")
    assert objects_of(s3) == {"one": b"first", "two": b"file"}
    assert Lease.take(URL, "").number == 1
    assert Lease.take(URL, lease.newest(URL).holder).number == 2


def test_versions_are_those_of_the_listing_and_folders_are_brought_whole(s3, machine):
    def act(home: Path) -> None:
        for name in ("heatmaps.zarr/.zgroup", "heatmaps.zarr/heatmaps/0.0.0", "shards/0a.npz", "scores.csv"):
            (home / name).parent.mkdir(parents=True, exist_ok=True)
            (home / name).write_text("old")

    def renew(home: Path) -> None:
        assert (home / "heatmaps.zarr/heatmaps/0.0.0").read_text() == "old"
        (home / "heatmaps.zarr/heatmaps/0.0.0").rename(home / "heatmaps.zarr/heatmaps/1.0.0")

    work(act)
    machine("second")
    work(renew)
    there = objects_of(s3)
    assert sorted(there) == [
        ".lease/000002", "heatmaps.zarr/.zgroup", "heatmaps.zarr/heatmaps/1.0.0", "scores.csv", "shards/0a.npz",
        "study.toml",
    ]  # fmt: skip
    machine("reader")
    home = reading(URL)
    assert (home / "heatmaps.zarr/heatmaps/1.0.0").read_text() == "old"
    assert not (home / "shards").exists()
    machine("second")
    work(config={**CONFIG, "kind": "twins"}, fresh=True)
    assert sorted(objects_of(s3)) == [".lease/000003", "study.toml"]
    old = s3.list_objects_v2(Bucket="box", Prefix="deep/study.old-1/")["Contents"]
    assert len(old) == len(there) - 1


def test_no_bucket(s3, machine, capsys):
    with pytest.raises(InputError, match=r"^s3://nobox/study: no such object, folder or bucket$"):
        writing("s3://nobox/study")
    with pytest.raises(SystemExit) as ended:
        cli.main(["report", "s3://nobox/study"])
    assert (ended.value.code, capsys.readouterr().err) == (
        2, "xfer: s3://nobox/study: no such object, folder or bucket\n",
    )  # fmt: skip
    with pytest.raises(SystemExit):
        cli.main(["report", "s3://box/study"])
    assert capsys.readouterr().err.startswith("xfer: s3://box/study: is not a study folder (no study.toml)")


def test_no_permission_to_write_and_credentials_that_go(s3, machine, monkeypatch):
    import boto3
    from moto.core import responses

    iam = boto3.client("iam")
    iam.create_user(UserName="reader")
    allowed = {"Effect": "Allow", "Action": ["s3:ListBucket", "s3:GetObject"], "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    iam.put_user_policy(UserName="reader", PolicyName="reads", PolicyDocument=policy)
    key = iam.create_access_key(UserName="reader")["AccessKey"]

    def act(home: Path) -> bool:
        (home / "scores.csv").write_text("not brought")
        monkeypatch.setattr(responses.settings, "INITIAL_NO_AUTH_ACTION_COUNT", 0.0)
        return True

    with pytest.raises(InputError, match=rf"^{URL}: may not be written \(The AWS Access Key Id you provided d"):
        work(act)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", key["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", key["SecretAccessKey"])
    objects._filesystem.cache_clear()
    with pytest.raises(InputError, match=rf"^{URL}: may not be written \(Access Denied\)$"):
        work()
    machine("reader")
    assert (reading(URL) / "study.toml").is_file()
    monkeypatch.setattr(responses.settings, "INITIAL_NO_AUTH_ACTION_COUNT", float("inf"))
    machine("first")
    work()
    assert objects_of(s3)["scores.csv"] == b"not brought"
