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
    title="a smooth blob somewhere on the face, one for each class, as large as the class's AU map",
    answers="whether any fixed place for each class would do",
)
def random(guide: Guide, atlas: Atlas) -> Paint:
    """Blobs on the canonical frame, brought to each face by the similarity that fits its landmarks best."""
    frame = geometry.load_frame()
    blobs = torch.zeros(len(atlas.classes), frame.height, frame.width)
    for label in atlas.named:
        area = float(atlas.on_the_mean_face[label].sum())
        blobs[label] = torch.from_numpy(blob(frame, area, [guide.seed, labels.EXPRESSIONS.index(atlas.classes[label])]))
    home = torch.from_numpy(frame.points[:68].copy()).float()
    extent = torch.tensor([frame.width, frame.height])

    def paint(points: Tensor, labels: Tensor, height: int, width: int) -> Tensor:
        back = geometry.similarity(points.float(), home.to(points.device))
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        pixels = torch.stack([x, y], -1).reshape(1, -1, 2).to(back)
        there = (2 * geometry.apply(back, pixels) + 1) / extent.to(back) - 1
        chosen = blobs.to(back.device)[labels][:, None]
        drawn = functional.grid_sample(chosen, there.reshape(-1, height, width, 2), align_corners=False)
        return stretched(drawn[:, 0])

    return paint


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
