"""The same map against the masks of the other expressions."""

from xfer.nulls.cells import Cells, Rivals
from xfer.nulls.spec import NULLS


@NULLS.register(
    "other_expressions",
    kind="relabel",
    reference="after the shuffled AUC of Zhang et al. 2008, doi:10.1167/8.7.32",
    words="the same map against the masks of the other expressions",
)
def other_expressions(cells: Cells, index: int) -> Rivals:
    """The cell's map with every other mask; the score minus their mean is the specificity."""
    own = cells.own(index)
    others = [i for i in range(len(cells.expressions)) if i != own]
    names = tuple(cells.expressions[i] for i in others)
    return Rivals(cells.maps[[index]], cells.masks[others], names, "" if others else "one expression")
