"""Arithmetic of what follows the layer: nothing is differentiated for nothing, and everything twice where asked."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import gelu, layer_norm, linear, scaled_dot_product_attention
from torch.overrides import TorchFunctionMode

__all__ = ["Derivatives", "Tokens"]

ROWWISE = (gelu, layer_norm, linear)
"""Functions of each token alone."""


class Derivatives(TorchFunctionMode):
    """Inside the block, functions of tokens that are differentiated are replaced by equal ones: see `Tokens`.

    Where a network reads its class token only, the gradient at the other tokens of its last block is zero, and most of
    a derivative is made of zeros.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call what was called, or what replaces it."""
        options = kwargs or {}
        if torch.is_grad_enabled() and args and _tokens(args[0]):
            if func in ROWWISE and (func is not layer_norm or len(args[1]) == 1):
                return Tokens.apply(lambda values: func(values, *args[1:], **options), args[0])
            more = (*args[3:], *(value for name, value in options.items() if name != "scale"))
            if func is scaled_dot_product_attention and not any(isinstance(each, Tensor) or each for each in more):
                return Tokens.apply(lambda *given: func(*given, **options), *args[:3])
        return func(*args, **options)


def _tokens(values: Any) -> bool:
    return (
        isinstance(values, Tensor)
        and values.ndim in (3, 4)
        and values.requires_grad
        and not torch.is_autocast_enabled(values.device.type)
    )


@dataclass(frozen=True)
class _Linear:
    """A linear layer, whose derivative needs no values."""

    weight: Tensor
    bias: Tensor | None = None

    def __call__(self, values: Tensor) -> Tensor:
        return linear(values, self.weight, self.bias)


class Tokens(torch.autograd.Function):
    """A function of tokens whose derivative passes over tokens without gradient, and can itself be differentiated.

    Output token i must depend on the first argument's token i only; the other arguments may matter to all.
    """

    @staticmethod
    def forward(ctx: Any, function: Callable[..., Tensor], values: Tensor, *others: Tensor) -> Tensor:
        """(..., token, in) and others to (..., token, out)."""
        ctx.given = tuple(each.detach().requires_grad_() for each in (values, *others))
        with torch.enable_grad():
            ctx.made = function(*ctx.given)
        ctx.function = function
        ctx.save_for_backward(values, *others)
        made: Tensor = ctx.made.detach()
        return made

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """(..., token, out) to gradients of all arguments."""
        told = (gradient.detach().amax(-1) != 0) | (gradient.detach().amin(-1) != 0)
        some = told.flatten(0, -2).any(0).nonzero()[:, 0]
        values, *others = ctx.saved_tensors
        if 2 * len(some) > told.shape[-1]:
            if not torch.is_grad_enabled():
                return None, *torch.autograd.grad(ctx.made, ctx.given, gradient, retain_graph=True)
            return None, *_derivative(ctx.function, (values, *others), gradient)
        few = values.index_select(-2, some), *others
        back, *rest = _derivative(ctx.function, few, gradient.index_select(-2, some))
        return None, torch.zeros_like(values).index_copy_(-2, some, back), *rest


def _derivative(function: Callable[..., Tensor], given: Sequence[Tensor], gradient: Tensor) -> tuple[Tensor, ...]:
    """Gradients of all arguments, part of a graph where that is asked for; fused attention could not be."""
    again = torch.is_grad_enabled()
    if isinstance(function, _Linear):
        return (gradient @ function.weight,)
    with torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
        inputs = given if again else [each.detach().requires_grad_() for each in given]
        return torch.autograd.grad(function(*inputs), inputs, gradient, create_graph=again)
