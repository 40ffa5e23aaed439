"""A picture of one's own, or a drawn one, on the canonical frame; it stays in memory."""

import functools
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from xfer import geometry, landmarkers, warping
from xfer.datasets import synthetic
from xfer.datasets.images import decode_bytes
from xfer.errors import InputError
from xfer.geometry import CanonicalFrame

LARGEST = 1024
"""The longer side in px at which a picture is looked at: some four times the frame's."""
_NOBODY, _SIDE = 12, 448
"""The identity of the drawn face, and the side of its picture in px."""


@dataclass(frozen=True, eq=False)
class OwnFace:
    """One face on the frame.

    Attributes
    ----------
    picture : float32 array (y, x, 4)
        RGBA in [0, 1]; alpha is 0 where the photograph shows nothing.
    notes : tuple of str
        What was done to the photograph, or chosen in it.
    """

    picture: NDArray[np.float32]
    notes: tuple[str, ...]


def own_face(content: bytes, name: str, frame: CanonicalFrame, landmarker: str = "mediapipe") -> OwnFace:
    """Place the face of a photograph in the frame by its landmarks; nothing is written.

    Parameters
    ----------
    content : bytes
        Of a picture file.
    name : str
        What messages call it.
    frame : CanonicalFrame
    landmarker : str
        As `xfer.landmarkers.open` takes.

    Raises
    ------
    InputError
        If it is no picture, shows no face, or one that is turned too far, or the landmarker cannot be opened.
    """
    picture = decode_bytes(content, name)
    height, width = picture.shape[:2]
    notes = []
    if max(height, width) > LARGEST:
        picture = _shrunk(picture)
        notes.append(f"{height * width / 1e6:.1f} megapixels, looked at with {LARGEST} px on the longer side")
    with landmarkers.open(landmarker) as finder:
        found = finder(picture)
    if found.points is None:
        raise InputError(f"{name}: {found.reason} was found; one that looks at the camera and fills a quarter is best")
    if found.n_faces > 1:
        notes.append(f"{found.n_faces} faces, the largest and most central one is taken")
    placed = _placed(picture, np.asarray(found.points, np.float32), frame)
    if placed is None:
        raise InputError(f"{name}: the face is turned too far to the side to be placed in the frame")
    return OwnFace(placed, tuple(notes))


@functools.cache
def drawn_face(name: str = "xfer") -> NDArray[np.float32]:
    """A drawn neutral face, which is nobody's, on a frame: RGBA (y, x, 4) in [0, 1].

    Parameters
    ----------
    name : str
        As `xfer.geometry.load_frame` takes.

    >>> drawn_face().shape
    (275, 224, 4)
    """
    face = synthetic.Face(_NOBODY, noise=0.0)
    points = synthetic.landmarks(face, _SIDE).astype(np.float32)
    placed = _placed(synthetic.draw(face, _SIDE), points, geometry.load_frame(name))
    assert placed is not None
    placed.flags.writeable = False
    return placed


def _placed(
    picture: NDArray[np.uint8], points: NDArray[np.float32], frame: CanonicalFrame
) -> NDArray[np.float32] | None:
    """A picture on the frame; None where too much of the face is turned away."""
    images = torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 255
    warped = warping.to_frame(images, torch.from_numpy(points)[None], frame)
    if not bool(warped.kept[0]):
        return None
    colour = warped.values[0].permute(1, 2, 0).numpy()
    seen = np.isfinite(colour).all(axis=-1, keepdims=True)
    return np.concatenate([np.where(seen, colour, 0), seen], axis=-1).astype(np.float32)


def _shrunk(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    image = Image.fromarray(picture)
    image.thumbnail((LARGEST, LARGEST), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return np.asarray(image)
