"""Planted cues: pictures whose class one known place carries, to test whether an explainer finds it.

A cue is planted with a code, the class's position in a list. ``mouth`` and ``brows`` set Action Units of that part and
of no other; ``patch`` puts a coloured disc on the cheek, ``background`` colours the backdrop. All else of the face
is the same with and without.
"""

from colorsys import hsv_to_rgb
from dataclasses import replace

import numpy as np

from xfer.datasets.synthetic.anatomy import INDEX, Array
from xfer.datasets.synthetic.canvas import Canvas, ellipse
from xfer.datasets.synthetic.face import Face
from xfer.errors import InputError, unknown

CUES = ("background", "brows", "mouth", "patch")

MOUTH = ("AU24", "AU16+AU25", "AU20+AU25", "AU14", "AU15", "AU22+AU25", "AU18", "AU15+AU25")
"""The class's Action Units by code where only the mouth tells it: those that leave cheeks and jaw alone."""
BROWS = ("AU4", "AU2", "AU1+AU2+AU4", "", "AU1+AU4", "AU1+AU2")
"""The same for the brows: every combination of AU1, AU2 and AU4 but AU1 alone and AU2 with AU4."""

PARTS = {
    "mouth": ("AU10", "AU11", "AU12", "AU13", "AU14", "AU15", "AU16", "AU17", "AU18", "AU20", "AU22", "AU23", "AU24",
              "AU25", "AU26", "AU27"),
    "brows": ("AU1", "AU2", "AU4", "AU9"),
}  # fmt: skip
"""Action Units that move a part, so that a face with a planted cue shows no other of them (AU9 lowers the brows)."""

_HUES = 8
PATCH_RADIUS = 0.11
"""Radius of the patch in IOD."""


def plant(face: Face, cue: str, code: int, intensity: float = 0.8) -> Face:
    """The face with a cue in it.

    Parameters
    ----------
    face : Face
        The face; for ``mouth`` and ``brows`` its other Action Units stay.
    cue : str
        One of `CUES`.
    code : int
        Which class the cue says, from 0; at most 8 for all but ``brows``, 6 there.
    intensity : float
        Of the cue's Action Units, in [0, 1].

    Raises
    ------
    InputError
        For an unknown cue or a code beyond what the cue can say.
    """
    limit = capacity(cue)
    if not 0 <= code < limit:
        raise InputError(f"the cue {cue!r} tells {limit} classes apart; got class {code} (counted from 0)")
    if cue == "patch":
        return replace(face, patch=code)
    if cue == "background":
        return replace(face, backdrop=code)
    codes = ({"mouth": MOUTH, "brows": BROWS}[cue])[code]
    planted = dict.fromkeys(filter(None, codes.split("+")), intensity)
    return replace(face, action_units={**_without_part(face, cue), **planted})


def remove(face: Face, cue: str) -> Face:
    """The face without the cue: that part at rest, no patch, the scene's own backdrop."""
    if cue not in CUES:
        raise unknown("cue", cue, CUES)
    if cue == "patch":
        return replace(face, patch=None)
    if cue == "background":
        return replace(face, backdrop=None)
    return replace(face, action_units=_without_part(face, cue))


def capacity(cue: str) -> int:
    """How many classes a cue can tell apart."""
    if cue not in CUES:
        raise unknown("cue", cue, CUES)
    return {"mouth": len(MOUTH), "brows": len(BROWS)}.get(cue, _HUES)


def _without_part(face: Face, cue: str) -> dict[str, float]:
    return {code: value for code, value in face.action_units.items() if code not in PARTS[cue]}


def colour(code: int) -> Array:
    """The colour of a patch or backdrop, RGB in [0, 1]; equally spaced hues."""
    return np.array(hsv_to_rgb(code / _HUES, 0.75, 0.85))


def paint_backdrop(canvas: Canvas, face: Face) -> None:
    """Colour the backdrop, shades of the scene kept."""
    if face.backdrop is not None:
        canvas.image[:] = 0.72 * colour(face.backdrop)[:, None, None] + 0.28 * canvas.image


def paint_patch(canvas: Canvas, face: Face, points: Array) -> None:
    """A disc on the viewer's left cheek, as a sticker."""
    if face.patch is not None:
        middle = points[INDEX["cheek"]]
        window = canvas.window(middle[None], PATCH_RADIUS)
        cover = ellipse(canvas, window, middle, (PATCH_RADIUS, PATCH_RADIUS), canvas.pixel)
        canvas.blend(window, cover, colour(face.patch))
