import re
from pathlib import Path

import numpy as np
import pytest

from xfer import datasets
from xfer.datasets.fer2013 import VOTES, majority
from xfer.errors import InputError

NAMES = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
HEAD = "Usage,Image name,neutral,happiness,surprise,sadness,anger,disgust,fear,contempt,unknown,NF\n"


def pixels(i: int) -> np.ndarray:
    return (np.arange(48 * 48).reshape(48, 48) + i) % 256


def text(i: int) -> str:
    return " ".join(map(str, pixels(i).ravel()))


def write(path: Path, rows: int = 7, head: str = "emotion,pixels,Usage") -> None:
    usages = ("Training", "PublicTest", "PrivateTest")
    lines = [{"emotion": str(i % 7), "pixels": text(i), "Usage": usages[i % 3]} for i in range(rows)]
    columns = head.split(",")
    path.write_text("\n".join([head, *(",".join(line[c.strip()] for c in columns) for line in lines)]) + "\n")


@pytest.mark.parametrize("head", ["emotion,pixels,Usage", "emotion, Usage, pixels"])
def test_csv_in_both_orders_of_columns(tmp_path, head):
    write(tmp_path / "fer2013.csv", head=head)
    dataset = datasets.open(f"fer2013:{tmp_path}")
    assert [s.expression for s in dataset.samples] == list(NAMES)
    assert [s.split for s in dataset.samples][:3] == ["train", "validation", "test"]
    assert [s.id for s in dataset.samples][:2] == ["fer0000000", "fer0000001"]
    for i, (_, image) in enumerate(dataset.faces(2)):
        np.testing.assert_array_equal(image, np.repeat(pixels(i)[..., None], 3, axis=-1))


def test_the_file_itself_and_windows_lines_and_quotes(tmp_path):
    write(tmp_path / "mine.csv", 2, head="emotion,pixels")
    quoted = re.sub(r"(?m)^(\d),(.*)$", r'"\1","\2"', (tmp_path / "mine.csv").read_text())
    (tmp_path / "mine.csv").write_bytes(b"\xef\xbb\xbf" + quoted.replace("\n", "\r\n").encode())
    dataset = datasets.open(f"fer2013:{tmp_path / 'mine.csv'}")
    assert [(s.expression, s.split) for s in dataset.samples] == [("anger", ""), ("disgust", "")]
    np.testing.assert_array_equal(dataset.samples[1].load()[..., 0], pixels(1))


def test_rows_that_cannot_be_used(tmp_path):
    rows = [
        f"0,{text(0)},Training",
        f"9,{text(1)},Training",
        "3,1 2 3,Training",
        "4",
        "",
        f"5,{text(2)[:-3]}999,Training",
    ]
    rows += [f"6,{'x ' * 2304},Training"]
    (tmp_path / "fer2013.csv").write_text("emotion,pixels,Usage\n" + "\n".join(rows))
    dataset = datasets.open(f"fer2013:{tmp_path}")
    assert dataset.dropped == (
        ("fer0000001", "label '9' is none of its expressions"),
        ("fer0000003", "row has not 3 cells"),
    )
    told = "does not hold 48 x 48 numbers from 0 to 255"
    found = [(s.id, i if isinstance(i, str) else i.shape) for s, i in dataset.faces()]
    assert found == [
        ("fer0000000", (48, 48, 3)), ("fer0000002", told), ("fer0000005", told), ("fer0000006", told),
    ]  # fmt: skip


def test_folders(tmp_path, picture):
    for folder in ("train/angry", "train/happy", "test/surprise", "test/neutral"):
        picture(tmp_path / folder / "Training_1.jpg", side=48)
    dataset = datasets.open(f"fer2013:{tmp_path}")
    assert {(s.split, s.expression) for s in dataset.samples} == {
        ("train", "anger"), ("train", "happiness"), ("test", "surprise"), ("test", "neutral"),
    }  # fmt: skip


def test_no_fer2013(tmp_path):
    with pytest.raises(
        InputError, match=re.escape(f"{tmp_path}/x: no such file or folder; expected fer2013.csv (emotion")
    ):
        datasets.open(f"fer2013:{tmp_path}/x")
    (tmp_path / "a.csv").write_text("label,pixels\n")
    with pytest.raises(
        InputError, match=re.escape(f"{tmp_path}/a.csv: has no column 'emotion'; there is label, pixels")
    ):
        datasets.open(f"fer2013:{tmp_path}/a.csv")


@pytest.mark.parametrize(
    ("votes", "label"),
    [
        # neutral happiness surprise sadness anger disgust fear contempt unknown NF; the published file's first rows
        ("4 0 0 1 3 2 0 0 0 0", "no expression has a majority of the votes"),
        ("6 0 1 1 0 0 0 0 2 0", "neutral"),
        ("5 0 0 3 1 0 0 0 1 0", "neutral"),
        ("4 0 0 4 1 0 0 0 1 0", "no expression has a majority of the votes"),
        ("2 0 0 8 0 0 0 0 0 0", "sadness"),
        ("0 0 6 0 0 0 4 0 0 0", "surprise"),
        ("0 0 0 0 0 0 0 6 4 0", "contempt"),
        ("1 1 1 1 1 1 1 1 1 1", "no expression has a majority of the votes"),
        ("0 0 0 0 0 0 0 0 10 0", "voted unknown"),
        ("0 0 0 0 0 0 0 0 0 10", "voted not a face"),
    ],
)
def test_majority(votes, label):
    assert majority(dict(zip(VOTES, votes.split(), strict=True))) == label


def test_ferplus_labels_the_rows_of_fer2013(tmp_path):
    write(tmp_path / "fer2013.csv", 3)
    rows = "Training,fer0000000.png,6,0,1,1,0,0,0,0,2,0\nPublicTest,fer0000001.png,0,0,0,0,0,0,0,9,1,0\n"
    rows += "PrivateTest,,0,0,0,0,0,0,0,0,0,10\n"
    (tmp_path / "fer2013new.csv").write_text(HEAD + rows)
    dataset = datasets.open(f"ferplus:{tmp_path}")
    assert [(s.id, s.expression, s.split) for s in dataset.samples] == [
        ("fer0000000", "neutral", "train"), ("fer0000001", "contempt", "validation"),
    ]  # fmt: skip
    assert dataset.dropped == (("fer0000002", "voted not a face"),)
    assert dataset.samples[0].extra["votes_unknown"] == "2"
    np.testing.assert_array_equal(dataset.samples[1].load()[..., 2], pixels(1))
    (tmp_path / "fer2013new.csv").write_text(HEAD + rows.split("\n")[0])
    with pytest.raises(InputError, match="has 1 faces and the pixels 3; they belong together row by row"):
        datasets.open(f"ferplus:{tmp_path}")


def test_ferplus_with_pictures(tmp_path, picture):
    picture(tmp_path / "images" / "FER2013Train" / "fer0000000.png")
    picture(tmp_path / "FER2013Test" / "fer0000002.png")
    rows = "Training,fer0000000.png,9,0,0,0,0,0,0,0,0,0\nTraining,fer0000001.png,9,0,0,0,0,0,0,0,0,0\n"
    rows += "PrivateTest,fer0000002.png,0,0,0,0,0,9,0,0,0,0\nTraining,../secret.png,9,0,0,0,0,0,0,0,0,0\n"
    rows += "Training,../../secret.png,9,0,0,0,0,0,0,0,0,0\n"
    (tmp_path / "fer2013new.csv").write_text(HEAD + rows)
    dataset = datasets.open(f"ferplus:{tmp_path}")
    assert [(s.expression, s.split) for s in dataset.samples] == [("neutral", "train"), ("disgust", "test")]
    assert dataset.dropped == (
        ("fer0000001.png", "no such file"),
        ("../secret.png", "no such file"),
        ("../../secret.png", "lies outside the data folder (read with --allow-outside)"),
    )


def test_ferplus_without_votes(tmp_path):
    with pytest.raises(InputError, match=re.escape(f"{tmp_path}/fer2013new.csv: no such file; expected a folder with")):
        datasets.open(f"ferplus:{tmp_path}")
