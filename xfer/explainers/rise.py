"""RISE: random masks, each worth what the network says behind it."""

from torch import Tensor

from xfer.explainers.catalogue import EXPLAINERS
from xfer.explainers.perturbation import FAMILY, Scene
from xfer.explainers.veils import Grids

__all__: list[str] = []


@EXPLAINERS.register(
    "rise",
    family=FAMILY,
    formula="sum_i (f(x m_i) - mean f) m_i / (n keep): RISE's map less the mean, so that it has a sign",
    signed=True,
    reference="Petsiuk et al. 2018, doi:10.48550/arXiv.1806.07421",
)
def rise(scene: Scene) -> Tensor:
    """What the network says where a pixel is seen, beyond what it says on average (face, target, y, x).

    The source does not subtract the mean. It adds the same to every pixel but for chance, drowns the map in an average
    over faces, and is most of the noise.
    """
    made, look = scene.settings, scene.look
    grids = Grids.draw(look.images, made.samples, made.cells, made.keep, made.seed, look.start)
    values = scene.outputs(grids)
    return scene.project(grids, (values - values.mean(1, keepdim=True)) / (made.samples * made.keep))
