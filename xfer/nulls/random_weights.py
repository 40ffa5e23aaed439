"""Maps of the same network with randomised weights."""

from xfer.nulls.cells import Cells, Rivals
from xfer.nulls.spec import NULLS


@NULLS.register(
    "random_weights",
    kind="relabel",
    reference="Adebayo et al. 2018, doi:10.48550/arXiv.1810.03292",
    words="the maps of the same network with randomised weights",
)
def random_weights(cells: Cells, index: int) -> Rivals:
    """The randomised maps of this cell's key, one per seed; the layer may differ, and nothing guided them."""
    own = cells.masks[[cells.own(index)]]
    others = cells.randomised
    if others is None:
        return Rivals(own[:0], own, (), "no run with randomised weights")
    found = [i for i in cells.alike_in(others, index, "seed", "layer", "guide") if not others.constant[i]]
    names = tuple(f"seed {others.keys['seed'].iloc[i]}" for i in found)
    return Rivals(others.maps[found], own, names, "" if found else "no map of this cell with randomised weights")
