"""A study of faces in shards of a store: the bytes of one of files here, and what a picture that changes does to it."""

import json
import tarfile
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from PIL import Image

import xfer
from xfer import datasets, training
from xfer.datasets import objects
from xfer.errors import InputError
from xfer.study import Study

SHARDS = "f-{0..1}.tar"


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn faces as PNGs by expression, and with their landmarks in two shards."""
    root = tmp_path_factory.mktemp("faces")
    drawn = datasets.open("synthetic", faces=72, size=64, seed=1)
    for n in range(2):
        with tarfile.open(root / f"f-{n}.tar", "w") as tar:
            for sample in drawn.samples[36 * n : 36 * n + 36]:
                name = f"{sample.expression}/{sample.id}"
                (root / "tree" / name).parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(sample.load()).save(root / "tree" / name)
                told = {"expression": sample.expression, "subject": sample.subject}
                record = json.dumps(told | {"landmarks": np.asarray(sample.landmarks).tolist()}).encode()
                member = tarfile.TarInfo(name.replace(".png", ".json"))
                member.size = len(record)
                tar.addfile(member, BytesIO(record))
                tar.add(root / "tree" / name, name)
    return root


@pytest.fixture
def store(here: Path) -> Iterator[Any]:
    store = fsspec.filesystem("memory")
    for path in here.glob("*.tar"):
        store.pipe(f"/faces/{path.name}", path.read_bytes())
    yield store
    store.rm("/faces", recursive=True)


def compare(data: str, out: Path, progress: Callable[..., Any] = lambda what, steps: lambda: None) -> Study:
    settings = {"epochs": 1, "size": 64, "precision": "32"}
    options: dict[str, Any] = {"draws": 0, "randomised": 0, "workers": 1, "min_faces": 1, "metrics": "iou"}
    more: dict[str, Any] = {"training": settings, "pretrained": "no", "explainers": "grad_cam", "progress": progress}
    return xfer.compare("songnet_bn", data=data, out=out, faces="none", **options, **more)


def test_pictures_from_shards_are_those_of_files(here: Path, store: Any, tmp_path: Path) -> None:
    read = {}
    for data in (f"folder:{here}/tree", f"webdataset:{here}/{SHARDS}", f"webdataset:memory://faces/{SHARDS}"):
        dataset = datasets.open(data)
        for in_memory in (0, 10**9):
            pixels = training.read(dataset, 32, in_memory=in_memory, scratch=tmp_path)
            order = np.argsort([sample.id for sample in dataset.samples])
            read[data, in_memory] = pixels.images(order)
            assert (pixels._store._memory is None) == (in_memory == 0)
    first, *others = read.values()
    assert len(first) == 72
    assert all(other.equal(first) for other in others)


@pytest.mark.store
@pytest.mark.usefixtures("no_page")
def test_a_study_of_a_store_is_that_of_files_and_a_changed_picture_stops_it(
    here: Path, store: Any, tmp_path: Path
) -> None:
    local = compare(f"webdataset:{here}/{SHARDS}", tmp_path / "local")
    shard = store.cat("/faces/f-1.tar")

    def change(what: str, steps: int) -> Callable[[], None]:
        if what == "reading faces":
            altered = bytearray(shard)
            altered[shard.index(b"IDAT") + 20] ^= 1
            store.pipe("/faces/f-1.tar", bytes(altered))
            objects._handle.cache_clear()  # the shard that is open goes on as it was
        return lambda: None

    url, out = f"webdataset:memory://faces/{SHARDS}", tmp_path / "stored"
    with pytest.raises(InputError, match=r"^memory://faces/f-1.tar: has changed since the data were listed \(digest"):
        compare(url, out, change)
    assert not list(out.glob("shards/*"))
    store.rm("/faces/f-1.tar")
    with pytest.raises(InputError, match=r"^memory://faces/f-1.tar: no such file; expected tar shards"):
        compare(url, out)
    store.pipe("/faces/f-1.tar", shard)
    stored = compare(url, out)
    for file in ["scores.csv", *(path.relative_to(local.folder) for path in local.folder.glob("heatmaps.zarr/**/*"))]:
        if (local.folder / file).is_file():
            assert (stored.folder / file).read_bytes() == (local.folder / file).read_bytes(), file
    assert stored.config == local.config
