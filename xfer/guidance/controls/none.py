"""No map."""

from xfer.errors import InputError
from xfer.guidance.atlas import Atlas
from xfer.guidance.controls import CONTROLS, Paint
from xfer.guidance.settings import Guide


@CONTROLS.register("none", title="no map: plain training", answers="whether guiding changes anything")
def none(guide: Guide, atlas: Atlas) -> Paint:
    """Refused: nothing is drawn for it."""
    raise InputError("the control 'none' has no maps")
