"""Faces drawn twice: what an Action Unit, or a planted cue, alters in the picture."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation

from xfer.datasets.synthetic import cues
from xfer.datasets.synthetic.drawing import draw
from xfer.datasets.synthetic.face import Face, with_action_unit


def intervene(face: Face, code: str, intensity: float, size: int) -> tuple[Face, NDArray[np.uint8], NDArray[np.bool_]]:
    """Draw the same face with one Action Unit changed: the true intervention on that AU.

    Parameters
    ----------
    face : Face
        The face as it is.
    code : str
        The Action Unit, as in ``"AU12"``.
    intensity : float
        Its new intensity in [0, 1].
    size : int
        Side of the picture in px.

    Returns
    -------
    changed : Face
        The face with that intensity.
    picture : (size, size, 3) uint8 array
        The changed face.
    altered : (size, size) bool array
        Pixels that differ from ``draw(face, size)`` in any channel.

    Raises
    ------
    InputError
        If the code cannot be drawn or the intensity lies outside [0, 1].
    """
    changed = with_action_unit(face, code, intensity)
    picture = draw(changed, size)
    return changed, picture, (picture != draw(face, size)).any(axis=-1)


def cue_region(face: Face, cue: str, size: int) -> NDArray[np.bool_]:
    """Where a planted cue can be seen on a face: the pixels that differ between any two of its codes.

    Parameters
    ----------
    face : Face
        The face, with or without the cue.
    cue : str
        One of `cues.CUES`.
    size : int
        Side of the picture in px.

    Returns
    -------
    (size, size) bool array
        The same for every code, so that the region itself does not tell the class. Where Action Units carry the
        cue it is a pixel wider than what full intensity alters: weaker ones can round a border pixel otherwise.
    """
    without = draw(cues.remove(face, cue), size)
    planted = (draw(cues.plant(face, cue, code, 1.0), size) for code in range(cues.capacity(cue)))
    altered = np.logical_or.reduce([(picture != without).any(axis=-1) for picture in planted])
    return binary_dilation(altered) if cue in cues.PARTS else altered
