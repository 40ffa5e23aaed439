"""A rater at work: what is asked for, what is kept, and where the next start goes on."""

import json
import re

import numpy as np
import pytest

from xfer.annotation import Collection, Session
from xfer.annotation.journal import held
from xfer.annotation.marks import Click, Stroke
from xfer.annotation.order import PART
from xfer.annotation.session import NONE, UNSURE
from xfer.errors import InputError

DOT = Stroke(30, ((200, 200),))


def begin(collection: Collection, name: str = "0123456789ab") -> Session:
    return Session(collection, name, clock=iter(range(1000)).__next__)


def skip_to_part(session: Session) -> None:
    while session.task.kind != PART:
        session.seen = UNSURE
        session.save()


def test_an_answer_is_kept_before_the_next_face_is_shown(collection: Collection) -> None:
    session = begin(collection)
    first = session.task
    session.seen = "fear"
    session.add(DOT)
    session.add(Click(("eyes", 1)))
    session.save()
    line = json.loads(collection.path(session.rater).read_text().splitlines()[-1])
    marks = [{"brush": 30, "path": [200, 200]}, {"part": ["eyes", 1]}]
    assert line == {"n": 0, "face": first.face, "kind": "face", "seen": "fear", "marks": marks, "seconds": 1}
    assert (session.position, session.marks, session.seen) == (1, [], "")
    session.close()


def test_what_is_lacking_is_said_and_nothing_is_kept(collection: Collection) -> None:
    session = begin(collection)
    with pytest.raises(InputError, match=re.escape("Choose the expression you see, or one of the other two answers.")):
        session.save()
    session.seen = "fear"
    with pytest.raises(InputError, match=re.escape("Mark at least one place on the face.")):
        session.save()
    session.add(DOT)
    session.add(Stroke(90, ((200, 200),), erase=True))
    assert session.lacking() == "Mark at least one place on the face."
    assert (session.position, session.answers) == (0, {})
    for answer in (NONE, UNSURE, "neutral"):
        session.seen = answer
        assert session.lacking() == ""
    skip_to_part(session)
    assert session.said.startswith("the ")
    assert session.lacking() == "Mark at least one place on the face."
    session.close()


def test_undo_and_clear(collection: Collection) -> None:
    session = begin(collection)
    session.undo()
    session.add(DOT)
    session.add(Click(("nose", 0)))
    session.undo()
    assert session.marks == [DOT]
    session.clear()
    assert not session.marked().any()
    session.close()


def test_a_closed_tab_goes_on_with_the_marks_of_the_face_that_was_open(collection: Collection) -> None:
    session = begin(collection)
    session.seen = "fear"
    session.add(DOT)
    session.save()
    session.seen = "anger"
    session.add(DOT)
    session.add(Click(("nose", 0)))
    session.undo()
    position = session.position
    session.close()
    again = begin(collection)
    assert (again.resumed, again.position, again.marks, again.seen) == (1, position, [DOT], "anger")
    assert again.tasks == session.tasks
    again.close()


def test_back_changes_an_answer_and_the_last_one_counts(collection: Collection) -> None:
    session = begin(collection)
    session.back()
    assert session.position == 0
    session.seen = "fear"
    session.add(DOT)
    session.save()
    session.back()
    assert (session.seen, session.marks) == ("fear", [DOT])
    session.seen = "anger"
    session.save()
    assert session.position == 1
    session.close()
    again = begin(collection)
    assert again.answers[0]["seen"] == "anger"
    assert len(again.answers) == 1
    again.close()


def test_a_rater_who_is_done_stays_done(collection: Collection, work) -> None:
    done = work(collection, "Anna")
    assert done.finished
    again = begin(collection, "Anna")
    assert again.finished
    again.close()
    assert sorted(done.answers) == list(range(len(done.tasks)))


def test_an_answer_to_no_task_is_named(collection: Collection) -> None:
    session = begin(collection)
    session.close()
    with collection.path(session.rater).open("a") as file:
        file.write('{"n":0,"face":"elsewhere.png"}\n')
    with pytest.raises(InputError, match="an answer belongs to no face of this rater"):
        begin(collection)
    assert not held(collection.path(session.rater))


def test_labels_are_shown_nowhere(collection: Collection) -> None:
    session = begin(collection)
    assert not hasattr(session.task, "label")
    assert np.asarray(session.shown.picture).dtype == np.uint8
    session.close()
