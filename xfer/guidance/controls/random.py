"""A place on the face that means nothing."""

from math import pi

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from torch import Tensor
from torch.nn import functional

from xfer import geometry, labels
from xfer.geometry import CanonicalFrame
from xfer.guidance.atlas import Atlas, stretched
from xfer.guidance.controls import CONTROLS, Paint
from xfer.guidance.settings import Guide

EDGE = 4.0
"""Standard deviation of the blobs' edges, px of the canonical frame."""

LONGEST = 2.0
"""The most that a blob is longer than wide, but for where the face ends."""


@CONTROLS.register(
    "random",
    title="a smooth blob somewhere on the face, one for each class, as large as its AU map on the mean face",
    answers="whether any fixed place for each class would do",
)
def random(guide: Guide, atlas: Atlas) -> Paint:
    """Blobs on the canonical frame, brought to each face by the similarity that fits its landmarks best.

    On the mean face a blob is as large as the class's map; on another it differs from it as far as that face's
    proportions do, by a tenth on drawn faces.
    """
    frame = geometry.load_frame()
    blobs = torch.zeros(len(atlas.classes), frame.height, frame.width)
    for label in atlas.named:
        area = float(atlas.on_the_mean_face[label].sum())
        blobs[label] = torch.from_numpy(blob(frame, area, [guide.seed, labels.EXPRESSIONS.index(atlas.classes[label])]))
    home = torch.from_numpy(frame.points[:68].copy())

    def paint(points: Tensor, labels: Tensor, height: int, width: int) -> Tensor:
        back = geometry.similarity(points.double(), home.to(points.device))
        row = back.new_tensor([0.0, 0.0, 1.0]).expand(len(points), 1, 3)
        theta = _unit(frame.width, frame.height, back) @ torch.cat([back, row], 1) @ _pixels(width, height, back)
        grid = functional.affine_grid(theta[:, :2].float(), [len(points), 1, height, width], align_corners=False)
        chosen = blobs.to(points.device)[labels][:, None]
        return stretched(functional.grid_sample(chosen, grid, align_corners=False)[:, 0])

    return paint


def _pixels(width: int, height: int, like: Tensor) -> Tensor:
    """From a canvas' [-1, 1] to its px, (3, 3)."""
    return like.new_tensor([[width / 2, 0, (width - 1) / 2], [0, height / 2, (height - 1) / 2], [0, 0, 1]])


def _unit(width: int, height: int, like: Tensor) -> Tensor:
    """From a canvas' px to its [-1, 1], (3, 3)."""
    return torch.linalg.inv(_pixels(width, height, like))


def blob(frame: CanonicalFrame, area: float, seed: list[int]) -> NDArray[np.float32]:
    """One blob on a frame (y, x) in [0, 1] whose values sum to an area, px.

    The pixels of the frame's support that are nearest to one of them, by the metric of an ellipse that lies anyhow,
    with a soft edge.
    """
    rng = np.random.default_rng(seed)
    places = np.argwhere(frame.support)
    centre, angle, longer = rng.choice(places), rng.uniform(0, pi), rng.uniform(1, LONGEST)
    y, x = (places - centre).T
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    nearest = np.argsort(along**2 / longer + across**2 * longer, kind="stable")[: round(area)]
    drawn = np.zeros((frame.height, frame.width), np.float32)
    drawn[tuple(places[nearest].T)] = 1
    return gaussian_filter(drawn, EDGE)
