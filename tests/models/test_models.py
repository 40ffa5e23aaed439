"""Names, tags and what is built for them."""

import pytest
import torch
from torch import nn

from xfer.errors import InputError
from xfer.models import MODELS, build, choose, heads, initialise, operations, parameter_count, spec
from xfer.models.plain import convolution, pooling, side


def test_all_is_every_network_but_the_variants() -> None:
    assert choose("all") == sorted(n for n in MODELS if not n.endswith("_bn"))
    assert len(choose("published")) == 12
    assert choose("bn") == sorted(n for n in MODELS if n.endswith("_bn"))


def test_names_and_tags_come_once_in_the_order_given() -> None:
    assert choose("weinet, timm:resnet18,small,weinet") == [
        "weinet", "timm:resnet18", "efficientnetv2", "mobilenetv3", "songnet",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("models", "message"),
    [
        (" , ", "--models names no network; write all, a tag or names with commas between them"),
        ("vgg16,songnt", "(did you mean 'songnet'?)"),
        ("publishd", "(did you mean 'published'?)"),
        ("timm:resnet5", "has no such network (did you mean 'timm:resnet50'?)"),
        ("timm:hf-hub:someone/resnet", "has no such network"),
        ("timm:", "has no such network"),
        ("timm:resnet18.nonsense", "has no weights 'nonsense' for it, but "),
    ],
)
def test_unknown_networks_are_told(models: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        choose(models)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_the_vocabulary_is_named() -> None:
    with pytest.raises(InputError) as error:
        choose("songnt")
    assert str(error.value) == (
        f"'model' must be one of {', '.join(MODELS)}, all, bn, published, small, timm:NAME; got 'songnt' "
        "(did you mean 'songnet'?)"
    )


def test_a_timm_network_declares_what_timm_says() -> None:
    found = spec("timm:deit_tiny_distilled_patch16_224.fb_in1k")
    assert (found.input_size, found.pretrained, found.weights) == (
        224, True, "deit_tiny_distilled_patch16_224.fb_in1k",
    )  # fmt: skip
    assert found.mean == (0.485, 0.456, 0.406)
    assert len(heads(build(found.name, 3, size=64))) == 2


@pytest.mark.parametrize("name", ["test_vit", "efficientformer_l1"])
def test_a_size_that_a_timm_network_cannot_have_is_one_line(name: str) -> None:
    with pytest.raises(InputError) as error:
        build(f"timm:{name}", 3, size=33)
    assert str(error.value).startswith(f"model 'timm:{name}' cannot be built for faces of 33 px: ")
    assert "\n" not in str(error.value)


def test_kaiming_keeps_the_size_of_the_signal() -> None:
    model = build("vgg16", 6, size=64)
    faces = torch.randn(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert 0.3 < float(model.features(faces).square().mean()) / 2 < 30


def test_initialise_undoes_what_was_learnt() -> None:
    first, other = build("songnet_bn", 6, size=64, seed=3), build("songnet_bn", 6, size=64, seed=8)
    other(torch.rand(4, 3, 64, 64))
    initialise(other, 3)
    assert all(v.equal(other.state_dict()[k]) for k, v in first.state_dict().items())


@pytest.mark.parametrize("size", [48, 49, 50, 51, 63, 150])
def test_sides_are_counted_as_same_padding_leaves_them(size: int) -> None:
    layers = [*convolution(3, 4, 11, 4), pooling(3, 2), *convolution(4, 4, 5), pooling(2, 1), pooling(2, 2)]
    out = nn.Sequential(*layers)(torch.zeros(1, 3, size, size))
    assert out.shape == (1, 4, side(layers, size), side(layers, size))
    assert side(layers, size) == -(-size // 16)


def test_pooling_pads_as_keras_does() -> None:
    row = torch.tensor([1.0, 5, 2, 3]).reshape(1, 1, 1, 4).expand(1, 1, 4, 4)
    assert pooling(2, 1)(row)[0, 0, 0].tolist() == [5, 5, 3, 3]
    assert pooling(3, 2)(row)[0, 0, 0].tolist() == [5, 3]
    assert pooling(3, 2)(-row)[0, 0, 1].tolist() == [-1, -2]


def test_running_statistics_count_as_parameters() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    assert parameter_count(model) == 16 + 16


@pytest.mark.parametrize("name", ["mobilenetv3", "efficientnetv2", "resnet101v2"])
def test_residual_branches_start_at_zero(name: str) -> None:
    """A block without a shortcut of its own hands on what it gets."""
    model = build(name, 6, size=64).eval()
    seen = []

    def compare(block: nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
        if inputs[0].shape == output.shape:
            seen.append(torch.equal(output, inputs[0]))

    kinds = ("InvertedResidual", "EdgeResidual", "DepthwiseSeparableConv", "PreActBottleneck")
    for block in model.modules():
        if type(block).__name__ in kinds and getattr(block, "has_skip", True):
            block.register_forward_hook(compare)
    with torch.no_grad():
        model(torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)))
    assert len(seen) >= 8
    assert all(seen)


def test_branches_of_resnet50_start_small() -> None:
    ends = [m.weight for n, m in build("resnet50", 6, size=64).named_modules() if n.endswith("bn3")]
    assert len(ends) == 16
    assert all(bool((weight == 0.2).all()) for weight in ends)


def test_operations_are_counted_without_weights() -> None:
    """VGG16's thirteen convolutions and its dense layer, by hand."""
    counted = operations("vgg16", 6, 48)
    first, second = 2 * 48 * 48 * 3 * 64 * 9, 2 * 48 * 48 * 64 * 64 * 9
    cells = {24: [(64, 128), (128, 128)], 12: [(128, 256), (256, 256), (256, 256)],
             6: [(256, 512), (512, 512), (512, 512)], 3: [(512, 512)] * 3}  # fmt: skip
    rest = sum(2 * side * side * a * b * 9 for side, pairs in cells.items() for a, b in pairs)
    assert counted == first + second + rest + 2 * 512 * 6


def test_an_output_stride_keeps_the_weights() -> None:
    plain, strided = (build("timm:test_resnet", 3, size=64, output_stride=stride) for stride in (0, 8))
    weights = plain.state_dict()
    assert weights.keys() == strided.state_dict().keys()
    assert all(torch.equal(value, weights[key]) for key, value in strided.state_dict().items())


@pytest.mark.parametrize("name", [*(n for n, entry in MODELS.items() if entry.strided), "timm:test_resnet"])
def test_an_output_stride_refines_the_grid(name: str) -> None:
    with torch.device("meta"):
        plain, strided = (build(name, 3, size=64, output_stride=stride).eval() for stride in (0, 8))
        faces = torch.zeros(1, 3, 64, 64)
        assert [m.forward_features(faces).shape[2:] for m in (plain, strided)] == [(2, 2), (8, 8)]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "songnet",
            "model 'songnet' has one output stride, its own; a choice have efficientnetv2, resnet101v2, resnet50 and "
            "some of timm:NAME",
        ),
        (
            "timm:test_vit",
            "model 'timm:test_vit' cannot have an output stride of 8: VisionTransformer.__init__() got an unexpected "
            "keyword argument 'output_stride'",
        ),
    ],
)
def test_a_network_without_a_choice_of_strides_is_told(name: str, message: str) -> None:
    with pytest.raises(InputError) as error:
        build(name, 3, size=64, output_stride=8)
    assert str(error.value) == message
