"""What training changes in its faces at random; the landmarks go with every move."""

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torchvision.transforms.v2 import functional as pictures

from xfer import geometry
from xfer.training.settings import Settings

COLOURS = (0.4, 0.4, 0.4, 0.1)
"""The largest changes of brightness, contrast and saturation, relative, and of hue, in turns of the colour circle."""
ERASED, SLIM = (0.02, 0.33), 3.3
"""The share of a face that is erased, from and to, and how many times as long as wide, or wide as long, that may be."""

Draw: TypeAlias = Callable[..., Tensor]
"""``(*shape) -> Tensor (face, *shape)``: numbers from [0, 1) for every face."""


def augment(
    images: Tensor,
    landmarks: Tensor,
    settings: Settings,
    generator: torch.Generator,
    *,
    places: NDArray[np.intp] | None = None,
    among: int = 0,
) -> tuple[Tensor, Tensor]:
    """Mirror, turn, move and crop faces and change their contrast and colours at random; the landmarks go with them.

    Parameters
    ----------
    images : Tensor (face, 3, size, size)
        In [0, 1]. Pixels from beyond the border repeat it.
    landmarks : Tensor (face, 68, 2)
        (x, y), px; points keep their iBUG names in a mirrored face, and may lie outside a cropped one.
    settings : Settings
    generator : torch.Generator
        The same numbers are drawn for `flip`, `rotation`, `shift` and `contrast` whatever these are, and after them
        the same for `crop`, `grey`, `colour` and `erasing` where any of these is asked for.
    places : array (face,), optional
        Where the faces stand in a batch of `among` faces, for which numbers are drawn: a face is changed the same
        whatever part of its batch is there. The faces are the batch by default.
    among : int

    Returns
    -------
    images, landmarks : Tensor
    """
    n, size = len(images), images.shape[-1]
    chosen = np.arange(n) if places is None else places

    def draw(*shape: int) -> Tensor:
        return torch.rand(among or n, *shape, generator=generator)[chosen]

    mirrored = (draw() < 0.5) & settings.flip
    angle = torch.deg2rad(_between(settings.rotation, draw))
    shift = torch.stack([_between(settings.shift, draw) for _ in "xy"], dim=1)
    contrast = 1 + _between(settings.contrast, draw)
    side, middle = _crops(settings, draw) if settings.varied else (torch.ones(n), torch.zeros(n, 2))
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], dim=1).reshape(n, 2, 2)
    turn = turn * torch.where(mirrored, -1.0, 1.0)[:, None, None] ** torch.tensor([[1.0, 0.0]])
    if settings.flip and not (settings.rotation or settings.shift or settings.crop):
        moved = torch.where(mirrored[:, None, None, None], images.flip(-1), images)
    else:
        back = turn.mT
        offset = back @ (middle - 2 * shift)[..., None]
        theta = torch.cat([back * side[:, None, None], offset], dim=2)
        grid = functional.affine_grid(theta, list(images.shape), False)
        moved = functional.grid_sample(images, grid, "bilinear", "border", False)
    if settings.contrast:
        grey = moved.mean(dim=(1, 2, 3), keepdim=True)
        moved = (grey + contrast[:, None, None, None] * (moved - grey)).clamp(0, 1)
    if settings.varied:
        moved = _erased(_recoloured(moved, settings, draw), settings, draw)
    named = torch.where(mirrored[:, None, None], landmarks[:, geometry.mirror(68).tolist()], landmarks)
    centre = (size - 1) / 2
    turned = (named - centre) @ turn.mT + (shift - middle / 2)[:, None] * size
    return moved, turned / side[:, None, None] + centre


def _between(largest: float, draw: Draw) -> Tensor:
    return (2 * draw() - 1) * largest


def _crops(settings: Settings, draw: Draw) -> tuple[Tensor, Tensor]:
    """Squares inside the picture: their sides (face,) in sides of it, their middles (face, 2), from -1 to 1."""
    side = (1 - settings.crop * draw()).sqrt()
    middle = (2 * draw(2) - 1) * (1 - side)[:, None]
    return side, middle


def _recoloured(images: Tensor, settings: Settings, draw: Draw) -> Tensor:
    """Some faces in shades of grey, and some in other colours, as torchvision's ``ColorJitter`` changes them."""
    grey = draw() < settings.grey
    changed = draw() < settings.colour
    by = (2 * draw(4) - 1) * torch.tensor(COLOURS)
    orders = draw(4).argsort(dim=1)
    changes = (pictures.adjust_brightness, pictures.adjust_contrast, pictures.adjust_saturation, pictures.adjust_hue)
    images = torch.where(grey[:, None, None, None], pictures.rgb_to_grayscale(images, 3), images)
    for face in changed.nonzero().flatten().tolist():
        for kind in orders[face].tolist():
            value = float(by[face, kind]) + (kind < 3)
            images[face] = changes[kind](images[face], value)
    return images


def _erased(images: Tensor, settings: Settings, draw: Draw) -> Tensor:
    """Some faces with a rectangle in the mean colour of the settings, as torchvision's ``RandomErasing`` erases."""
    size = images.shape[-1]
    erased = draw() < settings.erasing
    low, high = ERASED
    share = low + (high - low) * draw()
    slim = SLIM ** (2 * draw() - 1)
    sides = (torch.stack([share * slim, share / slim], dim=1).sqrt() * size).round().clamp(1, size - 1).long()
    corners = (draw(2) * (size + 1 - sides)).long()
    colour = torch.tensor(settings.mean).reshape(3, 1, 1)
    for face in erased.nonzero().flatten().tolist():
        (top, left), (height, width) = corners[face].tolist(), sides[face].tolist()
        images[face, :, top : top + height, left : left + width] = colour
    return images
