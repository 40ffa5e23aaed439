"""Players: SLIC as published, a grid, and the regions of Action Units on every face; what stands behind them."""

import re

import numpy as np
import pytest
import torch
from skimage.segmentation import slic

from xfer import masks
from xfer.errors import InputError
from xfer.explainers.baselines import baseline_images
from xfer.explainers.players import Players
from xfer.explainers.segments import face_players, frame_regions, grid_labels, region_players
from xfer.geometry import load_frame


def photograph() -> np.ndarray:
    """A gradient with two squares (64, 48, 3) in [0, 1]."""
    image = np.stack(np.meshgrid(np.linspace(0, 1, 64), np.linspace(0, 1, 48), indexing="ij"), -1)
    image = np.concatenate([image, np.zeros((64, 48, 1))], -1)
    image[10:30, 10:30] = (0.9, 0.2, 0.1)
    image[40:60, 5:25] = (0.1, 0.2, 0.9)
    return image


def test_slic_as_published() -> None:
    image = photograph()
    tensor = (torch.from_numpy(image).permute(2, 0, 1)[None] - 0.5) / 0.25
    players = face_players(tensor.repeat(2, 1, 1, 1), "slic", mean=0.5, std=0.25)
    expected = slic(image, n_segments=30, compactness=20, start_label=0)
    assert len(np.unique(expected)) == players.counts[0]
    pairs = np.unique(np.stack([players.parts[1].numpy().ravel(), expected.ravel()]), axis=1)
    assert pairs.shape[1] == players.counts[0], "the same parts, whatever their numbers"


def test_a_grid_has_about_as_many_cells_as_asked() -> None:
    for pieces in (1, 2, 30, 49, 100):
        labels = grid_labels((60, 50), pieces)
        assert sorted(np.unique(labels)) == list(range(labels.max() + 1))
        assert abs(labels.max() + 1 - pieces) <= 0.2 * pieces
    assert grid_labels((2, 3), 100).max() + 1 == 6


def test_atoms_are_what_the_same_action_units_cover() -> None:
    labels, names = frame_regions("xfer", smallest=0.0)
    frame = load_frame()
    drawn = masks.action_units("xfer", frame.points[:68], height=275, width=224) >= 0.5
    units = [code.removeprefix("AU") for code in masks.regions.load("xfer").action_units]
    assert len(set(names)) == len(names) == labels.max() + 1
    assert not labels[~frame.support].any()
    for number, name in enumerate(names[2:], start=2):
        own = np.array([unit in name.removeprefix("AU").split("/") for unit in units])
        atom = labels == number
        assert atom.any()
        assert (drawn[:, atom] == own[:, None]).all()
    assert not drawn[:, labels == 1].any()


def test_small_atoms_go_to_larger_ones() -> None:
    fine, names = frame_regions("xfer", smallest=0.0)
    coarse, fewer = frame_regions("xfer")
    support = load_frame().support
    assert set(fewer) < set(names)
    assert np.bincount(coarse.ravel())[2:].min() >= 0.005 * support.sum()
    for number, name in enumerate(fewer):
        assert (coarse[fine == names.index(name)] == number).all()
    assert ((coarse > 1) == (fine > 1)).all()
    assert not coarse.flags.writeable


def test_regions_follow_the_face() -> None:
    frame = load_frame()
    points = torch.from_numpy(np.array(frame.points[:68]))
    shifted = torch.stack([points, points * 0.5 + torch.tensor([20.0, 10.0])])
    players = region_players(shifted, (275, 224))
    labels, names = frame_regions("xfer")
    assert players.names == names
    assert players.counts == (len(names),) * 2
    assert (players.parts[0].numpy() == labels).mean() > 0.995
    half = players.parts[1, 10 : 10 + 137, 20 : 20 + 112].numpy()
    assert (half == labels[:274:2, ::2]).mean() > 0.97
    assert (players.parts[1, 180:] == 0).all()


def test_labels_of_ones_own() -> None:
    labels = torch.tensor([[[3, 7], [7, 3]], [[0, 1], [2, 2]]])
    players = Players.of(labels)
    assert players.counts == (2, 3)
    assert players.parts.tolist() == [[[0, 1], [1, 0]], [[0, 1], [2, 2]]]
    named = Players.of(labels[1:], ("eyes", "nose", "mouth", "chin"))
    assert named.counts == (4,)
    message = "'segments' must be labels 0 to 1, one for each name"
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        Players.of(labels, ("eyes", "nose"))


def test_regions_need_landmarks_that_are_finite() -> None:
    points = torch.zeros(2, 68, 2)
    points[1, 3] = torch.nan
    message = "'landmarks' of face 1 are not finite: 'segments' = 'regions' needs all 68 points"
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        region_players(points, (20, 20))


def test_baselines() -> None:
    images = torch.rand(3, 3, 24, 20, dtype=torch.float64)
    assert (
        baseline_images("black", images, mean=(0.5, 0.25, 0.0), std=0.5)[:, :, 0, 0] == torch.tensor([-1, -0.5, 0])
    ).all()
    blurred = baseline_images("blur", images)
    assert blurred.shape == images.shape
    assert (blurred.std((2, 3)) < 0.8 * images.std((2, 3))).all()
    torch.testing.assert_close(baseline_images("blur", torch.ones_like(images)), torch.ones_like(images))
    noise = baseline_images("noise", images, mean=0.5, std=0.5, seed=3)
    assert -1 <= noise.min() < -0.9
    assert torch.equal(noise[2:], baseline_images("noise", images[2:], mean=0.5, std=0.5, seed=3, start=2))
    assert not torch.equal(noise[0], noise[1])
    mean_face = images.mean(0)
    assert torch.equal(baseline_images(mean_face.numpy(), images)[1], mean_face)
    assert torch.equal(baseline_images(images, images[1:], start=1), images[1:])
