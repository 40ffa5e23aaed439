"""How near attention is to AU maps, as the published study measures it, and what scores as well without looking."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor
from torch.nn import functional

from xfer import geometry, masks
from xfer.guidance.atlas import Atlas, stretched
from xfer.masks import MERGES, Source
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
    return _maps(Atlas(source, classes), _face(points), size, softened)


def _face(points: ArrayLike) -> Tensor:
    return torch.from_numpy(np.array(points, np.float64))


def _maps(atlas: Atlas, face: Tensor, size: int, softened: bool) -> Tensor:
    if not softened:
        return atlas.draw(face.expand(len(atlas.classes), -1, -1), torch.arange(len(atlas.classes)), size, size)
    parts, book = _parts(atlas.source, face, size, softened), atlas.source.codebook.expressions
    maps = torch.full((len(atlas.classes), size, size), torch.nan)
    for label in atlas.named:
        name = atlas.classes[label]
        weights = book[name].weights or {name: 1.0}
        maps[label] = MERGES[atlas.source.merge]([parts[part] for part in weights], tuple(weights.values()))
    return stretched(maps)


def _parts(source: Source, face: Tensor, size: int, softened: bool) -> dict[str, Tensor]:
    """The maps that a source merges: of its Action Units, or, where it draws those, of its expressions."""
    side = SOFT if softened else size
    points = rescale(face, side / size)
    if source.regions is None:
        names, drawn = source.expressions, masks.expression_masks(points, source, height=side, width=side)
    else:
        names = tuple(source.regions.action_units)
        drawn = masks.action_units(source.regions, points, height=side, width=side)
    if softened:
        blurred = functional.avg_pool2d(functional.pad(drawn[:, None], (1, 1, 1, 1), mode="reflect"), 3, 1)
        drawn = functional.interpolate(blurred, (size, size), mode="bilinear", align_corners=False)[:, 0]
    return dict(zip(names, drawn, strict=True))


def likeness(atlas: Atlas) -> NDArray[np.float64]:
    """Cosines of the softened maps of the classes with Action Units on the mean face (class, class)."""
    frame = geometry.load_frame()
    maps = _maps(atlas, _face(frame.points[:68]), frame.height, softened=True)[list(atlas.named)]
    flat = functional.normalize(maps.flatten(1).double())
    return (flat @ flat.T).numpy()


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
    {'uniform': 1.0, 'gaussian': 0.25, 'all_au': 0.36, 'mean': 0.17}
    """
    atlas, face = Atlas(source, classes), _face(points)
    maps = _maps(atlas, face, size, softened)[list(atlas.named)]
    every = torch.stack(list(_parts(atlas.source, face, size, softened).values())).amax(0)
    y, x = np.mgrid[:size, :size] / size
    gaussian = np.exp(-((x - CENTRE[0]) ** 2 + (y - CENTRE[1]) ** 2) / (2 * SPREAD**2))
    found = (np.ones((size, size)), gaussian, *stretched(torch.stack([every, maps.mean(0)])).numpy())
    return {name: np.asarray(map_, np.float32) for name, map_ in zip(FLOORS, found, strict=True)}
