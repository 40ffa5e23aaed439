"""Changes to faces: the landmarks follow every move, and faces of other settings draw the same numbers."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from xfer import geometry
from xfer.training import Settings
from xfer.training.augmentation import augment

SIZE = 64
PLAIN = Settings(size=32)
CENTRES = torch.tensor([[20.0, 25], [40, 30], [30, 44]])
NAMES = [0, 16, 8]
"""Points whose mirror images are one another."""

MOVES = st.fixed_dictionaries(
    {},
    optional={
        "flip": st.just(True),
        "rotation": st.floats(1, 40),
        "shift": st.floats(0.01, 0.1),
        "crop": st.floats(0.02, 0.5),
        "contrast": st.floats(0.05, 0.3),
        "grey": st.just(0.5),
        "colour": st.just(0.5),
    },
)


def draw(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def dots(points: torch.Tensor, size: int) -> torch.Tensor:
    """A picture with a small round spot at every point."""
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    squares = [(x - px) ** 2 + (y - py) ** 2 for px, py in points]
    return torch.stack([torch.exp(-s / 8) for s in squares]).amax(0).expand(1, 3, size, size)


@settings(deadline=None, max_examples=60)
@given(changes=MOVES, seed=st.integers(0, 1000))
def test_landmarks_move_with_the_face(changes: dict, seed: int) -> None:
    points = torch.full((1, 68, 2), float("nan"))
    points[0, NAMES] = CENTRES
    image, moved = augment(dots(CENTRES, SIZE), points, Settings(size=SIZE, **changes), draw(seed))
    assert torch.isfinite(moved[0]).all(dim=1).nonzero().flatten().tolist() == sorted(NAMES)
    for x, y in moved[0, NAMES].tolist():
        if not (3 <= x < SIZE - 4 and 3 <= y < SIZE - 4):
            continue  # cut off
        around = image[0, 0, round(y) - 2 : round(y) + 3, round(x) - 2 : round(x) + 3]
        brightest = (around >= around.max() - 1e-6).nonzero().float().mean(dim=0)  # colour may cut a plateau
        assert (brightest - 2).tolist() == pytest.approx((0, 0), abs=1)


@pytest.mark.parametrize("changes", [{"flip": True}, {"rotation": 30}, {"shift": 0.1}, {"crop": 0.3}])
def test_every_move_moves(changes: dict) -> None:
    points = CENTRES.expand(8, 3, 2).repeat(1, 23, 1)[:, :68]
    _, moved = augment(torch.zeros(8, 3, SIZE, SIZE), points, Settings(size=SIZE, **changes), draw(1))
    assert not torch.allclose(moved, points)


def test_a_mirrored_face_keeps_the_names_of_its_points() -> None:
    points = torch.from_numpy(np.random.default_rng(0).uniform(0, 31, (40, 68, 2))).float()
    images = torch.rand(40, 3, 32, 32, generator=draw(0))
    out, moved = augment(images, points, Settings(size=32, flip=True), draw(0))
    mirrored = torch.tensor([torch.equal(a, b.flip(-1)) for a, b in zip(out, images, strict=True)])
    assert 10 < mirrored.sum() < 30
    assert out[~mirrored].equal(images[~mirrored])
    torch.testing.assert_close(moved[~mirrored], points[~mirrored])
    turned = points[mirrored][:, geometry.mirror(68).tolist()]
    torch.testing.assert_close(moved[mirrored], torch.stack([31 - turned[..., 0], turned[..., 1]], dim=-1))


def test_contrast_keeps_the_mean_and_no_change_changes_nothing() -> None:
    images = 0.3 + 0.4 * torch.rand(30, 3, 32, 32, generator=draw(0))
    points = torch.zeros(30, 68, 2)
    same, _ = augment(images, points, PLAIN, draw(0))
    torch.testing.assert_close(same, images, atol=1e-5, rtol=0)
    other, _ = augment(images, points, replace(PLAIN, contrast=0.2), draw(0))
    torch.testing.assert_close(other.mean((1, 2, 3)), images.mean((1, 2, 3)))
    ratio = other.std((1, 2, 3)) / images.std((1, 2, 3))
    assert 0.8 <= ratio.min() < 0.9 < 1.1 < ratio.max() <= 1.2


def test_a_crop_is_a_square_inside_the_picture_of_the_share_that_is_left() -> None:
    corners = torch.zeros(200, 68, 2)
    corners[:, 1] = SIZE - 1.0
    _, moved = augment(torch.zeros(200, 3, SIZE, SIZE), corners, Settings(size=SIZE, crop=0.36), draw(0))
    scale = (moved[:, 1] - moved[:, 0]) / (SIZE - 1)
    torch.testing.assert_close(scale[:, 0], scale[:, 1])
    left = scale[:, 0] ** -2
    assert 0.64 <= left.min() < 0.67
    assert 0.97 < left.max() <= 1
    low, high = (moved[:, 0] + 0.5 - scale / 2).max(), (moved[:, 1] + 0.5 + scale / 2).min()
    assert low <= 1e-3  # what is seen begins and ends inside the picture
    assert high >= SIZE - 1e-3
    assert moved[:, 0].std(0).min() > 1


def test_crops_leave_the_other_moves_as_they_are() -> None:
    """The numbers of the older changes come first: a crop of next to nothing is the same face."""
    images, points = torch.rand(8, 3, 32, 32, generator=draw(0)), 31 * torch.rand(8, 68, 2, generator=draw(1))
    moves = Settings(size=32, flip=True, rotation=20, shift=0.1, contrast=0.2)
    for seed in range(3):
        before, after = (augment(images, points, s, draw(seed)) for s in (moves, moves.change(crop=1e-7)))
        torch.testing.assert_close(after[0], before[0], atol=1e-4, rtol=0)
        torch.testing.assert_close(after[1], before[1], atol=1e-3, rtol=0)


def test_plain_settings_draw_what_they_always_drew() -> None:
    used, wanted = draw(0), draw(0)
    augment(torch.zeros(5, 3, 32, 32), torch.zeros(5, 68, 2), Settings(size=32, flip=True), used)
    for _ in range(5):  # mirror, angle, x, y, contrast
        torch.rand(5, generator=wanted)
    assert used.get_state().equal(wanted.get_state())


def test_grey_colour_and_erasing_change_their_share_of_faces_and_no_point() -> None:
    images, points = torch.rand(400, 3, 16, 16, generator=draw(0)), torch.rand(400, 68, 2, generator=draw(1))
    found = {}
    for name in ("grey", "colour", "erasing"):
        out, moved = augment(images.clone(), points, Settings(size=16, mean=(0.1, 0.2, 0.3), **{name: 0.3}), draw(2))
        torch.testing.assert_close(moved, points)
        changed = ~torch.isclose(out, images, atol=1e-4).flatten(1).all(dim=1)
        assert 0.2 < changed.float().mean() < 0.4
        found[name] = out[changed], images[changed]
    torch.testing.assert_close(found["grey"][0][:, 0], found["grey"][0][:, 2])
    assert 0 <= found["colour"][0].min() <= found["colour"][0].max() <= 1
    assert not torch.allclose(found["colour"][0][:, 0], found["colour"][0][:, 2])
    erased, before = found["erasing"]
    gone = ~torch.isclose(erased, before, atol=1e-4).all(dim=1)
    assert torch.allclose(erased.movedim(1, -1)[gone], torch.tensor([0.1, 0.2, 0.3]), atol=1e-4)
    share = gone.float().mean((1, 2))
    assert 0.01 < share.min() < 0.1 < 0.25 < share.max() < 0.4
    for face in gone[:20]:
        rows, columns = face.any(1).sum(), face.any(0).sum()
        assert face.sum() == rows * columns
