"""The face's own AU map."""

from xfer.guidance.atlas import Atlas
from xfer.guidance.controls import CONTROLS, Paint
from xfer.guidance.settings import Guide


@CONTROLS.register("au", title="the AU map of the face's expression", answers="what is claimed")
def au(guide: Guide, atlas: Atlas) -> Paint:
    """The map of the class that the face is labelled with."""
    return atlas.draw
