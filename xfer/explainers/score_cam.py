"""CAMs without gradients: channels weighted by what the network says when it sees only them, or all but them."""

import torch
from torch import Tensor, nn

from xfer.explainers.catalogue import EXPLAINERS
from xfer.explainers.layers import Address, addresses
from xfer.explainers.perturbation import FAMILY, Scene
from xfer.explainers.remainder import Remainder, activations
from xfer.explainers.veils import Channels

__all__: list[str] = []


def _no_layers(model: nn.Module) -> str:
    return "" if getattr(model, "gradients", True) else "it gives logits but no layer's output"


def _layer(scene: Scene) -> Address:
    images = scene.look.images
    return addresses(scene.look.model, (scene.look.layer,), (images.shape[-2], images.shape[-1]))[0]


@EXPLAINERS.register(
    "score_cam",
    family=FAMILY,
    formula="sum_k w_k A_k, w = softmax over k of the logit of x veiled by A_k scaled to [0, 1]",
    signed=True,
    reference="Wang et al. 2020, doi:10.1109/CVPRW50498.2020.00020",
    misfit=_no_layers,
)
def score_cam(scene: Scene) -> Tensor:
    """Channels of the layer, weighted by the logit that each leaves when it veils the image (face, target, y, x)."""
    images = scene.look.images
    with scene.precision():
        output, layout, _ = activations(scene.look.model, images, _layer(scene))
    maps = layout.maps(output).to(images.dtype)
    veils = Channels(maps, (images.shape[-2], images.shape[-1]))
    weights = scene.outputs(veils, "logit").softmax(1)
    return torch.einsum("fkt,fkyx->ftyx", weights, maps.double())


@EXPLAINERS.register(
    "ablation_cam",
    family=FAMILY,
    formula="sum_k (y - y without A_k) A_k; the source divides by y, which scales the map and turns it where y < 0",
    signed=True,
    reference="Desai and Ramaswamy 2020, doi:10.1109/WACV45572.2020.9093360",
    misfit=_no_layers,
)
def ablation_cam(scene: Scene) -> Tensor:
    """Channels of the layer, weighted by the logit lost when each is put to zero (face, target, y, x)."""
    where = _layer(scene)
    return torch.stack([_ablated(scene, where, face) for face in range(len(scene.look.images))])


def _ablated(scene: Scene, where: Address, face: int) -> Tensor:
    look = scene.look
    classes = look.classes[face]
    with scene.precision():
        rest = Remainder(look.model, look.images[face : face + 1], where)
        whole = rest.logits(rest.output.clone()).double()[0, classes]
        channels = rest.layout.maps(rest.output)[0]
        total = torch.zeros(len(classes), *channels.shape[1:], dtype=torch.float64, device=channels.device)
        for some in torch.arange(len(channels), device=channels.device).split(look.batch_size):
            without = rest.output.repeat_interleave(len(some), 0)
            rest.layout.maps(without)[torch.arange(len(some), device=some.device), some] = 0
            lost = whole - rest.logits(without).double()[:, classes]
            total += torch.einsum("kt,kyx->tyx", lost, channels[some].double())
    return total
