"""The 89 points of a frame on a photographed face."""

from typing import Any

import numpy as np
from array_api_compat import array_namespace, device

from xfer import geometry
from xfer.geometry import CanonicalFrame


def frame_points(points68: Any, frame: CanonicalFrame, image_size: tuple[int, int]) -> Any:
    """Give faces (..., 68, 2) the forehead and corners that the frame has: (..., 89, 2), same kind and dtype.

    A frame whose forehead is its jaw at y = 0 is of the published study's kind: there the face's forehead is
    its own jaw at y = 0, and its corners are those of the photograph. On any other frame both are the
    template's, carried by the similarity transform template -> face (`geometry.extend`).

    Parameters
    ----------
    points68 : array (..., 68, 2)
        iBUG landmarks in px of the photograph; NumPy or torch.
    frame : CanonicalFrame
    image_size : (height, width)
        Of the photograph, in px; only the published kind of frame looks at it.
    """
    if not _is_published_kind(frame):
        return geometry.extend(points68, frame)
    xp = array_namespace(points68)
    like = {"dtype": points68.dtype, "device": device(points68)}
    height, width = image_size
    forehead = points68[..., :17, :] * xp.asarray([1.0, 0.0], **like)
    corners = xp.asarray([[0.0, 0.0], [0.0, height], [width, 0.0], [width, height]], **like)
    corners = xp.broadcast_to(corners, (*points68.shape[:-2], 4, 2))
    return xp.concat([points68, forehead, corners], axis=-2)


def _is_published_kind(frame: CanonicalFrame) -> bool:
    return bool(np.array_equal(frame.points[68:85], frame.points[:17] * [1, 0]))
