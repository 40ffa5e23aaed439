"""The page of an inspected data set: safe, offline, complete, and right about what it says."""

from dataclasses import replace

import lxml.html
import numpy as np
import pytest

from tests.test_inspection import POINTS, face, picture, recompressed
from xfer.datasets import Dataset, Dropped, FaceSample, ImageError
from xfer.inspection import Inspection, inspect
from xfer.report import faces, portraits
from xfer.report.page import policy

EVIL = "<script>alert('x')</script>"


def unreadable():
    raise ImageError("x", f"is damaged ({EVIL})")


@pytest.fixture(scope="module")
def inspection() -> Inspection:
    second = {0: "anger", 1: "happy", 2: "neutral", 3: "fear", 4: "happy", 5: "anger"}
    names = ["anger", "happiness", "neutral"]
    samples = [
        face(
            f"{EVIL}{i}.png", picture(i), names[i % 3], split="train" if i < 6 else "test", subject=f"p{i % 4}",
            extra={EVIL: second.get(i, "")},
        )
        for i in range(9)
    ]  # fmt: skip
    samples.append(face("copy.png", recompressed(picture(1)), "happiness", split="test", subject=EVIL))
    samples.append(FaceSample("broken.png", unreadable, "anger", subject="p1", split="train"))
    samples.append(face("unmarked.png", picture(77), "neutral", None, split="train"))
    data = Dataset(EVIL, tuple(samples), (Dropped("late.png", f"label {EVIL}"),), (f"a note {EVIL}",))
    return inspect(data, landmarker=None, workers=1)


@pytest.fixture(scope="module")
def html(inspection) -> str:
    return faces.build(inspection)


@pytest.fixture(scope="module")
def tree(html):
    return lxml.html.fromstring(html)


def text(tree, path: str = "//main") -> str:
    return " ".join(" ".join(part.itertext()) for part in tree.xpath(path))


def test_nothing_a_data_set_says_becomes_markup(html, tree):
    assert EVIL not in html
    assert html.count("<script") == 1
    assert tree.xpath("//iframe | //object | //embed | //form | //base") == []
    assert not any(name.startswith("on") for element in tree.iter() for name in element.attrib)
    assert EVIL in text(tree, "//h1")


def test_the_page_asks_nothing_of_any_network(tree):
    loads = tree.xpath("//@src | //link/@href | //@srcset | //@data | //@action | //@background | //@poster")
    assert loads
    assert all(load.startswith("data:") for load in loads)
    (said,) = tree.xpath("//meta[@http-equiv='Content-Security-Policy']/@content")
    assert said == policy(tree.xpath("string(//style)"), tree.xpath("string(//script)"))


def test_every_picture_has_words(tree):
    images = tree.xpath("//img")
    assert len(images) == 6
    assert all(len(image.get("alt")) > 20 for image in images)


def test_sections_stand_in_order(tree):
    assert tree.xpath("//main/section/h2/@id") == [
        "summary", "counts", "means", "contact-sheet", "copies", "annotators", "without-landmarks", "pictures",
        "left-out", "limits", "provenance",
    ]  # fmt: skip


def test_findings_come_gravest_first(inspection):
    leads = [lead for lead, _ in faces.findings(inspection)]
    assert leads[0] == "Photographs in two splits: 1."
    assert leads[1] == "Subjects in two splits: 3."
    assert leads[2].startswith("Two annotators: Cohen's kappa 0.54 [")
    assert leads[3] == "Few faces: anger 4, happiness 4, neutral 4."
    assert leads[4] == "Faces without landmarks: 2 of 12 (17%)."


def test_counts_stand_in_the_first_table(tree):
    rows = [[cell.text_content() for cell in row] for row in tree.xpath("//table[@id='table-1']//tr")]
    assert rows == [
        ["expression", "test", "train", "all faces", "subjects"],
        ["anger", "1", "3", "4", "4"],
        ["happiness", "2", "2", "4", "4"],
        ["neutral", "1", "3", "4", "4"],
        ["all", "4", "8", "12", "6"],
    ]


def test_people_on_the_page_are_spoken_for(tree):
    assert "This page shows people's faces" in text(tree, "//*[@class='note']")


def test_drawn_faces_are_called_drawn(inspection):
    said = lxml.html.fromstring(faces.build(replace(inspection, name="synthetic"))).text_content()
    assert "Faces and masks share an author: agreement between them tests the software, not FACS." in said
    assert "people's faces" not in said


def test_faces_without_landmarks_are_listed_with_their_reason(tree):
    listed = text(tree, "//section[h2/@id='without-landmarks']")
    assert "2 of 12 faces (17%) have no landmarks." in listed
    assert "broken.png" in listed
    assert f"is damaged ({EVIL})" in listed
    assert "landmarks were not looked for" in listed


def test_the_copy_is_listed_with_what_differs(tree):
    row = tree.xpath("//section[h2/@id='copies']//tbody/tr")
    assert len(row) == 1
    cells = [cell.text_content() for cell in row[0]]
    assert cells[:2] == [f"{EVIL}1.png", "copy.png"]
    assert cells[3:] == ["near", "splits, subjects"]


def test_annotators_counts_are_in_figure_and_table(tree):
    section = text(tree, "//section[h2/@id='annotators']")
    assert "On 6 faces with both labels the annotators agree on 67%." in section
    assert "Few faces have both labels" not in section


def test_a_plain_data_set_has_fewer_sections_and_no_finding():
    samples = [face(f"{i}", picture(i), "anger", subject=f"p{i // 2}") for i in range(30)]
    found = inspect(Dataset("plain", tuple(samples)), landmarker=None, workers=1)
    tree = lxml.html.fromstring(faces.build(found))
    assert faces.findings(found)[0][0] == "Nothing stands out."
    assert "annotators" not in tree.xpath("//main/section/h2/@id")
    assert "No photograph was found twice." in text(tree)
    assert "The data publish no split." in text(tree)
    assert "all 224 x 275" in text(tree)


def test_a_data_set_in_which_nothing_can_be_read_still_has_a_page():
    found = inspect(Dataset("broken", (FaceSample("a", unreadable, "anger", subject="a"),)), landmarker=None, workers=1)
    tree = lxml.html.fromstring(faces.build(found))
    assert "1 of 1 faces (100%) have no landmarks." in text(tree)
    assert "so there is no mean face" in text(tree)


def test_ids_that_are_not_text_do_not_stop_the_page():
    found = inspect(Dataset("d", (face("a", picture(0), subject="caf\udce9"),)), landmarker=None, workers=1)
    faces.build(found).encode("utf-8")


def test_differences_vanish_for_neutral_and_where_faces_agree(inspection):
    differ = portraits.differences(inspection.means, inspection.frame.support)
    order = inspection.means.coords["expression"].values.tolist()
    assert np.nanmax(differ[order.index("neutral")]) == 0
    assert np.isnan(differ[:, ~inspection.frame.support]).all()
    same = inspection.means.copy(data=np.stack([inspection.means.values[2]] * 3))
    assert np.nanmax(portraits.differences(same)) == 0
    assert portraits.differences(inspection.means.sel(expression=["anger"])) is None


def test_a_mean_face_may_lack_a_mask(inspection):
    masks = inspection.masks.sel(expression=["fear"])
    order = inspection.means.coords["expression"].values.tolist()
    fig = portraits.mean_faces(inspection.means, masks, dict(zip(order, (1, 2, 3), strict=True)))
    (sheet,) = fig.axes
    assert not sheet.collections
    assert {"1 face", "2 faces", "3 faces"} <= {t.get_text() for t in sheet.texts}


def test_landmarks_lie_where_they_were_on_the_picture(inspection):
    shown = next(p for p in inspection.sheet if p.points is not None)
    across = np.hypot(*(shown.points[45] - shown.points[36]))
    assert across < np.hypot(*(POINTS[45] - POINTS[36]))
    assert (shown.points > -0.5).all()
    assert (shown.points < np.array(shown.picture.shape[1::-1])).all()
