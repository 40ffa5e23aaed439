"""How alike the AU maps of two classes are, with maps as the published study makes them."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from xfer import geometry, masks
from xfer.guidance.atlas import Atlas, stretched
from xfer.masks import MERGES, Source
from xfer.rasteriser import rescale

SOFT = 28
"""Side of the grid, px, on which the published maps are softened."""


def softened_maps(atlas: Atlas, points: Tensor, size: int) -> Tensor:
    """The AU map of each class on one face, as the published study makes it.

    Each Action Unit is drawn on 28 x 28, blurred by a box of 3 x 3 and brought back, and only then merged.

    Parameters
    ----------
    atlas : Atlas
    points : Tensor (68, 2)
        (x, y) in px of the image.
    size : int
        Side of the image, px.

    Returns
    -------
    Tensor (class, size, size)
        float32, each from 0 to 1; NaN for a class without Action Units.

    References
    ----------
    Belharbi et al. 2024, doi:10.48550/arXiv.2402.00281.
    """
    parts, book = _parts(atlas.source, points, size), atlas.source.codebook.expressions
    maps = torch.full((len(atlas.classes), size, size), torch.nan)
    for label in atlas.named:
        name = atlas.classes[label]
        weights = book[name].weights or {name: 1.0}
        maps[label] = MERGES[atlas.source.merge]([parts[part] for part in weights], tuple(weights.values()))
    return stretched(maps)


def _parts(source: Source, points: Tensor, size: int) -> dict[str, Tensor]:
    """The maps that a source merges: of its Action Units, or, where it draws those, of its expressions."""
    small = rescale(points, SOFT / size)
    if source.regions is None:
        names, drawn = source.expressions, masks.expression_masks(small, source, height=SOFT, width=SOFT)
    else:
        names = tuple(source.regions.action_units)
        drawn = masks.action_units(source.regions, small, height=SOFT, width=SOFT)
    blurred = functional.avg_pool2d(functional.pad(drawn[:, None], (1, 1, 1, 1), mode="reflect"), 3, 1)
    enlarged = functional.interpolate(blurred, (size, size), mode="bilinear", align_corners=False)[:, 0]
    return dict(zip(names, enlarged, strict=True))


def likeness(atlas: Atlas) -> NDArray[np.float64]:
    """Cosines of the softened maps of the classes with Action Units on the mean face (class, class)."""
    frame = geometry.load_frame()
    maps = softened_maps(atlas, torch.from_numpy(frame.points[:68].copy()), frame.height)[list(atlas.named)]
    flat = functional.normalize(maps.flatten(1).double())
    return (flat @ flat.T).numpy()
