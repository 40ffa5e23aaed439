"""Faces that turn over, faces of the published study's kind of frame, and annotated photographs."""

from pathlib import Path

import numpy as np
import pytest
import torch

from xfer import geometry, warping
from xfer.geometry import CanonicalFrame

FRAME = geometry.load_frame("xfer")
TEMPLATE = torch.tensor(FRAME.points[None, :68])
SUPPORT = torch.tensor(FRAME.support)


def coordinates(height: int, width: int) -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([x, y])[None].double()


def turned_temple() -> tuple[torch.Tensor, int]:
    """The template with the left temple turned over, and that triangle."""
    face = TEMPLATE.clone()
    face[0, 0] = torch.tensor([45.0, 88.0])
    (triangle,) = (i for i, t in enumerate(FRAME.triangles) if set(t.tolist()) == {0, 36, 68})
    return face, triangle


def test_a_turned_over_triangle_is_reported_and_nan():
    face, triangle = turned_temple()
    warped = warping.to_frame(torch.ones(1, 1, 275, 224), face, FRAME)
    placed = warping.frame_points(face, FRAME, (275, 224))
    assert torch.equal(warped.flipped, geometry.flipped(placed, FRAME))
    assert warped.flipped[0].nonzero().tolist() == [[triangle]]
    missing = warped.missing[SUPPORT]
    assert warped.kept.tolist() == [True]
    assert warped.flipped_share.item() == missing.sum().item() / SUPPORT.sum().item()
    assert 0.005 < warped.flipped_share.item() < 0.02


def test_a_face_is_left_out_beyond_the_tolerance():
    face, _ = turned_temple()
    both = torch.cat([TEMPLATE, face])
    share = warping.to_frame(torch.ones(2, 1, 275, 224), both, FRAME).flipped_share[1].item()
    at = warping.to_frame(torch.ones(2, 1, 275, 224), both, FRAME, tolerance=share)
    below = warping.to_frame(torch.ones(2, 1, 275, 224), both, FRAME, tolerance=share * 0.999)
    assert at.kept.tolist() == [True, True]
    assert below.kept.tolist() == [True, False]
    assert bool(below.values[1].isnan().all())
    assert int(below.missing.sum()) == 0
    assert int(at.missing.sum()) > 0


def test_a_mirrored_face_is_left_out():
    mirrored = TEMPLATE * torch.tensor([-1, 1]) + torch.tensor([223, 0])
    warped = warping.to_frame(torch.ones(1, 1, 275, 224), mirrored, FRAME)
    assert warped.kept.tolist() == [False]
    assert warped.flipped_share.item() > 0.5


def test_closed_lips_that_cross_are_sampled():
    face = TEMPLATE.clone()
    face[0, 61:64, 1], face[0, 65:68, 1] = TEMPLATE[0, 65:68, 1].flip(0), TEMPLATE[0, 61:64, 1].flip(0)
    rows = torch.arange(275.0)[:, None].expand(1, 1, 275, 224)
    warped = warping.to_frame(rows, face, FRAME)
    assert int(warped.missing[SUPPORT].sum()) == 0
    assert warped.values[0, 0, 185, 111].item() == pytest.approx(185.5, abs=1.5)
    assert not warped.flipped.any()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_a_landmark_that_is_no_number_leaves_one_face_out(value):
    faces = TEMPLATE.repeat(2, 1, 1)
    faces[0, 40, 1] = value
    faces.requires_grad_()
    images = torch.ones(2, 1, 30, 30, dtype=torch.float64, requires_grad=True)
    warped = warping.to_frame(images, faces, FRAME, size=(275, 224))
    assert warped.kept.tolist() == [False, True]
    assert bool(warped.values[0].isnan().all())
    assert int(warped.missing.sum()) == 0
    warped.values.nansum().backward()
    assert bool(images.grad.isfinite().all())
    assert bool(faces.grad[1].isfinite().all())
    back = warping.from_frame(torch.ones(2, 1, 275, 224), faces.detach(), (275, 224), FRAME)
    assert back.isnan().flatten(1).all(dim=1).tolist() == [True, False]


def test_a_face_in_one_spot_is_left_out_and_covers_nothing():
    spot = torch.full((1, 68, 2), 9.0)
    assert warping.to_frame(torch.ones(1, 1, 20, 20), spot, FRAME).kept.tolist() == [False]
    assert bool(warping.from_frame(torch.ones(1, 1, 275, 224), spot, (20, 20), FRAME).isnan().all())


@pytest.mark.parametrize("xp", [np.asarray, torch.as_tensor])
def test_points_of_the_published_kind_of_frame(published_frame, rng, xp):
    faces = rng.random((2, 68, 2)) * 100
    placed = warping.frame_points(xp(faces), published_frame, (120, 150))
    assert type(placed) is type(xp(faces))
    placed = np.asarray(placed)
    assert np.array_equal(placed[:, :68], faces)
    assert np.array_equal(placed[:, 68:85, 0], faces[:, :17, 0])
    assert not placed[:, 68:85, 1].any()
    assert placed[1, 85:].tolist() == [[0, 0], [0, 120], [150, 0], [150, 120]]
    assert np.array_equal(
        warping.frame_points(published_frame.points[:68], published_frame, (275, 224)), published_frame.points
    )
    assert np.array_equal(warping.frame_points(faces, FRAME, (120, 150)), geometry.extend(faces, FRAME))


def test_the_published_kind_of_frame_shows_the_whole_photograph(published_frame):
    face = torch.tensor(published_frame.points[None, :68]) * 2
    image = torch.arange(550 * 448.0).view(1, 1, 550, 448).double()
    warped = warping.to_frame(image, face, published_frame, "truncate", tolerance=1)
    assert int(warped.missing.sum()) == 0
    assert torch.equal(warped.values, image[..., ::2, ::2])


@pytest.fixture(scope="module")
def annotated(shared: Path) -> torch.Tensor:
    """330 photographs of 448 x 448 px with points set by people."""
    files = sorted((shared / "data" / "helen_landmarks").glob("*.pts"))
    texts = [file.read_text().split("{")[1].split("}")[0] for file in files]
    return torch.tensor(np.array([text.split() for text in texts], float).reshape(330, 68, 2) - 1)


def test_annotated_points_land_on_the_template(annotated):
    """Coordinates of the frame, warped onto photographs cropped to one pixel, at each annotated point.

    Where a triangle is turned over, or lips are annotated as closed, one spot is several points of the frame.
    """
    canvas = coordinates(275, 224).expand(68, -1, -1, -1)
    crops = [face - face[:, None] for face in annotated]
    landed = torch.stack([warping.from_frame(canvas, crop, (1, 1), FRAME)[..., 0, 0] for crop in crops])
    error = torch.linalg.vector_norm(landed - TEMPLATE, dim=-1)
    face = (FRAME.triangles < 85).all(axis=1)
    areas = geometry.doubled_areas(geometry.extend(annotated, FRAME), FRAME.triangles[face])
    plain = (areas > 0).all(dim=1)
    assert plain.sum() > 90
    assert error[plain].max() < 1e-9
    assert (error < 0.5).double().mean() > 0.97


def test_the_template_finds_the_annotated_points(annotated):
    """Coordinates of the photographs, warped to the frame cropped to one pixel, at each template point."""
    photographs = coordinates(448, 448).expand(330, -1, -1, -1)
    found = []
    for point in FRAME.points[:68]:
        spot = CanonicalFrame("", "", 1, 1, FRAME.points - point, FRAME.triangles, np.ones((1, 1), bool))
        found.append(warping.to_frame(photographs, annotated, spot, tolerance=1).values[..., 0, 0])
    error = torch.linalg.vector_norm(torch.stack(found, dim=1) - annotated, dim=-1)
    in_frame = error * geometry.inter_ocular(TEMPLATE) / geometry.inter_ocular(annotated)[:, None]
    hidden = error.isnan()
    assert hidden.double().mean() < 0.05
    assert in_frame[~hidden].max() < 1e-9


def test_how_many_annotated_faces_the_tolerance_leaves_out(annotated):
    """The shares that the documentation of `to_frame` quotes."""
    blank = torch.ones(1, 1, 1, 1).expand(330, -1, -1, -1)
    warped = warping.to_frame(blank, annotated, FRAME, size=(448, 448))
    beyond = [(warped.flipped_share > tolerance).double().mean().item() for tolerance in (0, 0.01, 0.02, 0.05)]
    assert [round(100 * share, 1) for share in beyond] == [51.8, 20.0, 4.8, 0.3]
    assert torch.equal(~warped.kept, warped.flipped_share > warping.FLIPPED_TOLERANCE)
