"""The same maps as the library grad-cam, after its normalisation (ReLU, scaling to [0, 1], resizing)."""

import numpy as np
import pytest
import pytorch_grad_cam as library
import torch
import torchvision
from torch import nn

from xfer.explainers import attribute

PEERS = {
    "grad_cam": "GradCAM",
    "grad_cam_plus_plus": "GradCAMPlusPlus",
    "hires_cam": "HiResCAM",
    "xgrad_cam": "XGradCAM",
    "layer_cam": "LayerCAM",
    "element_wise_grad_cam": "GradCAMElementWise",
}
FLAT = 1e-6
"""A map whose range is this share of its largest value is constant; scaling it shows rounding only."""


def normalised(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """What grad-cam does to its maps (face, y, x) of one layer."""
    from pytorch_grad_cam.utils.image import scale_cam_image

    return scale_cam_image(np.maximum(scale_cam_image(np.maximum(maps, 0), size[::-1]), 0))


def compare(model: nn.Module, images: torch.Tensor, layer: str, classes: int) -> int:
    """Compare all maps with a range; how many there were."""
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    ours = attribute(model, images, list(PEERS), layer=layer)
    compared = 0
    for name, peer in PEERS.items():
        with getattr(library, peer)(model=model.eval(), target_layers=[model.get_submodule(layer)]) as cam:
            for target in range(classes):
                theirs = cam(images, [ClassifierOutputTarget(target)] * len(images))
                raw = np.maximum(ours[name][:, target].numpy(), 0)
                varied = np.ptp(raw, axis=(1, 2)) > FLAT * raw.max((1, 2))
                compared += int(varied.sum())
                found = normalised(raw, tuple(images.shape[-2:]))[varied]
                np.testing.assert_allclose(found, theirs[varied], rtol=0, atol=1e-5, err_msg=name)
    return compared


@pytest.mark.parametrize("layer", ["first", "third"])
def test_the_small_network(layer: str, small: nn.Module, images: torch.Tensor) -> None:
    small.relu.inplace = False
    assert compare(small, images, layer, classes=3) > 40


@pytest.mark.parametrize(("name", "layer"), [("resnet18", "layer4"), ("resnet18", "layer3"), ("resnet50", "layer4")])
def test_residual_networks(name: str, layer: str) -> None:
    torch.manual_seed(0)
    model = getattr(torchvision.models, name)(num_classes=3).double()
    images = torch.randn(2, 3, 96, 96, dtype=torch.float64)
    assert compare(model, images, layer, classes=3) > 20
