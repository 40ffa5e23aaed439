"""A face as a picture."""

import numpy as np
from numpy.typing import NDArray

from xfer.datasets.synthetic import cues, features, skin, surroundings
from xfer.datasets.synthetic.anatomy import INDEX
from xfer.datasets.synthetic.canvas import WHOLE, Canvas, edge
from xfer.datasets.synthetic.face import Face
from xfer.datasets.synthetic.identity import identity
from xfer.datasets.synthetic.identity import shape as shape_of
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
        RGB; the same bytes for an equal face on the same type of CPU.

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
    resting = points if not face.action_units else upright(face, shape_of(face.identity))[0]
    shape = skin.outline(canvas, points[:17], resting[:17], skull)
    ground = skin.relief_of(face, canvas, solid)
    light, gloss = skin.shading(face, canvas, shape, ground)
    exposure = skin.light_colour(face.light).astype(np.float32)
    surroundings.background(canvas, face.scene)
    cues.paint_backdrop(canvas, face)
    surroundings.hair_behind(canvas, person, resting[:17])
    surroundings.body(canvas, person, resting, exposure)
    surroundings.ears(canvas, person, resting[:17], face.yaw, light)
    colour = (skin.albedo(face, canvas, resting, ground) * light + gloss) * exposure[:, None, None]
    canvas.blend(WHOLE, edge(shape.border - shape.distance, 1.5 * canvas.pixel), colour)
    globes = points[[INDEX["globe"], INDEX["globe'"]]]
    features.eyes(canvas, points, person, light, face.gaze, globes)
    features.nostrils(canvas, points, person)
    features.mouth(canvas, points, person, light, gloss)
    features.brows(canvas, points, person, light)
    cues.paint_patch(canvas, face, points)
    surroundings.hair(canvas, person, shape, skin.light_direction(face.light))
    surroundings.glasses(canvas, person, resting)
    surroundings.noise(canvas, face.scene, face.noise)
    bytes_ = (np.clip(canvas.image, 0, 1) * np.float32(255) + np.float32(0.5)).astype(np.uint8)
    return np.ascontiguousarray(np.moveaxis(bytes_, 0, -1))
