"""Alignment against scikit-image, linear least squares and closed forms."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from skimage.transform import SimilarityTransform

from xfer import geometry

FRAME = geometry.load_frame("xfer")
seeds = st.integers(0, 2**32 - 1)


def reflect(points: np.ndarray) -> np.ndarray:
    return points * [-1, 1] + [FRAME.width - 1, 0]


@given(seeds)
def test_similarity_equals_scikit_image(seed):
    rng = np.random.default_rng(seed)
    source, target = rng.normal(size=(2, 68, 2)) * 100 + 50
    reference = SimilarityTransform.from_estimate(source, target).params[:2]
    np.testing.assert_allclose(geometry.similarity(source, target), reference, rtol=1e-9, atol=1e-10)


def test_similarity_solves_the_normal_equations(rng):
    """Least squares over [[a, -b, tx], [b, a, ty]], written out as a linear system."""
    source, target = rng.normal(size=(2, 7, 2))
    x, y, one, zero = *source.T, np.ones(7), np.zeros(7)
    system = np.concatenate([np.column_stack([x, -y, one, zero]), np.column_stack([y, x, zero, one])])
    a, b, tx, ty = np.linalg.lstsq(system, target.T.ravel(), rcond=None)[0]
    expected = [[a, -b, tx], [b, a, ty]]
    np.testing.assert_allclose(geometry.similarity(source, target), expected, rtol=1e-10)


def test_similarity_is_never_a_reflection(rng):
    source = rng.normal(size=(20, 2))
    matrix = geometry.similarity(source, source * [-1, 1])
    assert np.linalg.det(matrix[:, :2]) > 0


def test_similarity_broadcasts_and_is_undefined_for_a_single_place(rng):
    source, targets = rng.normal(size=(68, 2)), rng.normal(size=(3, 2, 68, 2))
    matrices = geometry.similarity(source, targets)
    assert matrices.shape == (3, 2, 2, 3)
    np.testing.assert_allclose(matrices[2, 1], geometry.similarity(source, targets[2, 1]), rtol=1e-12)
    assert np.isnan(geometry.similarity(np.ones((68, 2)), targets)[..., :2]).all()


def test_apply_is_homogeneous_multiplication(rng):
    matrix, points = rng.normal(size=(4, 2, 3)), rng.normal(size=(4, 5, 2))
    expected = [m @ np.append(p, 1) for m, face in zip(matrix, points, strict=True) for p in face]
    np.testing.assert_allclose(geometry.apply(matrix, points).reshape(-1, 2), expected, rtol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_torch_in_torch_out(rng, dtype):
    faces = FRAME.points[:68] + rng.normal(size=(3, 68, 2))
    tensor = torch.tensor(faces, dtype=dtype, requires_grad=True)
    extended = geometry.extend(tensor, FRAME)
    assert (extended.dtype, extended.shape) == (dtype, (3, 89, 2))
    np.testing.assert_allclose(extended.detach().numpy(), geometry.extend(faces, FRAME), rtol=1e-4, atol=1e-3)
    extended[:, 68:].sum().backward()
    assert tensor.grad.abs().sum() > 0
    assert geometry.flipped(extended, FRAME).dtype == torch.bool
    assert geometry.inter_ocular(tensor).shape == (3,)


def test_extend_keeps_the_face_and_carries_the_rest():
    turn = 1.7 * np.array([[np.cos(0.4), -np.sin(0.4)], [np.sin(0.4), np.cos(0.4)]])
    moved = FRAME.points @ turn.T + [30, -12]
    np.testing.assert_allclose(geometry.extend(moved[:68], FRAME), moved, rtol=1e-12)


def test_extend_commutes_with_the_mirror(rng):
    face = FRAME.points[:68] + rng.normal(size=(68, 2)) * 3
    twin = reflect(face)[geometry.mirror(68)]
    expected = reflect(geometry.extend(face, FRAME))[geometry.mirror(89)]
    np.testing.assert_allclose(geometry.extend(twin, FRAME), expected, rtol=0, atol=1e-10)


def test_inter_ocular_is_between_the_outer_corners():
    points = np.zeros((2, 68, 2))
    points[:, 36], points[:, 45] = [1, 2], [4, 6]
    assert geometry.inter_ocular(points).tolist() == [5, 5]


def test_mean_shape_of_moved_copies_is_the_shape(rng):
    shape = FRAME.points[:68]
    angles, scales = rng.uniform(-0.5, 0.5, 9), rng.uniform(0.5, 2, 9)
    z = (shape @ [1, 1j]) * (scales * np.exp(1j * angles))[:, None] + rng.normal(size=(9, 1))
    mean = geometry.mean_shape(np.stack([z.real, z.imag], axis=-1))
    np.testing.assert_allclose(mean.mean(axis=0), 0, atol=1e-12)
    assert (mean**2).sum(axis=1).mean() == pytest.approx(1)
    np.testing.assert_allclose(geometry.apply(geometry.similarity(mean, shape), mean), shape, atol=1e-9)


def test_mean_shape_is_a_fixed_point(rng):
    shapes = FRAME.points[:68] + rng.normal(size=(9, 68, 2)) * 5
    mean = geometry.mean_shape(shapes)
    aligned = np.mean([SimilarityTransform.from_estimate(s, mean)(s) for s in shapes], axis=0)
    aligned -= aligned.mean(axis=0)
    np.testing.assert_allclose(aligned / np.sqrt((aligned**2).sum(axis=1).mean()), mean, atol=1e-10)


@given(seeds)
def test_symmetrise_is_symmetric_and_idempotent(seed):
    face = FRAME.points + np.random.default_rng(seed).normal(size=(89, 2)) * 3
    once = geometry.symmetrise(face)
    assert np.array_equal(once[geometry.mirror(89)] * [-1, 1], once)
    np.testing.assert_allclose(geometry.symmetrise(once), once, atol=1e-9)


def test_upright_undoes_a_turn():
    level = FRAME.points[:68] - FRAME.points[:68].mean(axis=0)
    turn = np.array([[np.cos(0.8), -np.sin(0.8)], [np.sin(0.8), np.cos(0.8)]])
    np.testing.assert_allclose(geometry.upright(level @ turn.T, geometry.mirror(68)), level, atol=1e-9)


def test_flipped_names_the_triangles_of_a_face_that_are_turned_over():
    assert not geometry.flipped(FRAME.points, FRAME).any()
    face = np.array(FRAME.points)
    face[30] = face[27] - [0, 40]
    turned = geometry.flipped(face, FRAME)
    assert turned.any()
    assert (FRAME.triangles[turned] == 30).any(axis=1).any()


def test_a_closed_mouth_and_corners_beside_the_face_do_not_count_as_flipped():
    face = np.array(FRAME.points)
    face[[65, 66, 67], 1] = face[[63, 62, 61], 1] - 0.3
    face[85:] = FRAME.points[8]
    assert (geometry.doubled_areas(face, FRAME.triangles) < 0).any()
    assert not geometry.flipped(face, FRAME).any()
