from PIL import Image

from xfer.datasets import Dataset, FaceSample
from xfer.datasets.duplicates import duplicates


def test_the_same_pixels_under_other_names_and_formats(tmp_path, picture):
    a = picture(tmp_path / "a.png", 50)
    Image.open(a).save(tmp_path / "b.bmp")
    picture(tmp_path / "c.png", 51)
    picture(tmp_path / "d.png", 50, side=21)
    (tmp_path / "e.png").touch()
    (tmp_path / "f.png").touch()
    splits = {"a.png": "train", "b.bmp": "test"}
    samples = [
        FaceSample(p.name, p, "fear" if p.name != "b.bmp" else "anger", split=splits.get(p.name, "train"))
        for p in sorted(tmp_path.iterdir())
    ]
    (found,) = duplicates(Dataset("x", samples))
    assert [f.id for f in found.faces] == ["a.png", "b.bmp"]
    assert found.splits == ("test", "train")
    assert found.expressions == ("anger", "fear")


def test_the_same_bytes_in_another_shape_are_another_picture(tmp_path):
    Image.new("RGB", (16, 20), "red").save(tmp_path / "a.png")
    Image.new("RGB", (20, 16), "red").save(tmp_path / "b.png")
    assert duplicates(Dataset("x", [FaceSample(p.name, p) for p in tmp_path.iterdir()])) == []
