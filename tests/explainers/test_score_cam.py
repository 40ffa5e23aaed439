"""Score-CAM and Ablation-CAM against the library grad-cam and against whole forwards; the tail alone is run."""

import re
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from xfer.errors import InputError
from xfer.explainers import attribute
from xfer.explainers.layers import addresses
from xfer.explainers.remainder import Remainder

NAMES = {"score_cam": "ScoreCAM", "ablation_cam": "AblationCAM"}


class Residual(nn.Module):
    """A way round the layer, a module used before and after it, functions between modules, one in place."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 3, padding=1)
        self.act = nn.ReLU()
        self.blocks = nn.ModuleList([nn.Sequential(nn.Conv2d(6, 6, 3, padding=1), nn.ReLU()) for _ in range(3)])
        self.head = nn.Linear(6, 3)

    def forward(self, images: Tensor) -> Tensor:
        """(face, 3, y, x) to (face, 3)."""
        features = self.act(self.stem(images)) * 2
        for block in self.blocks:
            features = features + block(features)
        return self.head(self.act(features - 0.5).mean((2, 3)).tanh_()) + 3


class InPlace(Residual):
    """Writes into what a module gave before the layer."""

    def forward(self, images: Tensor) -> Tensor:
        """(face, 3, y, x) to (face, 3)."""
        features = self.stem(images)
        features += 1
        return self.head(self.blocks[1](features).mean((2, 3)))


def network(kind: type[nn.Module] = Residual) -> nn.Module:
    torch.manual_seed(6)
    return kind().double().eval()


def cam(model: nn.Module, images: Tensor, name: str, layer: str, **options: Any) -> Tensor:
    return attribute(model, images, name, layer=layer, **options)[name]


@pytest.mark.parametrize("name", NAMES)
def test_the_library_grad_cam(name: str, images: Tensor) -> None:
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.image import scale_cam_image
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    model = network().float()
    images = images.float()
    found = cam(model, images, name, "blocks.2").numpy()
    for target in range(3):
        with getattr(pytorch_grad_cam, NAMES[name])(model=model, target_layers=[model.blocks[2]]) as peer:
            expected = peer(images, [ClassifierOutputTarget(target)] * len(images))
        ours = scale_cam_image(scale_cam_image(np.maximum(found[:, target], 0), (10, 12)))
        np.testing.assert_allclose(ours, expected, atol=2e-4)


@torch.no_grad()
@pytest.mark.parametrize("layer", ["blocks.0", "blocks.2.0", "stem"])
def test_ablation_is_that_of_whole_forwards(layer: str, images: Tensor) -> None:
    model = network()
    found = cam(model, images, "ablation_cam", layer, batch_size=4)
    module, kept = model.get_submodule(layer), []
    handle = module.register_forward_hook(lambda *given: kept.append(given[2]))
    whole = model(images)
    handle.remove()
    expected = torch.zeros_like(found)
    for channel in range(6):

        def without(module: nn.Module, inputs: Any, output: Tensor, channel: int = channel) -> Tensor:
            output = output.clone()
            output[:, channel] = 0
            return output

        handle = module.register_forward_hook(without)
        lost = whole - model(images)
        handle.remove()
        expected += lost[:, :, None, None] * kept[0][:, None, channel]
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(("kind", "layer", "short"), [(Residual, "blocks.1", True), (InPlace, "blocks.1", False)])
def test_only_the_tail_is_run(kind: type[nn.Module], layer: str, short: bool, images: Tensor) -> None:
    model, ran = network(kind), []
    tail = Remainder(model, images[:1], addresses(model, [layer], (12, 10))[0])
    assert tail.short == short
    model.stem.weight.register_hook(lambda _: None)
    model.stem.weight.data.fill_(torch.nan)
    model.blocks[2].register_forward_hook(lambda *_: ran.append(True))
    again = tail.logits(tail.output.repeat_interleave(3, 0))
    assert again.isfinite().all()
    assert bool(ran) == (kind is Residual)
    assert "forward" not in model.stem.__dict__


@torch.no_grad()
def test_score_cam_is_its_definition(images: Tensor) -> None:
    model = network()
    found = cam(model, images, "score_cam", "blocks.0", batch_size=5)
    kept: list[Tensor] = []
    handle = model.blocks[0].register_forward_hook(lambda *given: kept.append(given[2]))
    model(images)
    handle.remove()
    for face in range(4):
        logits = []
        for channel in kept[0][face]:
            veil = (channel - channel.min()) / (channel.max() - channel.min() + 1e-8)
            logits.append(model(images[face : face + 1] * veil)[0])
        weights = torch.stack(logits).softmax(0)
        torch.testing.assert_close(found[face], torch.einsum("kt,kyx->tyx", weights, kept[0][face]), rtol=1e-8, atol=0)


@pytest.mark.parametrize("name", NAMES)
def test_layers_of_transformers(name: str) -> None:
    from timm.models.vision_transformer import VisionTransformer

    torch.manual_seed(3)
    sizes = {"img_size": 12, "patch_size": 2, "embed_dim": 12, "depth": 3, "num_heads": 3}
    model = VisionTransformer(num_classes=3, **sizes).double()
    images = torch.randn(2, 3, 12, 12, dtype=torch.float64)
    found = cam(model, images, name, "blocks.1")
    assert found.shape == (2, 3, 6, 6)
    assert (found.std((2, 3)) > 0).all()
    tail = Remainder(model.eval(), images[:1], addresses(model, ["blocks.1"], (12, 12))[0])
    assert tail.short


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    ("layer", "message"),
    [
        ("block.1", "'layer' must be a module of Residual; got 'block.1'"),
        ("act", "layer 'act' runs several times in one forward: take another layer"),
        ("head", "layer 'head' has no spatial features: its output has the shape"),
    ],
)
def test_bad_layers(name: str, layer: str, message: str, images: Tensor) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}"):
        cam(network(), images, name, layer)


@pytest.mark.parametrize("name", NAMES)
def test_the_model_is_the_same_after_an_exception(name: str, images: Tensor, snapshot: Any) -> None:
    class Interruption(BaseException):
        pass

    calls = []

    def fail(*_: object) -> None:
        calls.append(True)
        if len(calls) > 3:
            raise Interruption

    model = network()
    model.head.register_forward_hook(fail)
    before = snapshot(model)
    with pytest.raises(Interruption):
        cam(model, images, name, "blocks.1", batch_size=2)
    assert snapshot(model) == before
    assert all("forward" not in module.__dict__ for module in model.modules())
