"""Warping against its definition, pixel by pixel, and against scikit-image."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from skimage.transform import AffineTransform, PiecewiseAffineTransform, warp

from xfer import geometry, warping
from xfer.errors import InputError
from xfer.geometry import CanonicalFrame
from xfer.warping import transfer

FRAME = geometry.load_frame("xfer")
TEMPLATE = torch.tensor(FRAME.points[None, :68])
SMALL = CanonicalFrame(
    "small",
    "",
    23,
    19,
    FRAME.points * [18 / 223, 22 / 274],
    FRAME.triangles,
    FRAME.support[::12, ::12][:23, :19],
)
INNER_LIPS = np.isin(FRAME.triangles, range(60, 68)).all(axis=1)


def coordinates(height: int, width: int) -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    return torch.stack([x, y])[None].double()


def jittered(rng: np.random.Generator, amount: float, faces: int, frame: CanonicalFrame = FRAME) -> torch.Tensor:
    return torch.tensor(frame.points[:68] + rng.normal(0, amount, (faces, 68, 2)))


def weights(points: np.ndarray, x: float, y: float) -> np.ndarray:
    """Barycentric weights of a pixel in a triangle (3, 2)."""
    return np.linalg.solve(np.vstack([points.T, np.ones(3)]), [x, y, 1])


def value_at(image: np.ndarray, x: float, y: float, mode: str) -> float:
    """A pixel's value by the definition of a mode; NaN outside the photograph."""
    h, w = image.shape
    if mode == "truncate":
        column, row = int(x), int(y)
        return image[row, column] if 0 <= row < h and 0 <= column < w else np.nan
    if not (-0.5 <= x <= w - 0.5 and -0.5 <= y <= h - 0.5):
        return np.nan
    if mode == "nearest":
        return image[min(max(round(y), 0), h - 1), min(max(round(x), 0), w - 1)]
    x, y = min(max(x, 0), w - 1), min(max(y, 0), h - 1)
    column, row = min(int(x), w - 2), min(int(y), h - 2)
    u, v = x - column, y - row
    top, bottom = image[row : row + 2, column : column + 2] @ [1 - u, u]
    return top * (1 - v) + bottom * v


def slow_to_frame(image: np.ndarray, points: np.ndarray, frame: CanonicalFrame, mode: str) -> np.ndarray:
    result = np.full((frame.height, frame.width), np.nan)
    for y in range(frame.height):
        for x in range(frame.width):
            for triangle, lips in zip(frame.triangles, INNER_LIPS, strict=True):
                share = weights(frame.points[triangle], x, y)
                if share.min() > -1e-7:
                    (a, b), (c, d) = points[triangle[1:]] - points[triangle[0]]
                    if lips or a * d - b * c >= 0:
                        result[y, x] = value_at(image, *(share @ points[triangle]), mode)
                    break
    return result


def slow_from_frame(values: np.ndarray, points: np.ndarray, size: tuple[int, int], frame: CanonicalFrame) -> np.ndarray:
    result = np.full(size, np.nan)
    beside = (frame.triangles >= 85).any(axis=1)
    for y in range(size[0]):
        for x in range(size[1]):
            for triangle in [*frame.triangles[~beside], *frame.triangles[beside]]:
                (a, b), (c, d) = points[triangle[1:]] - points[triangle[0]]
                if a * d - b * c > 0 and (share := weights(points[triangle], x, y)).min() > -1e-7:
                    result[y, x] = value_at(values, *(share @ frame.points[triangle]), "bilinear")
                    break
    return result


@pytest.mark.parametrize("mode", warping.MODES)
def test_to_the_frame_is_its_definition(rng, mode):
    images = rng.random((2, 1, 21, 26))
    points = jittered(rng, 0.5, 2, SMALL) * 1.2 + torch.tensor([1.3, -0.4])
    found = warping.to_frame(torch.tensor(images), points, SMALL, mode, tolerance=1)
    placed = warping.frame_points(points, SMALL, (21, 26)).numpy()
    assert found.flipped.any()
    assert bool(found.values.isnan().any())
    for image, face, values in zip(images[:, 0], placed, found.values[:, 0].numpy(), strict=True):
        np.testing.assert_allclose(values, slow_to_frame(image, face, SMALL, mode), rtol=0, atol=1e-10)


def test_from_the_frame_is_its_definition(rng):
    maps = rng.random((2, 1, 23, 19))
    points = jittered(rng, 0.5, 2, SMALL) * 1.2 + torch.tensor([1.3, 4.4])
    found = warping.from_frame(torch.tensor(maps), points, (30, 27), SMALL)
    placed = warping.frame_points(points, SMALL, (30, 27)).numpy()
    assert geometry.flipped(placed, SMALL).any()
    assert 0.05 < found.isnan().double().mean() < 0.95
    for values, face, back in zip(maps[:, 0], placed, found[:, 0].numpy(), strict=True):
        np.testing.assert_allclose(back, slow_from_frame(values, face, (30, 27), SMALL), rtol=0, atol=1e-6)


def smooth(height: int, width: int) -> torch.Tensor:
    """Three waves in [0, 1] over the unit square: (1, 3, height, width)."""
    y, x = torch.meshgrid(torch.linspace(0, 1, height), torch.linspace(0, 1, width), indexing="ij")
    waves = [torch.sin(5 * x + 3 * y), torch.cos(6 * y - x), torch.sin(7 * x * y + 1)]
    return (torch.stack(waves)[None].double() + 1) / 2


@pytest.mark.parametrize("kind", ["xfer", "published"])
def test_scikit_image_agrees(rng, published_frame, kind):
    frame = FRAME if kind == "xfer" else published_frame
    face = jittered(rng, 1.0, 1)[0] * 0.8 + 6
    image = smooth(240, 230)
    placed = warping.frame_points(face, frame, (240, 230)).numpy()
    if kind == "published":
        transform = PiecewiseAffineTransform.from_estimate(frame.points, placed)
    else:
        transform = per_triangle(frame, placed)
    reference = warp(image[0, 0].numpy(), transform, output_shape=(275, 224), order=1, cval=np.nan)
    found = warping.to_frame(image, face[None], frame, tolerance=1).values[0, 0].numpy()
    both = np.isfinite(reference) & np.isfinite(found)
    assert both.mean() > 0.95
    assert np.abs(found - reference)[both].max() < 1e-9


def per_triangle(frame: CanonicalFrame, placed: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    def transform(pixels: np.ndarray) -> np.ndarray:
        result, deepest = np.full(pixels.shape, np.nan), np.full(len(pixels), -1e-9)
        columns = np.column_stack([pixels, np.ones(len(pixels))]).T
        for ids in frame.triangles:
            least = np.linalg.solve(np.vstack([frame.points[ids].T, np.ones(3)]), columns).min(axis=0)
            here = least > deepest
            deepest[here] = least[here]
            result[here] = AffineTransform.from_estimate(frame.points[ids], placed[ids])(pixels[here])
        return result

    return transform


def test_the_template_itself_is_left_as_it_is(rng):
    image = torch.tensor(rng.random((1, 2, 275, 224)))
    warped = warping.to_frame(image, TEMPLATE, FRAME)
    back = warping.from_frame(image, TEMPLATE, (275, 224), FRAME)
    torch.testing.assert_close(warped.values, image, rtol=0, atol=1e-10)
    torch.testing.assert_close(back, image, rtol=0, atol=1e-10)
    assert int(warped.missing.sum()) == 0
    assert warped.kept.tolist() == [True]
    assert warped.flipped_share.tolist() == [0.0]


@settings(max_examples=25, deadline=None)
@given(st.floats(-3.2, 3.2), st.floats(0.2, 5), st.floats(-20, 20), st.floats(-20, 20))
def test_a_face_moved_by_a_similarity_carries_every_pixel_with_it(angle, scale, right, down):
    turn = scale * torch.tensor([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centre, shift = torch.tensor([111.5, 137.0]), torch.tensor([right, down]).double()
    face = (TEMPLATE - centre) @ turn.T + centre + shift
    pixels = coordinates(275, 224)
    expected = torch.einsum("ij,njyx->niyx", turn, pixels - centre.view(1, 2, 1, 1)) + (centre + shift).view(1, 2, 1, 1)
    warped = warping.to_frame(pixels, face, FRAME)
    seen = ~warped.values.isnan()
    size = torch.tensor([223.0, 274.0]).view(1, 2, 1, 1)
    depth = torch.minimum(expected + 0.5, size + 0.5 - expected).amin(dim=1)
    clear = depth.abs() > 1e-9
    assert torch.equal(seen.all(dim=1)[clear], (depth > 0)[clear])
    torch.testing.assert_close(warped.values[seen], expected.clamp(0 * size, size)[seen], rtol=0, atol=1e-8)


def test_a_smooth_image_comes_back(rng):
    image, face = smooth(224, 224), jittered(rng, 1.0, 1) * 0.55 + 40
    there = warping.to_frame(image, face, FRAME, tolerance=1).values
    back = warping.from_frame(there, face, (224, 224), FRAME)
    seen = ~back.isnan()
    assert seen.double().mean() > 0.25
    assert (back - image)[seen].abs().max() < 1e-2


def test_a_coarse_map_needs_no_upsampling(rng):
    coarse = torch.tensor(rng.random((1, 1, 7, 5)))
    fine = torch.nn.functional.interpolate(coarse, (275, 224), mode="bilinear", align_corners=False)
    found = warping.to_frame(coarse, TEMPLATE, FRAME, size=(275, 224)).values
    torch.testing.assert_close(found, fine, rtol=0, atol=1e-10)
    blocks = warping.to_frame(coarse, TEMPLATE, FRAME, "nearest", size=(275, 224)).values
    rows, columns = (np.arange(275) + 0.5) * 7 / 275, (np.arange(224) + 0.5) * 5 / 224
    expected = coarse[..., rows.astype(int), :][..., columns.astype(int)]
    torch.testing.assert_close(blocks, expected, rtol=0, atol=0)


def test_a_coarse_map_of_the_frame_covers_its_canvas(rng):
    coarse = torch.tensor(rng.random((1, 1, 11, 8)))
    fine = torch.nn.functional.interpolate(coarse, (275, 224), mode="bilinear", align_corners=False)
    found = warping.from_frame(coarse, TEMPLATE, (275, 224), FRAME)
    torch.testing.assert_close(found, fine, rtol=0, atol=1e-10)


def test_outside_the_photograph_is_nan_and_counted():
    faces = torch.cat([TEMPLATE, TEMPLATE - torch.tensor([30, 0]), TEMPLATE + torch.tensor([0, 40])])
    warped = warping.to_frame(torch.ones(3, 2, 275, 224), faces, FRAME)
    expected = torch.zeros(275, 224, dtype=torch.int64)
    expected[:, :30] += 1
    expected[-40:] += 1
    assert torch.equal(warped.missing, expected)
    assert torch.equal(warped.values.isnan().sum(dim=0), expected.expand(2, -1, -1))
    assert warped.values.nansum() == 2 * (3 * 275 * 224 - expected.sum())


def test_gradients_of_values_and_points(rng):
    points = (jittered(rng, 0.05, 1, SMALL) * 0.5 + 0.3).requires_grad_()
    image = torch.tensor(rng.random((1, 1, 14, 13)), requires_grad=True)
    back = torch.tensor(rng.random((1, 1, 23, 19)), requires_grad=True)

    def there(image: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
        return warping.to_frame(image, points, SMALL, tolerance=1).values.nan_to_num()

    def here(maps: torch.Tensor, points: torch.Tensor) -> torch.Tensor:
        return warping.from_frame(maps, points, (14, 13), SMALL).nan_to_num()

    assert torch.autograd.gradcheck(there, (image, points), eps=1e-7, atol=1e-5)
    assert torch.autograd.gradcheck(here, (back, points), eps=1e-8, atol=1e-4)


def test_a_batch_is_its_faces_one_by_one(rng, monkeypatch):
    points, images = jittered(rng, 1.5, 5), torch.tensor(rng.random((5, 2, 40, 50)))
    points = points * 0.2
    together = warping.to_frame(images, points, FRAME)
    back = warping.from_frame(together.values, points, (40, 50), FRAME)
    alone = [warping.to_frame(images[i : i + 1], points[i : i + 1], FRAME) for i in range(5)]
    assert together.kept.any()
    for i, one in enumerate(alone):
        torch.testing.assert_close(one.values[0], together.values[i], rtol=0, atol=1e-12, equal_nan=True)
        assert torch.equal(one.flipped[0], together.flipped[i])
        onto = warping.from_frame(one.values, points[i : i + 1], (40, 50), FRAME)
        torch.testing.assert_close(onto[0], back[i], rtol=0, atol=1e-12, equal_nan=True)
    assert torch.equal(sum(one.missing for one in alone), together.missing)
    monkeypatch.setitem(transfer._CHUNK_PIXELS, "cpu", 2 * 275 * 224)
    pieces = warping.to_frame(images, points, FRAME)
    torch.testing.assert_close(pieces.values, together.values, rtol=0, atol=1e-12, equal_nan=True)
    assert torch.equal(pieces.missing, together.missing)


def test_working_memory_does_not_grow_with_the_batch(monkeypatch):
    seen = []
    whole = transfer.sample

    def spy(maps: torch.Tensor, grid: torch.Tensor, *rest: object) -> object:
        seen.append(grid.shape[0] * grid.shape[1] * grid.shape[2])
        return whole(maps, grid, *rest)

    monkeypatch.setattr(transfer, "sample", spy)
    faces = TEMPLATE.float().repeat(40, 1, 1)
    warping.to_frame(torch.ones(40, 1, 2, 2), faces, FRAME, size=(275, 224))
    warping.from_frame(torch.ones(40, 1, 2, 2), faces, (200, 200), FRAME)
    assert max(seen) <= 2**18
    assert sum(seen) == 40 * (275 * 224 + 200 * 200)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_dtype_and_device_are_kept(device, dtype):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    images = torch.rand(2, 3, 12, 10, generator=torch.Generator().manual_seed(0)).to(device, dtype)
    faces = (TEMPLATE.repeat(2, 1, 1) * 0.04).float().to(device)
    warped = warping.to_frame(images, faces, FRAME)
    back = warping.from_frame(warped.values, faces, (12, 10), FRAME)
    assert warped.values.dtype == back.dtype == dtype
    everything = [warped.values, back, warped.flipped, warped.flipped_share, warped.kept, warped.missing]
    assert {t.device.type for t in everything} == {device}
    exact = warping.to_frame(images.double().cpu(), faces.cpu(), FRAME).values
    near = {torch.float16: 2e-3, torch.bfloat16: 2e-2, torch.float32: 1e-4, torch.float64: 1e-9}[dtype]
    torch.testing.assert_close(warped.values.cpu().double(), exact, rtol=0, atol=near, equal_nan=True)


def test_a_batch_of_no_faces():
    warped = warping.to_frame(torch.ones(0, 3, 8, 8), torch.ones(0, 68, 2), FRAME)
    assert warped.values.shape == (0, 3, 275, 224)
    assert int(warped.missing.sum()) == 0
    assert warping.from_frame(warped.values, torch.ones(0, 68, 2), (8, 9), FRAME).shape == (0, 3, 8, 9)


@pytest.mark.parametrize(
    ("images", "points", "options", "message"),
    [
        ((3, 8, 8), (1, 68, 2), {}, "'images' must be (n, c, h, w) without an empty map; got (3, 8, 8)"),
        (
            (1, 3, 0, 8),
            (1, 68, 2),
            {},
            "'images' must be (n, c, h, w) without an empty map; got (1, 3, 0, 8)",
        ),
        ((4, 3, 8, 8), (3, 68, 2), {}, "'points' must be (4, 68, 2), one face to a map; got (3, 68, 2)"),
        ((1, 3, 8, 8), (1, 89, 2), {}, "'points' must be (1, 68, 2), one face to a map; got (1, 89, 2)"),
        (
            (1, 3, 8, 8),
            (1, 68, 2),
            {"mode": "linear"},
            "'mode' must be one of bilinear, nearest, truncate; got 'linear' (did you mean 'bilinear'?)",
        ),
        (
            (1, 3, 8, 8),
            (1, 68, 2),
            {"size": (0, 8)},
            "'size' must be (height, width) in px, at least 1 each; got (0, 8)",
        ),
    ],
)
def test_what_does_not_fit_is_named(images, points, options, message):
    with pytest.raises(InputError) as error:
        warping.to_frame(torch.ones(images), torch.ones(points), FRAME, **options)
    assert str(error.value) == message


def test_whole_numbers_are_refused():
    with pytest.raises(InputError) as error:
        warping.to_frame(torch.ones(1, 1, 8, 8, dtype=torch.uint8), TEMPLATE, FRAME)
    assert str(error.value) == "'images' must be floating point, for NaN where nothing is known; got torch.uint8"
    with pytest.raises(InputError) as error:
        warping.from_frame(torch.ones(1, 1, 8, 8), TEMPLATE.long(), (8, 8), FRAME)
    assert str(error.value) == "'points' must be floating point; got torch.int64"
    with pytest.raises(InputError) as error:
        warping.from_frame(torch.ones(8, 8), TEMPLATE, (8, 8), FRAME)
    assert str(error.value) == "'maps' must be (n, c, h, w) without an empty map; got (8, 8)"


def test_pixels_outside_the_mesh_of_a_frame_are_missing(rng):
    wide = CanonicalFrame("", "", 25, 22, SMALL.points, SMALL.triangles, np.ones((25, 22), bool))
    face = torch.tensor(SMALL.points[None, :68])
    warped = warping.to_frame(torch.tensor(rng.random((1, 1, 30, 30))), face, wide)
    expected = torch.ones(25, 22, dtype=torch.int64)
    expected[:23, :19] = 0
    assert torch.equal(warped.missing, expected)
    assert torch.equal(warped.values[0, 0].isnan(), expected.bool())
