"""The rater's screen, driven as the browser drives it: pointer events, buttons, choices."""

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import ipywidgets
import numpy as np
import pytest
from ipywidgets import Button, Widget
from matplotlib.figure import Figure

from xfer.annotation import Collection, Session, collect
from xfer.annotation.marks import Click, Stroke
from xfer.annotation.order import PART as PART_TASK
from xfer.errors import InputError
from xfer.report.widgets import annotate
from xfer.report.widgets import annotation as widget
from xfer.report.widgets.annotation import Annotation


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("widget") / "people"
    collect("synthetic", folder, faces=3, expressions=["anger", "fear", "happiness"])
    return folder


@pytest.fixture
def screen(home: Path, request: pytest.FixtureRequest) -> Iterator[Annotation]:
    """A new rater's screen with the first face on it."""
    rater = sha256(request.node.name.encode()).hexdigest()[:12]
    shown = Annotation(Session(collect("synthetic", home), rater))
    press(shown, "Start")
    yield shown
    shown.session.close()


def found(widget: Widget) -> Iterator[Any]:
    yield widget
    for child in getattr(widget, "children", ()):
        yield from found(child)


def press(screen: Annotation, text: str) -> None:
    next(w for w in found(screen) if isinstance(w, Button) and w.description == text).click()


def text(screen: Annotation) -> str:
    return " ".join(w.value for w in found(screen) if isinstance(getattr(w, "value", None), str))


def drag(screen: Annotation, *points: tuple[float, float]) -> None:
    screen.easel.down(*points[0])
    for point in points[1:]:
        screen.easel.move(*point)
    screen.easel.up(*points[-1])


def test_brush_eraser_undo_and_clear(screen: Annotation) -> None:
    drag(screen, (100, 100), (200, 100))
    assert screen.session.marks == [Stroke(32, ((100, 100), (200, 100)))]
    screen._tool.value, screen._size.value = "eraser", 60
    drag(screen, (150, 100))
    assert screen.session.marks[1] == Stroke(60, ((150, 100),), erase=True)
    assert not screen.easel._marked[100, 150]
    press(screen, "Undo")
    assert screen.easel._marked[100, 150]
    press(screen, "Clear")
    assert not screen.easel._marked.any()


def test_a_part_is_clicked_where_it_lies_or_chosen_from_the_list(screen: Annotation) -> None:
    screen._tool.value = "part"
    x, y = screen.session.collection.points(screen.session.task.face)[30]
    screen.easel.move(x, y)
    screen.easel.down(x, y)
    screen.easel.up(x, y)
    screen.easel.down(1, 1)
    screen._part.value = ("eyes", 1)
    assert screen.session.marks == [Click(("nose", 0)), Click(("eyes", 1))]
    assert screen._part.value == ""
    assert "the eyes, right" in dict(screen._part.options)


def test_a_stroke_that_leaves_the_canvas_ends_there_and_fingers_paint_too(screen: Annotation) -> None:
    layer = screen.easel.canvas[2]
    layer._handle_frontend_event(None, {"event": "touch_start", "touches": [{"x": 10, "y": 20}]}, [])
    layer._handle_frontend_event(None, {"event": "touch_move", "touches": [{"x": 60, "y": 20}]}, [])
    layer._handle_frontend_event(None, {"event": "touch_end", "touches": []}, [])
    screen.easel.down(10, 50)
    screen.easel.move(60, 50)
    screen.easel.leave()
    screen.easel.move(90, 90)
    assert [mark.path for mark in screen.session.marks] == [((10, 20), (60, 20)), ((10, 50), (60, 50))]


def test_save_and_next_keeps_a_face_and_says_what_is_lacking(screen: Annotation) -> None:
    first = screen.session.shown.picture
    press(screen, "Save and next")
    assert "Choose the expression you see" in text(screen)
    screen._answers.value = "fear"
    assert "Now mark what makes you see it." in text(screen)
    press(screen, "Save and next")
    assert "Mark at least one place on the face." in text(screen)
    drag(screen, (256, 256), (300, 256))
    press(screen, "Save and next")
    assert "<b>Face 2 of 5</b>, 1 saved" in text(screen)
    assert screen._answers.value is None
    assert not np.array_equal(screen.easel._picture, first)
    press(screen, "Back")
    assert screen._answers.value == "fear"
    assert screen.easel._marked[256, 280]


def test_a_check_asks_for_its_part_and_offers_no_expression(screen: Annotation) -> None:
    while screen.session.task.kind != PART_TASK:
        screen._answers.value = "unsure"
        press(screen, "Save and next")
    assert f"On this face, please paint {screen.session.said}." in text(screen)
    assert screen._answers.layout.display == "none"


def test_labels_and_file_names_stay_out_of_the_screen(screen: Annotation) -> None:
    assert [value for _, value in screen._answers.options] == ["anger", "fear", "happiness", "none", "unsure"]
    assert screen.session.task.face not in text(screen)


def test_the_end_says_thanks(screen: Annotation) -> None:
    while not screen.session.finished:
        if screen.session.said:
            drag(screen, (256, 256))
        else:
            screen._answers.value = "none"
        press(screen, "Save and next")
    assert "Thank you. Everything is saved." in text(screen)


def test_a_name_that_has_been_here_is_asked_whether_it_is_the_same_person(screen: Annotation, home: Path) -> None:
    screen._answers.value = "none"
    press(screen, "Save and next")
    again = Annotation(Session(collect("synthetic", home), screen.session.rater))
    assert "1 of 5 faces are saved under this name" in text(again)
    drag(screen, (10, 10))
    assert "this rater goes on in another window; close this one" in text(screen)
    press(again, "It was me: go on")
    assert "<b>Face 2 of 5</b>, 1 saved" in text(again)
    third = Annotation(Session(collect("synthetic", home), screen.session.rater))
    before = third.session._journal.path.read_bytes()
    press(third, "It was not me")
    assert "Nothing was changed." in text(third)
    assert third.session._journal.path.read_bytes() == before


def test_an_answer_that_was_cut_off_is_said(home: Path) -> None:
    session = Session(collect("synthetic", home), "torn")
    session.seen = "none"
    session.save()
    session.close()
    with session._journal.path.open("ab") as file:
        file.write(b'{"n":1,"fa')
    again = Annotation(Session(collect("synthetic", home), "torn"))
    assert "The last answer was cut off when it was written; that face comes again." in text(again)
    again.session.close()


def test_a_page_loaded_again_gets_the_whole_picture(screen: Annotation, monkeypatch: pytest.MonkeyPatch) -> None:
    drag(screen, (100, 100), (200, 100))
    sent: list[np.ndarray] = []
    for layer in screen.easel.canvas._canvases:
        monkeypatch.setattr(type(layer), "put_image_data", lambda self, data, x=0, y=0: sent.append(data))
    screen.easel.canvas[2]._handle_frontend_event(None, {"event": "client_ready"}, [])
    picture, marks = sent
    np.testing.assert_array_equal(picture[..., :3], screen.session.shown.picture)
    np.testing.assert_array_equal(marks[..., 3] > 0, screen.session.marked())


def test_without_a_kernel_there_is_a_picture_of_nobody_and_nothing_is_written(tmp_path: Path) -> None:
    figure = annotate("folder:nowhere", "Anna", out=tmp_path / "people")
    assert isinstance(figure, Figure)
    assert not (tmp_path / "people").exists()
    said = [t.get_text().replace("\n", " ") for t in figure.axes[0].texts]
    assert {"forehead", "nose", "mouth"} <= set(said)


def test_with_a_kernel_a_rater_without_a_name_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(widget, "kernel_runs", lambda: True)
    with monkeypatch.context() as old:
        old.setattr(ipywidgets, "__version__", "7.8.1")
        with pytest.raises(InputError, match=r"^ipywidgets 7.8.1 is too old; run pip install 'ipywidgets>=8.1'"):
            annotate("synthetic", "Anna", out=tmp_path / "people")
    with pytest.raises(InputError, match="--rater: an empty name; give a name or any word of one's own"):
        annotate("synthetic", out=tmp_path / "people", faces=2, expressions=["anger", "fear"])
    shown = annotate("synthetic", "Anna", out=tmp_path / "people")
    assert isinstance(shown, Annotation)
    assert isinstance(shown.session.collection, Collection)
    shown.session.close()
