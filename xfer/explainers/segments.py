"""How faces are cut into players: SLIC, a grid, or the regions of Action Units in the canonical frame."""

from collections.abc import Sequence
from functools import lru_cache
from math import ceil, sqrt
from typing import Any

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt
from skimage.segmentation import slic
from torch import Tensor

from xfer import masks
from xfer.errors import InputError
from xfer.explainers.players import Players
from xfer.geometry import MESH_POINTS, load_frame
from xfer.masks.regions import load as load_regions
from xfer.warping import from_frame

__all__ = ["SEGMENTS", "face_players", "frame_regions", "grid_labels", "region_players", "slic_labels"]

SEGMENTS = ("slic", "grid", "regions")
"""Players by name."""

BACKGROUND, REST = "background", "face"
"""The players that no Action Unit moves: beside the face, and what is left of it."""

SMALLEST = 0.005
"""The share of the frame's support below which an atom of regions is given to its neighbours."""


def slic_labels(image: np.ndarray, pieces: int, compactness: float) -> np.ndarray:
    """Superpixels of an image (y, x, channel) in [0, 1]: labels (y, x) from 0.

    Parameters
    ----------
    image : array (y, x, channel)
    pieces : int
        About how many.
    compactness : float

    References
    ----------
    Achanta et al. 2012, doi:10.1109/TPAMI.2012.120, as scikit-image has it; the published study takes 30 pieces and a
    compactness of 20.

    >>> np.unique(slic_labels(np.zeros((12, 12, 3)), 4, 20.0)).tolist()
    [0, 1, 2, 3]
    """
    found = slic(image, n_segments=pieces, compactness=compactness, start_label=0, channel_axis=-1)
    return np.unique(found, return_inverse=True)[1].reshape(found.shape)


def grid_labels(size: tuple[int, int], pieces: int) -> np.ndarray:
    """A grid of about so many cells, as square as the image allows: labels (y, x) from 0.

    >>> grid_labels((2, 4), 2).tolist()
    [[0, 0, 1, 1], [0, 0, 1, 1]]
    """
    height, width = size
    rows = min(max(1, round(sqrt(pieces * height / width))), height)
    columns = min(max(1, ceil(pieces / rows)), width)
    down, across = np.arange(height) * rows // height, np.arange(width) * columns // width
    labels: np.ndarray = down[:, None] * columns + across
    return labels


@lru_cache(maxsize=8)
def frame_regions(regions: str, frame: str = "xfer", smallest: float = SMALLEST) -> tuple[np.ndarray, tuple[str, ...]]:
    """A canonical frame cut into disjoint atoms: each the pixels that the same Action Units cover.

    Parameters
    ----------
    regions : str
        A region source of `xfer.masks`.
    frame : str
        As in `xfer.geometry.load_frame`.
    smallest : float
        Atoms below this share of the frame's support go, pixel by pixel, to the nearest larger one.

    Returns
    -------
    labels : int array (y, x)
        Read-only.
    names : tuple of str
        ``"background"``, ``"face"`` (what no Action Unit covers), then atoms such as ``"AU12/14/15"``, by number.

    Raises
    ------
    InputError
        If there are no such regions or frame.

    Examples
    --------
    >>> labels, names = frame_regions("xfer")
    >>> labels.shape, names[:2], int(labels[0, 0])
    ((275, 224), ('background', 'face'), 0)
    """
    canvas, source = load_frame(frame), load_regions(regions)
    points = canvas.points if source.drawing.points != MESH_POINTS else canvas.mesh
    if points is None:
        raise InputError(f"regions {regions!r} are drawn on the face mesh, which frame {canvas.name!r} does not have")
    maps = masks.action_units(source, points, height=canvas.height, width=canvas.width)
    covered = (maps >= masks.REGION) & canvas.support
    codes, labels, areas = np.unique(covered.reshape(len(covered), -1), axis=1, return_inverse=True, return_counts=True)
    labels = labels.reshape(canvas.support.shape)
    large = np.flatnonzero(codes.any(0) & (areas >= smallest * canvas.support.sum()))
    order = sorted(large, key=lambda atom: tuple(np.flatnonzero(codes[:, atom])))
    numbers = np.full(codes.shape[1], -1)
    numbers[order] = np.arange(2, len(order) + 2)
    found = np.where(codes.any(0), numbers, 1)[labels] * canvas.support
    nearest = distance_transform_edt((found < 2), return_distances=False, return_indices=True)
    found = np.where(found < 0, found[tuple(nearest)], found)
    found.flags.writeable = False
    units = list(source.action_units)
    return found, (BACKGROUND, REST, *(_name([units[unit] for unit in np.flatnonzero(codes[:, a])]) for a in order))


def _name(codes: Sequence[str]) -> str:
    return "AU" + "/".join(code.removeprefix("AU") for code in codes)


def region_players(
    landmarks: Tensor, size: tuple[int, int], regions: str = "xfer", frame: str = "xfer", smallest: float = SMALLEST
) -> Players:
    """The atoms of `frame_regions` on every face, the same players on all.

    Parameters
    ----------
    landmarks : tensor (face, 68, 2)
        In px of the images.
    size : (int, int)
        Height and width of the images, px.
    regions, frame, smallest
        As in `frame_regions`.

    Raises
    ------
    InputError
        If a landmark is not a finite number.
    """
    bad = (~landmarks.isfinite().flatten(1).all(1)).nonzero()
    if len(bad):
        raise InputError(
            f"'landmarks' of face {int(bad[0])} are not finite: 'segments' = 'regions' needs all 68 points"
        )
    labels, names = frame_regions(regions, frame, smallest)
    drawn = torch.from_numpy(labels.astype(np.float32)).to(landmarks.device).expand(len(landmarks), 1, -1, -1)
    placed = from_frame(drawn, landmarks, size, load_frame(frame), mode="nearest")
    return Players.of(placed.nan_to_num(0.0)[:, 0].round().long(), names)


def face_players(
    images: Tensor,
    segments: Any,
    start: int = 0,
    *,
    pieces: int = 30,
    compactness: float = 20.0,
    regions: str = "xfer",
    landmarks: Any = None,
    mean: float | Sequence[float] = 0.0,
    std: float | Sequence[float] = 1.0,
) -> Players:
    """The players of a batch of faces.

    Parameters
    ----------
    images : tensor (face, channel, y, x)
        As the network gets them.
    segments : str or array
        One of `SEGMENTS`; or labels (face, y, x), or soft parts (face, player, y, x), of all faces.
    start : int
        The position of the batch's first face among those that arrays are given for.
    pieces, compactness
        Of SLIC and the grid.
    regions, landmarks
        Of `region_players`, for all faces.
    mean, std : float or sequence of float
        What preprocessing subtracted and divided by, in [0, 1]: SLIC sees the photograph.

    Raises
    ------
    InputError
        If an array does not fit the images.
    """
    size, own = (images.shape[-2], images.shape[-1]), slice(start, start + len(images))
    if not isinstance(segments, str):
        given = torch.as_tensor(segments)[own].to(images.device)
        if tuple(given.shape[-2:]) != size or given.ndim not in (3, 4):
            raise InputError(
                f"'segments' must be labels (face, y, x) or soft parts (face, player, y, x) on images of "
                f"{size[0]} x {size[1]} px; got an array of shape {tuple(torch.as_tensor(segments).shape)}"
            )
        return Players.of(given)
    if segments == "regions":
        points = torch.as_tensor(landmarks)[own].to(images.device, torch.float64)
        return region_players(points, size, regions)
    if segments == "grid":
        labels = torch.from_numpy(grid_labels(size, pieces)).to(images.device)
        return Players.of(labels.expand(len(images), -1, -1))
    middle, spread = (torch.as_tensor(each).reshape(-1, 1, 1) for each in (mean, std))
    photographs = (images.detach().cpu().double() * spread + middle).clamp(0, 1).permute(0, 2, 3, 1).numpy()
    found = [slic_labels(np.ascontiguousarray(photograph), pieces, compactness) for photograph in photographs]
    return Players.of(torch.from_numpy(np.stack(found)).to(images.device))
