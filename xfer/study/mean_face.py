"""The mean face of a study: what stands under a heatmap instead of anybody's picture."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from PIL import Image, PngImagePlugin

from xfer import warping
from xfer.geometry import CanonicalFrame
from xfer.progress import Stage
from xfer.study.folder import FORMAT, write_whole
from xfer.study.recognition import MEAN_FACE
from xfer.training import Pixels

LEAST = 8
"""Of fewer people no mean face is made: one could be recognised."""

_SEEN = 0.05
"""A pixel stays transparent if a smaller share of the people shows it, or fewer than half of `LEAST`."""

TOGETHER = 32


def mean_face(
    pixels: Pixels, indices: ArrayLike, frame: CanonicalFrame, progress: Stage | None = None
) -> tuple[NDArray[np.float32] | None, str]:
    """The mean of some faces in the frame; every person counts once, however many pictures there are.

    Parameters
    ----------
    pixels : Pixels
    indices : sequence of int
        Positions in the data set; faces without a picture or landmarks, or turned too far, are left out.
    frame : CanonicalFrame
    progress : callable, optional
        ``(what, steps) -> advance``; a step is a face.

    Returns
    -------
    array (y, x, 4) or None
        RGB in [0, 1] and, as alpha, the share of the people who show the pixel, 0 where it is too small.
    str
        Why there is none, or "".
    """
    chosen = pixels.usable(indices)
    chosen = chosen[np.isfinite(pixels.landmarks[pixels.rows(chosen)]).all(axis=(1, 2))]
    names = [pixels.subjects[row] for row in pixels.rows(chosen)]
    who, sizes = np.unique(names, return_inverse=True, return_counts=True)[1:]
    total = torch.zeros(4, frame.height, frame.width, dtype=torch.float64)
    there = np.zeros(len(sizes), bool)
    advance = progress("mean face", len(chosen)) if progress else lambda: None
    for start in range(0, len(chosen), TOGETHER):
        part = slice(start, start + TOGETHER)
        images = pixels.images(chosen[part]).float() / 255
        points = torch.from_numpy(pixels.landmarks[pixels.rows(chosen[part])])
        warped = warping.to_frame(images, points, frame)
        there[who[part][warped.kept.numpy()]] = True
        weight = torch.from_numpy(1 / sizes[who[part]]).view(-1, 1, 1, 1)
        seen = warped.values[:, :1].isfinite()
        total[:3] += (warped.values.nan_to_num(0).double() * weight).sum(dim=0)
        total[3:] += (seen * weight).sum(dim=0)
        for _ in range(len(images)):
            advance()
    people = int(there.sum())
    if people < LEAST:
        return None, f"{people} people can be put into the frame; a mean of fewer than {LEAST} could show one of them"
    return _coloured(total.numpy(), people), ""


def _coloured(total: NDArray[np.float64], people: int) -> NDArray[np.float32]:
    shown = total[3] >= max(LEAST / 2, _SEEN * people) - 1e-6
    colour = np.where(shown, total[:3] / np.where(shown, total[3], 1), 0)
    alpha = np.where(shown, total[3] / people, 0)
    return np.moveaxis(np.clip(np.concatenate([colour, alpha[None]]), 0, 1), 0, -1).astype(np.float32)


def write_mean_face(home: Path, face: NDArray[np.floating]) -> None:
    """Write RGBA (y, x, 4) in [0, 1] as the 8-bit ``mean_face.png`` of a study folder; `Study.mean_face` reads it."""
    note = PngImagePlugin.PngInfo()
    note.add_text("format", str(FORMAT))
    picture = Image.fromarray(np.round(np.asarray(face) * 255).astype(np.uint8))
    write_whole(home / MEAN_FACE, lambda aside: picture.save(aside, format="PNG", pnginfo=note))
