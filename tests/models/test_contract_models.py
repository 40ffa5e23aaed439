"""One suite for every registered network, and for families of timm: what it declares must hold.

A new network is tested by being registered.
"""

import inspect
from collections.abc import Iterator

import pytest
import timm
import torch
from torch import nn

from xfer.errors import InputError
from xfer.models import MODELS, ModelSpec, build, heads, parameter_count, spec, tags
from xfer.models.layers import heatmap_layer
from xfer.models.weights import expected_shapes

TWELVE = {
    "alexnet": (88_718_726, "88.7M"),
    "vgg16": (14_717_766, "14.7M"),
    "vgg19": (20_027_462, "20M"),
    "resnet50": (23_573_446, "23.6M"),
    "resnet101v2": (42_602_438, "42.6M"),
    "inceptionv3": (21_832_294, "21.8M"),
    "xception": (20_873_774, "20.9M"),
    "mobilenetv3": (3_002_118, "3M"),
    "efficientnetv2": (5_926_998, "5.9M"),
    "silnet": (184_852_038, "184.9M"),
    "weinet": (1_728_230, "1.7M"),
    "songnet": (172_678, "172.7K"),
}
"""Parameters for six classes, and as the study's table prints them."""
KERAS = {
    "vgg16": 14_714_688,
    "vgg19": 20_024_384,
    "resnet50": 23_587_712,
    "resnet101v2": 42_626_560,
    "inceptionv3": 21_802_784,
    "xception": 20_861_480,
    "mobilenetv3": 2_996_352,
    "efficientnetv2": 5_919_312,
}
"""Keras' applications without their top, which is 6 * (features + 1) for six classes."""
FAMILIES = ("timm:resnet18", "timm:vit_small_patch16_224", "timm:swin_tiny_patch4_window7_224", "timm:convnext_tiny")
KINDS = {"timm:vit_small_patch16_224": "tokens", "timm:swin_tiny_patch4_window7_224": "map_last"}
SMALL = {"alexnet": 100, "alexnet_bn": 100, "silnet": 60, "silnet_bn": 60}
"""Networks whose dense layers need gigabytes at the study's size."""

every_model = pytest.mark.parametrize("model", [*MODELS.values(), *map(spec, FAMILIES)], ids=lambda m: m.name)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def on_meta(model: ModelSpec, classes: int = 6) -> nn.Module:
    with torch.device("meta"):
        return build(model.name, classes)


def test_the_study_s_twelve_are_there() -> None:
    assert {m.name for m in MODELS.values() if "published" in m.tags} == set(TWELVE)
    assert {n.removesuffix("_bn") for n, m in MODELS.items() if "bn" in m.tags} == {
        "alexnet", "vgg16", "vgg19", "silnet", "weinet", "songnet",
    }  # fmt: skip


@pytest.mark.parametrize("name", TWELVE)
def test_it_has_as_many_parameters_as_published(name: str) -> None:
    count, printed = TWELVE[name]
    assert parameter_count(on_meta(MODELS[name])) == count
    number, unit = float(printed[:-1]), {"M": 1e6, "K": 1e3}[printed[-1]]
    decimals = len(printed[:-1].partition(".")[2])
    assert round(count / unit, decimals) == number
    assert abs(count - number * unit) / (number * unit) < (0.017 if name == "weinet" else 0.01)


@pytest.mark.parametrize("name", KERAS)
def test_it_has_as_many_parameters_as_in_keras(name: str) -> None:
    model = on_meta(MODELS[name])
    (head,) = heads(model)
    without = parameter_count(model) - sum(p.numel() for p in head.parameters())
    assert abs(without / KERAS[name] - 1) < 0.0015


@pytest.mark.parametrize("name", TWELVE)
def test_its_docstring_states_them(name: str) -> None:
    count, printed = TWELVE[name]
    words = inspect.getdoc(MODELS[name].function) or ""
    assert f"{count:,} parameters for six classes" in words
    assert printed in words


@every_model
def test_it_declares_itself_completely(model: ModelSpec) -> None:
    assert 32 <= model.min_input <= model.input_size
    assert "doi:" in model.reference or "arXiv:" in model.reference
    assert len(model.mean) == len(model.std) == 3
    assert bool(model.weights) == model.pretrained
    assert not model.weights or timm.is_model(model.weights.partition(".")[0])
    assert not set(model.tags) & set(MODELS)
    assert "all" not in tags()


@every_model
def test_it_is_small_if_it_says_so(model: ModelSpec) -> None:
    if "published" in model.tags:
        assert ("small" in model.tags) == (parameter_count(on_meta(model)) < 6e6)


@every_model
def test_weights_of_imagenet_cover_all_but_its_head(model: ModelSpec) -> None:
    if not model.weights:
        pytest.skip("it has none")
    with torch.device("meta"):
        source = timm.create_model(model.weights, num_classes=6).state_dict()
    own = on_meta(model)
    last = {id(p) for layer in heads(own) for p in layer.parameters()}
    body = {k: v for k, v in own.state_dict(keep_vars=True).items() if id(v) not in last}
    assert len(body) >= len(own.state_dict()) - 2
    assert {k: v.shape for k, v in body.items()} == {k: source[k].shape for k in body}


@pytest.fixture(scope="module", params=[*MODELS, *FAMILIES])
def network(request: pytest.FixtureRequest) -> nn.Module:
    """A network for 40 classes at the smallest size (a vision transformer at one with 4 x 4 patches), left alone."""
    return build(request.param, 40, size=small(spec(request.param)), seed=5)


def small(model: ModelSpec) -> int:
    return 64 if model.name in KINDS else model.min_input


@pytest.fixture
def model(network: nn.Module, request: pytest.FixtureRequest) -> ModelSpec:
    return spec(request.node.callspec.params["network"])


def learns(model: ModelSpec, size: int) -> None:
    network = build(model.name, 5, size=size, seed=1)
    faces = torch.rand(2, 3, size, size, generator=torch.Generator().manual_seed(2))
    assert network.training
    network.eval()
    with torch.no_grad():
        logits = network(faces)
        assert logits.shape == (2, 5)
        assert not logits[0].equal(logits[1])
        assert network(faces).equal(logits)
        assert (network(faces[:1]) - logits[:1]).abs().max() < 1e-4 * logits.abs().max()
    network.train()
    torch.manual_seed(0)
    loss = nn.functional.cross_entropy(network(faces), torch.tensor([0, 3]))
    assert 0.5 < float(loss.detach()) < 4
    loss.backward()
    gradients = [p.grad for p in network.parameters()]
    assert all(g is not None and g.isfinite().all() for g in gradients)
    assert all(layer.weight.grad.any() for layer in heads(network))


@every_model
def test_it_learns_from_faces_of_the_smallest_size(model: ModelSpec) -> None:
    learns(model, model.min_input)


@pytest.mark.parametrize("name", MODELS)
def test_it_learns_from_faces_of_an_odd_size(name: str) -> None:
    learns(MODELS[name], MODELS[name].min_input + 1 + MODELS[name].min_input % 2)


def test_its_start_follows_the_seed_alone(network: nn.Module, model: ModelSpec) -> None:
    torch.manual_seed(7)
    state = torch.get_rng_state()
    again = build(model.name, 40, size=small(model), seed=5)
    assert torch.get_rng_state().equal(state)
    assert all(v.equal(w) for v, w in zip(again.state_dict().values(), network.state_dict().values(), strict=True))


def test_another_seed_is_another_start(network: nn.Module, model: ModelSpec) -> None:
    other = build(model.name, 40, size=small(model), seed=6).state_dict()
    drawn = {k: v for k, v in network.named_parameters() if not v.eq(v.flatten()[0]).all()}
    assert len(drawn) >= 4
    assert [k for k, v in drawn.items() if v.equal(other[k])] == []


def test_its_head_starts_small(network: nn.Module) -> None:
    for layer in heads(network):
        std = min(0.01, 0.1 * layer.weight[0].numel() ** -0.5)
        assert 0.95 * std < float(layer.weight.detach().std()) < 1.05 * std
        assert not layer.bias.any()
        assert layer.weight.shape[0] == 40


def test_its_shapes_are_known_without_its_memory(network: nn.Module, model: ModelSpec) -> None:
    shapes = {k: tuple(v.shape) for k, v in network.state_dict().items()}
    assert expected_shapes(model.name, 40, small(model)) == shapes


def test_its_heatmap_has_cells_at_the_smallest_size(network: nn.Module, model: ModelSpec) -> None:
    found = heatmap_layer(network, small(model))
    assert min(found.grid) >= (4 if found.kind == "tokens" else 7)
    assert all(m.training for m in network.modules())


@every_model
def test_faces_that_are_too_small_are_told(model: ModelSpec) -> None:
    with pytest.raises(InputError) as error:
        build(model.name, 6, size=model.min_input - 1)
    assert str(error.value) == (
        f"model {model.name!r} needs faces of at least {model.min_input} px; got {model.min_input - 1} px"
    )


@every_model
def test_its_heatmap_has_seven_cells_at_the_study_s_size(model: ModelSpec) -> None:
    size = SMALL.get(model.name, model.input_size)
    found = heatmap_layer(build(model.name, 6, size=size), size)
    assert min(found.grid) >= 7
    assert found.reason == ""
    assert found.kind == KINDS.get(model.name, "map")
