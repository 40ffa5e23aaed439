"""One map for all: what a face shows whatever the expression."""

from torch import Tensor, full_like, stack

from xfer.guidance.atlas import Atlas, stretched
from xfer.guidance.controls import CONTROLS, Paint
from xfer.guidance.settings import Guide


@CONTROLS.register(
    "template",
    title="the mean of all expressions' AU maps, the same for every class",
    answers="whether it matters which expression, or only that the face is looked at",
)
def template(guide: Guide, atlas: Atlas) -> Paint:
    """The mean over the classes with Action Units, stretched anew."""

    def paint(points: Tensor, labels: Tensor, height: int, width: int) -> Tensor:
        each = [atlas.draw(points, full_like(labels, label), height, width) for label in atlas.named]
        return stretched(stack(each).mean(0))

    return paint
