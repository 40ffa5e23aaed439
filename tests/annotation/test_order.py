"""The order of faces and checks."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from xfer.annotation.order import AGAIN, FACE, PART, Task, order

PARTS = ("nose", "eyes")


@given(st.integers(1, 80), st.text("0123456789abcdef", min_size=12, max_size=12))
def test_every_face_once_with_checks_among_them(n: int, rater: str) -> None:
    faces = [f"f{i:02d}" for i in range(n)]
    tasks = order(faces, rater, PARTS)
    kinds = Counter(task.kind for task in tasks)
    assert sorted(t.face for t in tasks if t.kind == FACE) == faces
    assert kinds[AGAIN] == max(1, round(n / 10))
    assert kinds[PART] == max(1, round(n / 15))
    assert all((t.part in PARTS) == (t.kind == PART) for t in tasks)
    assert tasks[0].kind == FACE
    for at, task in enumerate(tasks):
        if task.kind == AGAIN:
            first = tasks.index(Task(task.face))
            assert first < at
            assert at - first > 5 or at > len(tasks) - 5
    assert tasks == order(faces[::-1], rater, PARTS)


def test_raters_see_other_orders() -> None:
    faces = [f"f{i:02d}" for i in range(30)]
    orders = {tuple(t.face for t in order(faces, f"{i:012x}", PARTS) if t.kind == FACE) for i in range(20)}
    assert len(orders) == 20


def test_first_faces_are_drawn_evenly() -> None:
    faces = [f"f{i}" for i in range(5)]
    first = Counter(order(faces, f"{i:012x}", PARTS)[0].face for i in range(1000))
    assert min(first.values()) > 150
