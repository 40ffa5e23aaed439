"""Parts of the face lie where they belong."""

import numpy as np

from xfer.annotation.parts import draw_pieces, parts, piece_at, pieces
from xfer.geometry import load_frame

FRAME = load_frame("xfer")
DRAWN = draw_pieces(FRAME.points[:68], FRAME.height, FRAME.width)


def test_every_piece_is_drawn_on_the_face_and_none_of_the_asked_overlap() -> None:
    assert set(DRAWN) == set(pieces())
    for piece, area in DRAWN.items():
        assert area.sum() > 150, piece
        assert (area & FRAME.support).sum() >= 0.95 * area.sum(), piece
    asked = [area for (name, _), area in DRAWN.items() if parts()[name].asked]
    assert np.sum(asked, axis=0).max() == 1


def test_twins_mirror_each_other() -> None:
    for name, part in parts().items():
        if len(part.shapes) == 2:
            left, right = DRAWN[name, 0], DRAWN[name, 1]
            overlap = (left[:, ::-1] & right).sum() / (left[:, ::-1] | right).sum()
            assert overlap > 0.95, name
            assert np.argwhere(left)[:, 1].mean() < np.argwhere(right)[:, 1].mean()


def test_landmarks_lie_in_their_parts_and_the_smallest_piece_is_clicked() -> None:
    places = {"nose": 30, "mouth": 62, "chin": 8}
    for name, point in places.items():
        x, y = FRAME.points[point] - ([0, 4] if name == "chin" else [0, 0])
        assert piece_at(DRAWN, x, y) == (name, 0)
    assert piece_at(DRAWN, *FRAME.points[[37, 41]].mean(axis=0)) == ("eyes", 0)
    assert piece_at(DRAWN, *FRAME.points[[43, 47]].mean(axis=0)) == ("eyes", 1)
    assert piece_at(DRAWN, *(FRAME.points[48] + [1, 0])) == ("mouth_corners", 0)
    assert piece_at(DRAWN, 0, 0) is None
    assert piece_at(DRAWN, -5, 1000) is None
