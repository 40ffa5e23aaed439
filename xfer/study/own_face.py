"""A picture of one's own on the canonical frame; it stays in memory."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from xfer import landmarkers, warping
from xfer.datasets.images import decode_bytes
from xfer.errors import InputError
from xfer.geometry import CanonicalFrame

LARGEST = 1024
"""The longer side in px at which a picture is looked at: some four times the frame's."""


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
    images = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255
    points = torch.from_numpy(np.asarray(found.points, np.float32))[None]
    warped = warping.to_frame(images, points, frame)
    if not bool(warped.kept[0]):
        raise InputError(f"{name}: the face is turned too far to the side to be placed in the frame")
    colour = warped.values[0].permute(1, 2, 0).numpy()
    seen = np.isfinite(colour).all(axis=-1, keepdims=True)
    made = np.concatenate([np.where(seen, colour, 0), seen], axis=-1).astype(np.float32)
    return OwnFace(made, tuple(notes))


def _shrunk(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    image = Image.fromarray(picture)
    image.thumbnail((LARGEST, LARGEST), Image.Resampling.BILINEAR, reducing_gap=2.0)
    return np.asarray(image)
