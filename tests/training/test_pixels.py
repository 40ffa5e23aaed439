"""Faces decoded once: what is read, at what size, from memory or from the scratch file."""

import errno
import gc
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from xfer import datasets, training
from xfer.datasets import Dataset, FaceSample
from xfer.errors import InputError
from xfer.training import pixels as pixels_module
from xfer.training import store


def test_pictures_labels_and_landmarks(faces: Dataset, pixels: training.Pixels) -> None:
    images = pixels.images([5, 0])
    for image, sample in zip(images, (faces.samples[5], faces.samples[0]), strict=True):
        np.testing.assert_array_equal(image.numpy().transpose(1, 2, 0), sample.load())
    assert pixels.classes == faces.expressions
    assert [pixels.classes[i] for i in pixels.labels] == [s.expression for s in faces.samples]
    np.testing.assert_allclose(pixels.landmarks[3], faces.samples[3].landmarks, atol=1e-5)


def test_the_scratch_file_holds_the_same_and_leaves_nothing(
    faces: Dataset, pixels: training.Pixels, tmp_path: Path
) -> None:
    filed = training.read(faces, 32, scratch=tmp_path, in_memory=1000)
    assert list(tmp_path.iterdir()) == []
    chosen = [63, 0, 7, 7]
    assert filed.images(chosen).equal(pixels.images(chosen))
    np.testing.assert_array_equal(filed.landmarks, pixels.landmarks)
    assert filed._store._memory is None


def test_only_some(faces: Dataset, pixels: training.Pixels) -> None:
    some = training.read(faces, 32, only=[9, 4])
    assert some.images([9]).equal(pixels.images([9]))
    assert some.usable([4, 5, 9]).tolist() == [4, 9]
    with pytest.raises(KeyError, match="faces that were not read"):
        some.images([5])


def test_a_step_edge_shrinks_to_its_area() -> None:
    # 64 columns, white from column 16: at 16 px every cell covers 4 columns, the edge lies on a cell's border
    picture = np.zeros((64, 64, 3), np.uint8)
    picture[:, 16:] = 255
    small = pixels_module.shrink(picture, 16, np.array([0.0, 0, 64, 64]))
    assert small.shape == (3, 16, 16)
    assert small[:, :, :3].max() == 0
    assert small[:, :, 5:].min() == 255
    assert small.mean() == pytest.approx(255 * 0.75, abs=1)


def test_boxes_cut_pictures_and_move_landmarks() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (80, 100, 3)).astype(np.uint8)
    points = np.column_stack([np.linspace(20, 80, 68), np.linspace(10, 70, 68)])
    sample = FaceSample("a", lambda: picture, "anger", "a", landmarks=points)
    data = Dataset("one", (sample,))
    cut = training.read(data, 30, boxes=[[10, 20, 70, 80]])
    expected = np.asarray(Image.fromarray(picture[20:80, 10:70]).resize((30, 30), Image.Resampling.BILINEAR))
    found = cut.images([0])[0].numpy().transpose(1, 2, 0)
    # at the box's border a cell also weighs the pixels beyond it
    np.testing.assert_array_equal(found[1:-1, 1:-1], expected[1:-1, 1:-1])
    # the centre of the box's first pixel, (10, 20), is half a pixel of the old inside; cells are twice as large
    np.testing.assert_allclose(cut.landmarks[0], (points - [10, 20] + 0.5) / 2 - 0.5, atol=1e-5)


def test_damaged_pictures_are_dropped_with_their_reason(faces: Dataset, tmp_path: Path) -> None:
    (tmp_path / "empty.png").touch()
    samples = list(faces.samples[:4])
    samples[1] = replace(samples[1], source=tmp_path / "empty.png")
    read = training.read(replace(faces, samples=tuple(samples)), 32)
    assert [(d.id, d.reason) for d in read.dropped] == [(samples[1].id, "is an empty file")]
    assert read.usable(range(4)).tolist() == [0, 2, 3]
    with pytest.raises(InputError, match=r"^synthetic: no face can be decoded: is an empty file$"):
        training.read(replace(faces, samples=(samples[1],)), 32)


def test_no_room(faces: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store.shutil, "disk_usage", lambda place: type("Usage", (), {"free": 10_000})())
    with pytest.raises(InputError, match=r"64 faces of 32 px need 0.2 MB for the time of the run, the disk has 0.0 MB"):
        training.read(faces, 32, scratch=tmp_path, in_memory=0)


def test_hold_out_takes_whole_subjects_out_of_the_training_faces() -> None:
    data = datasets.open("synthetic", faces=300, size=32)
    published = replace(data, samples=tuple(replace(s, split="test") for s in data.samples))
    pool = range(50, 250)
    train, held = training.hold_out(published, pool, 0.2, 3)
    assert sorted([*train, *held]) == list(pool)
    assert len(held) == pytest.approx(40, abs=6)
    subjects = [{data.samples[i].subject for i in part} for part in (train, held)]
    assert not subjects[0] & subjects[1]
    assert [p.tolist() for p in training.hold_out(data, pool, 0.2, 3)] == [train.tolist(), held.tolist()]


def test_several_sizes_in_one_pass(faces: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = {size: training.read(faces, size, workers=1) for size in (24, 32)}
    decoded = []
    load = FaceSample.load
    monkeypatch.setattr(FaceSample, "load", lambda sample: decoded.append(sample.id) or load(sample))
    found = training.read_sizes(faces, [32, 24, 32])
    assert sorted(decoded) == [s.id for s in faces.samples]
    assert list(found) == [32, 24]
    for size, pixels in found.items():
        assert pixels.images(range(64)).equal(expected[size].images(range(64)))
        np.testing.assert_array_equal(pixels.landmarks, expected[size].landmarks)
        assert pixels.size == size
    assert found[24].ids is found[32].ids


def test_landmarks_from_outside(faces: Dataset) -> None:
    points = np.full((64, 68, 2), np.nan)
    points[7] = 16.0
    read = training.read(faces, 64, only=[3, 7], landmarks=points)
    np.testing.assert_array_equal(read.landmarks[1], np.full((68, 2), 32.5, np.float32))
    assert np.isnan(read.landmarks[0]).all()


class TestSharing:
    def test_another_process_reads_the_same_file(self, faces: Dataset, pixels: training.Pixels, tmp_path: Path) -> None:
        shared = training.read(faces, 32, scratch=tmp_path, shared=True)
        (file,) = tmp_path.iterdir()
        assert file.name.startswith(".pixels-")
        assert file.suffix == ".tmp"
        assert file.stat().st_size == 64 * (3 * 32**2 + 68 * 2 * 4)
        packed = pickle.dumps(shared)
        assert len(packed) < 64 * 100 + 5000
        (tmp_path / "packed").write_bytes(packed)
        script = (
            "import pickle, sys; pixels = pickle.load(open(sys.argv[1], 'rb'))\n"
            "found = pixels.images([63, 0, 7]).numpy(); points = pixels.landmarks[7]; pixels.close()\n"
            "sys.stdout.buffer.write(found.tobytes() + points.tobytes())"
        )
        command = [sys.executable, "-W", "ignore::ResourceWarning", "-c", script, str(tmp_path / "packed")]
        found = subprocess.run(command, check=True, capture_output=True).stdout
        assert found == pixels.images([63, 0, 7]).numpy().tobytes() + pixels.landmarks[7].tobytes()
        assert file.exists()
        assert shared.images([5]).equal(pixels.images([5]))
        shared.close()
        assert not file.exists()

    def test_the_file_goes_with_the_pixels(self, faces: Dataset, tmp_path: Path) -> None:
        shared = training.read(faces, 32, only=[0, 1], scratch=tmp_path, shared=True)
        assert len(list(tmp_path.iterdir())) == 1
        del shared
        gc.collect()
        assert list(tmp_path.iterdir()) == []

    def test_a_forked_process_opens_the_file_itself(
        self, faces: Dataset, pixels: training.Pixels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shared = training.read(faces, 32, scratch=tmp_path, shared=True)
        (file,) = tmp_path.iterdir()
        own = shared._store._open
        monkeypatch.setattr(store.os, "getpid", lambda: -1)
        assert shared.images([9]).equal(pixels.images([9]))
        assert shared._store._open != own
        shared.close()
        assert file.exists()

    def test_pictures_in_memory_travel_those_in_a_nameless_file_do_not(
        self, faces: Dataset, pixels: training.Pixels, tmp_path: Path
    ) -> None:
        assert pickle.loads(pickle.dumps(pixels)).images([4]).equal(pixels.images([4]))
        filed = training.read(faces, 32, only=[0], scratch=tmp_path, in_memory=0)
        with pytest.raises(TypeError, match=r"stay in their process; read them with shared=True"):
            pickle.dumps(filed)

    def test_nothing_is_left_of_a_reading_that_failed(self, faces: Dataset, tmp_path: Path) -> None:
        def stop() -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            training.read_sizes(faces, [32, 48], scratch=tmp_path, shared=True, tick=stop)
        assert list(tmp_path.iterdir()) == []

    def test_a_disk_that_is_full_in_the_middle(
        self, faces: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(self: store.Store, picture: np.ndarray, points: np.ndarray | None) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(store.Store, "add", full)
        with pytest.raises(OSError, match=r"No space left on device; the faces need 0\.2 MB for the time") as raised:
            training.read(faces, 32, scratch=tmp_path, shared=True)
        assert raised.value.filename == str(tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_a_folder_that_cannot_be_written(self, faces: Dataset, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"/gone: cannot be written \(No such file or directory\)$"):
            training.read(faces, 32, only=[0], scratch=tmp_path / "gone", shared=True)
