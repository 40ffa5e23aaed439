"""A face as a picture."""

import numpy as np
from numpy.typing import NDArray

from xfer.datasets.synthetic import cues, features, skin, surroundings
from xfer.datasets.synthetic.anatomy import INDEX
from xfer.datasets.synthetic.canvas import WHOLE, Canvas, edge
from xfer.datasets.synthetic.face import Face, with_action_unit
from xfer.datasets.synthetic.identity import identity
from xfer.datasets.synthetic.projection import frame, head, upright
from xfer.errors import InputError

SMALLEST = 16
"""The smallest picture in px that still shows a face."""


def draw(face: Face, size: int) -> NDArray[np.uint8]:
    """Draw a face.

    Parameters
    ----------
    face : Face
        What to draw.
    size : int
        Side of the picture in px, at least 16.

    Returns
    -------
    (size, size, 3) uint8 array
        RGB; the same bytes for an equal face.

    Raises
    ------
    InputError
        If the size is below 16.
    """
    if size < SMALLEST:
        raise InputError(f"'size' must be at least {SMALLEST} px; got {size}")
    canvas = Canvas(size, *frame(face, size))
    person = identity(face.identity)
    solid = head(face)
    points, skull = upright(face, solid)
    shape = skin.outline(canvas, points[:17], skull)
    ground = skin.relief_of(face, canvas, solid)
    light, gloss = skin.shading(face, canvas, shape, ground)
    exposure = skin.light_colour(face.light).astype(np.float32)
    surroundings.background(canvas, face.scene)
    cues.paint_backdrop(canvas, face)
    surroundings.hair_behind(canvas, person, points[:17])
    surroundings.body(canvas, person, points, exposure)
    surroundings.ears(canvas, person, points[:17], face.yaw, light)
    colour = (skin.albedo(face, canvas, points, ground) * light + gloss) * exposure[:, None, None]
    canvas.blend(WHOLE, edge(shape.border - shape.distance, 1.5 * canvas.pixel), colour)
    globes = points[[INDEX["globe"], INDEX["globe'"]]]
    features.eyes(canvas, points, person, light, face.gaze, globes)
    features.nostrils(canvas, points, person)
    features.mouth(canvas, points, person, light, gloss)
    features.brows(canvas, points, person, light)
    cues.paint_patch(canvas, face, points)
    surroundings.hair(canvas, person, shape, skin.light_direction(face.light))
    surroundings.glasses(canvas, person, points)
    surroundings.noise(canvas, face.scene, face.noise)
    bytes_ = (np.clip(canvas.image, 0, 1) * np.float32(255) + np.float32(0.5)).astype(np.uint8)
    return np.ascontiguousarray(np.moveaxis(bytes_, 0, -1))


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
