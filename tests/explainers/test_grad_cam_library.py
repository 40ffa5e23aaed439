"""The same maps as the library grad-cam, after its normalisation (ReLU, scaling to [0, 1], resizing)."""

from collections.abc import Callable, Iterable
from itertools import product

import numpy as np
import pytest
import pytorch_grad_cam as library
import torch
import torchvision
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from xfer.explainers import attribute, trace
from xfer.explainers.shared_pass import nearest_classes

PEERS = {
    "grad_cam": "GradCAM",
    "grad_cam_plus_plus": "GradCAMPlusPlus",
    "hires_cam": "HiResCAM",
    "xgrad_cam": "XGradCAM",
    "layer_cam": "LayerCAM",
    "element_wise_grad_cam": "GradCAMElementWise",
    "eigen_cam": "EigenCAM",
    "eigen_grad_cam": "EigenGradCAM",
    "kpca_cam": "KPCA_CAM",
    "shapley_cam": "ShapleyCAM",
    "finer_cam": "FinerCAM",
}
EIGEN = ("eigen_cam", "eigen_grad_cam", "kpca_cam")
"""Those whose sign grad-cam leaves to chance."""
LIKELY = 1e-4
"""grad-cam's Finer-CAM divides by the nearest class's probability + 1e-9, which shows where that is small."""
FLAT = 1e-6
"""A map whose range is this share of its largest value is constant; scaling it shows rounding only."""

TINY = {"img_size": 32, "patch_size": 8, "embed_dim": 24, "depth": 3, "num_heads": 2, "num_classes": 3}


def normalised(maps: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """What grad-cam does to its maps (face, y, x) of one layer."""
    from pytorch_grad_cam.utils.image import scale_cam_image

    return scale_cam_image(np.maximum(scale_cam_image(np.maximum(maps, 0), size[::-1]), 0))


def theirs(name: str, model: nn.Module, images: torch.Tensor, layer: str, target: int, tokens: Callable | None):
    """grad-cam's maps (face, y, x)."""
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    with getattr(library, PEERS[name])(model, [model.get_submodule(layer)], reshape_transform=tokens) as cam:
        if name == "finer_cam":
            return cam(images, comparison_categories=[1], target_idx=target)
        return cam(images, [ClassifierOutputTarget(target)] * len(images))


def compare(
    model: nn.Module,
    images: torch.Tensor,
    layer: str,
    names: Iterable[str] = PEERS,
    tokens: Callable | None = None,
    targets: Iterable[int] = (0, 1, 2),
) -> dict[str, int]:
    """Compare all maps with a range; how many there were of each method."""
    seen = trace(model, images, names, layers=(layer,))
    ours, compared = seen.maps[layer], dict.fromkeys(names, 0)
    likely = seen.logits.softmax(1).gather(1, nearest_classes(seen.logits, seen.targets)) > LIKELY
    model.eval()
    for name, target in product(compared, targets):
        expected = theirs(name, model, images, layer, target, tokens)
        for face, maps in enumerate(ours[name][:, target].numpy()):
            signs = (1, -1) if name in EIGEN else (1,)
            raws = [np.maximum(sign * maps, 0) for sign in signs]
            flat = any(np.ptp(raw) <= FLAT * raw.max() for raw in raws)
            if flat or (name == "finer_cam" and not likely[face, target]):
                continue
            gaps = [np.abs(normalised(raw[None], images.shape[-2:])[0] - expected[face]).max() for raw in raws]
            assert min(gaps) <= 1e-5, (name, face, target)
            compared[name] += 1
    return compared


@pytest.mark.parametrize("layer", ["first", "third"])
def test_the_small_network(layer: str, small: nn.Module, images: torch.Tensor) -> None:
    small.relu.inplace = False
    images.requires_grad_()
    compared = compare(small, images, layer)
    assert min(compared.values()) >= 4
    assert sum(compared.values()) > 100


@pytest.mark.parametrize(("name", "layer"), [("resnet18", "layer4"), ("resnet18", "layer3"), ("resnet50", "layer4")])
def test_residual_networks(name: str, layer: str) -> None:
    """NumPy takes full decompositions of eigen methods: seconds at 2,048 channels, so at 256 only."""
    torch.manual_seed(0)
    model = getattr(torchvision.models, name)(num_classes=3).double()
    images = torch.randn(2, 3, 64, 64, dtype=torch.float64)
    names = [peer for peer in PEERS if layer == "layer3" or peer not in EIGEN]
    assert sum(compare(model, images, layer, names, targets=(0, 2)).values()) > 12


def test_a_transformer() -> None:
    """But Shapley-CAM, which grad-cam 1.5.7 does not have for tokens (see test_cams for its definition)."""
    torch.manual_seed(0)
    model = VisionTransformer(**TINY).double()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.4)

    def tokens(output: torch.Tensor) -> torch.Tensor:
        return output[:, 1:].transpose(1, 2).unflatten(2, (4, 4))

    images = torch.randn(2, 3, 32, 32, dtype=torch.float64)
    names = [name for name in PEERS if name != "shapley_cam"]
    compared = compare(model, images, "blocks.1", names, tokens)
    assert sum(compared.values()) > 40


def test_shapley_cam_is_the_same_with_and_without_fused_attention(monkeypatch: pytest.MonkeyPatch) -> None:
    maps = []
    for fused in (1, 0):
        monkeypatch.setattr("timm.layers.config._USE_FUSED_ATTN", fused)
        torch.manual_seed(0)
        model = VisionTransformer(**TINY).double()
        assert model.blocks[0].attn.fused_attn == bool(fused)
        images = torch.randn(2, 3, 32, 32, dtype=torch.float64)
        maps.append(attribute(model, images, "shapley_cam,grad_cam", layer="blocks.1"))
    for name, each in maps[0].items():
        torch.testing.assert_close(each, maps[1][name], rtol=1e-8, atol=1e-14)
