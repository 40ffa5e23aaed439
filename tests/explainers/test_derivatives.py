"""What stands in for functions of tokens behind the layer gives the same numbers."""

from collections.abc import Callable

import pytest
import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel

from xfer.explainers import attribute
from xfer.explainers.derivatives import Derivatives, Tokens


class ClassToken(nn.Module):
    """Tokens through a transformer's block, of which the classifier reads the first ones."""

    def __init__(self, read: int) -> None:
        super().__init__()
        self.embed, self.norm, self.qkv = nn.Linear(12, 8), nn.LayerNorm(8), nn.Linear(8, 24)
        self.wide, self.back, self.head, self.read = nn.Linear(8, 16), nn.Linear(16, 8), nn.Linear(8, 3), read

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """(face, 3, 8, 8) to (face, 3)."""
        patches = images.unfold(2, 2, 2).unfold(3, 2, 2).permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)
        tokens = self.embed(patches)
        heads = self.qkv(self.norm(tokens)).unflatten(-1, (3, 2, 4)).permute(2, 0, 3, 1, 4)
        mixed = tokens + nn.functional.scaled_dot_product_attention(*heads).transpose(1, 2).flatten(2)
        return self.head((mixed + self.back(nn.functional.gelu(self.wide(mixed))))[:, : self.read].mean(1).exp())


@pytest.fixture
def tokens_gone_back_through(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many tokens the derivative of each replaced function has to do with."""
    tokens: list[int] = []
    plain: Callable = Tokens.backward

    def backward(ctx: object, gradient: torch.Tensor) -> object:
        tokens.append(int(gradient.detach().any(-1).flatten(0, -2).any(0).sum()))
        return plain(ctx, gradient)

    monkeypatch.setattr(Tokens, "backward", staticmethod(backward))
    return tokens


@pytest.mark.parametrize("read", [1, 5, 16])
def test_maps_are_those_of_the_functions_replaced(
    read: int, tokens_gone_back_through: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    model = ClassToken(read).double()
    images = torch.randn(2, 3, 8, 8, dtype=torch.float64)
    names = "grad_cam,shapley_cam,hires_cam"
    maps = attribute(model, images, names, layer="embed")
    assert {1, 5, 16}.intersection(tokens_gone_back_through) == {read, 16}
    monkeypatch.setattr("xfer.explainers.derivatives._tokens", lambda values: False)
    with sdpa_kernel(SDPBackend.MATH):
        for name, expected in attribute(model, images, names, layer="embed").items():
            torch.testing.assert_close(maps[name], expected, rtol=1e-9, atol=1e-14)


FUNCTIONS = {
    "linear": lambda values: nn.functional.linear(values, torch.arange(12.0).view(3, 4).double()),
    "gelu": lambda values: nn.functional.gelu(values, approximate="tanh"),
    "layer_norm": lambda values: nn.functional.layer_norm(values, (4,)),
    "attention": lambda values: nn.functional.scaled_dot_product_attention(
        values, values.sin(), values.cos(), scale=0.7
    ),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("read", [1, 6])
def test_both_derivatives_are_right(name: str, read: int) -> None:
    torch.manual_seed(1)
    values = torch.randn(2, 6, 4, dtype=torch.float64, requires_grad=True)

    def function(values: torch.Tensor) -> torch.Tensor:
        with Derivatives():
            made = FUNCTIONS[name](values)
        assert made.grad_fn.name() == "TokensBackward"
        return made.tanh()[:, :read]

    assert torch.autograd.gradcheck(function, values)
    assert torch.autograd.gradgradcheck(function, values)


def test_what_is_not_replaced() -> None:
    values = torch.randn(2, 6, 4, requires_grad=True)
    layer, norm, mask = nn.Linear(4, 5).requires_grad_(False), nn.LayerNorm((6, 4)), torch.ones(6, 6).tril() == 1
    with Derivatives():
        with torch.no_grad():
            assert layer(values).grad_fn is None
        assert norm(values).grad_fn.name() == "NativeLayerNormBackward0"
        assert layer(values[:, 0]).grad_fn.name() == "AddmmBackward0"
        causal = nn.functional.scaled_dot_product_attention(values, values, values, is_causal=True)
        assert causal.grad_fn.name() != "TokensBackward"
        for more, named in (((mask,), {}), ((), {"attn_mask": mask})):
            masked = nn.functional.scaled_dot_product_attention(values, values, values, *more, **named)
            assert masked.grad_fn.name() != "TokensBackward"
        named = nn.functional.scaled_dot_product_attention(values, key=values, value=values)
        assert named.grad_fn.name() != "TokensBackward"
        with torch.autocast("cpu", torch.bfloat16):
            assert layer(values).dtype == torch.bfloat16
