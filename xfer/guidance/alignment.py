"""How near attention is to AU maps, as the published study measures it, and what scores as well without looking."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.nn import functional

from xfer import masks
from xfer.guidance.atlas import Atlas, stretched
from xfer.masks import MERGES
from xfer.rasteriser import rescale

FLOORS = ("uniform", "gaussian", "all_au", "mean")
"""The trivial maps: the same everywhere, a blob in the middle, every Action Unit, the mean of the expressions."""

SPREAD, CENTRE = 45 / 224, (112 / 224, 125 / 224)
"""Standard deviation and (x, y) of the Gaussian, in sides of the image."""

SOFT = 28
"""Side of the grid, px, on which the published maps are softened."""


def attention_cosine(attention: Tensor, maps: Tensor, *, published: bool = False) -> Tensor:
    """ATT-COS: the cosine of a layer's mean over channels and the AU map.

    Parameters
    ----------
    attention : Tensor (face, y, x)
        Brought to the maps' size (bilinear); where negative, its least value is taken off.
    maps : Tensor (face, y, x)
    published : bool
        0 instead of NaN where it is undefined, as the study counts it.

    Returns
    -------
    Tensor (face,)
        In [0, 1]; NaN where the attention or the map is 0 everywhere or not finite.

    References
    ----------
    Belharbi et al. 2024, doi:10.48550/arXiv.2402.00281.

    >>> attention_cosine(torch.tensor([[[-1.0, 0.0]], [[0.0, 0.0]]]), torch.tensor([[[0.0, 1.0]]])).tolist()
    [1.0, nan]
    """
    drawn = _sized(attention, maps)
    return _cosine(drawn - drawn.amin((-2, -1), keepdim=True).clamp_max(0), maps, published)


def cam_cosine(cams: Tensor, maps: Tensor, *, published: bool = False) -> Tensor:
    """CAM-COS: the cosine of the true class's CAM, stretched to [0, 1], and the AU map; as `attention_cosine`.

    A CAM that is the same everywhere is undefined.

    >>> cam_cosine(torch.tensor([[[3.0, 5.0]], [[2.0, 2.0]]]), torch.tensor([[[0.0, 1.0]]])).tolist()
    [1.0, nan]
    """
    return _cosine(_sized(stretched(cams), maps), maps, published)


def _sized(drawn: Tensor, maps: Tensor) -> Tensor:
    if drawn.shape[-2:] == maps.shape[-2:]:
        return drawn
    return functional.interpolate(drawn[:, None], maps.shape[-2:], mode="bilinear", align_corners=False)[:, 0]


def _cosine(drawn: Tensor, maps: Tensor, published: bool) -> Tensor:
    ones, others = drawn.flatten(1).double(), maps.flatten(1).double()
    cosines = (ones * others).sum(1) / (ones.norm(dim=1) * others.norm(dim=1))
    return cosines.nan_to_num(0.0) if published else cosines


def class_maps(source: str, classes: Sequence[str], points: ArrayLike, size: int, *, softened: bool = False) -> Tensor:
    """The AU map of each class on one face.

    Parameters
    ----------
    source : str
        A mask source.
    classes : sequence of str
    points : array (68, 2)
        (x, y) in px of the image.
    size : int
        Side of the image, px.
    softened : bool
        As the published study makes its maps: each Action Unit is drawn on 28 x 28, blurred by a box of 3 x 3 and
        brought back, and only then merged.

    Returns
    -------
    Tensor (class, size, size)
        float32, each from 0 to 1; NaN for a class without Action Units.
    """
    atlas, face = Atlas(source, classes), torch.from_numpy(np.array(points, np.float64))
    if softened:
        drawn = [_softened(atlas, face, size, [name]) if i in atlas.named else None for i, name in enumerate(classes)]
        return torch.stack([torch.full((size, size), torch.nan) if one is None else one for one in drawn])
    return atlas.draw(face.expand(len(classes), -1, -1), torch.arange(len(classes)), size, size)


def floors(
    source: str, classes: Sequence[str], points: ArrayLike, size: int, *, softened: bool = False
) -> dict[str, NDArray[np.float32]]:
    """Maps that know nothing of the expression; what they score is the floor of a score against AU maps.

    Parameters
    ----------
    source, classes, points, size, softened
        As for `class_maps`.

    Returns
    -------
    dict of str to array (size, size)
        `FLOORS`: 1 everywhere; a Gaussian of 45 px of 224, centred as on the published crops; the union of all
        Action Units that the source places (of all its expressions where it draws those); the mean of the classes'
        maps. Each from 0 to 1.

    Examples
    --------
    >>> from xfer import geometry
    >>> face = geometry.load_frame().points[:68] * 56 / 275
    >>> found = floors("belharbi2024", ["fear", "anger"], face, 56)
    >>> {name: round(float(map_.mean()), 2) for name, map_ in found.items()}
    {'uniform': 1.0, 'gaussian': 0.25, 'all_au': 0.22, 'mean': 0.12}
    """
    atlas, face = Atlas(source, classes), torch.from_numpy(np.array(points, np.float64))
    maps = class_maps(source, classes, points, size, softened=softened)[list(atlas.named)]
    if softened:
        union = _softened(atlas, face, size, None)
    else:
        union = stretched(torch.stack(_parts(atlas, face, size, None)).amax(0)[None])[0]
    y, x = np.mgrid[:size, :size] / size
    square = (x - CENTRE[0]) ** 2 + (y - CENTRE[1]) ** 2
    found = (np.ones((size, size)), np.exp(-square / (2 * SPREAD**2)), union.numpy(), stretched(maps.mean(0)[None])[0])
    return {name: np.asarray(map_, np.float32) for name, map_ in zip(FLOORS, found, strict=True)}


def _parts(atlas: Atlas, face: Tensor, size: int, expressions: Sequence[str] | None) -> list[Tensor]:
    """The maps that an expression, or all a source has, is merged from: of Action Units, or of expressions."""
    source = atlas.source
    if source.regions is None:
        return list(masks.expression_masks(face, source, height=size, width=size, expressions=expressions))
    book = source.codebook.expressions
    units = list(source.regions.action_units)
    drawn = dict(zip(units, masks.action_units(source.regions, face, height=size, width=size), strict=True))
    return [drawn[code] for code in (book[expressions[0]].weights if expressions else units)]


def _softened(atlas: Atlas, face: Tensor, size: int, expressions: Sequence[str] | None) -> Tensor:
    """The softened map of one expression, or of all a source has."""
    small = torch.stack(_parts(atlas, rescale(face, SOFT / size), SOFT, expressions))[:, None]
    blurred = functional.avg_pool2d(functional.pad(small, (1, 1, 1, 1), mode="reflect"), 3, 1)
    parts = functional.interpolate(blurred, (size, size), mode="bilinear", align_corners=False)[:, 0]
    if expressions is None or atlas.source.regions is None:
        return stretched(parts.amax(0)[None])[0]
    weights = tuple(atlas.source.codebook.expressions[expressions[0]].weights.values())
    return stretched(MERGES[atlas.source.merge](list(parts), weights)[None])[0]
