"""Arithmetic of what follows the layer: made to be differentiated, once or twice, and nothing computed for nothing."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import linear, scaled_dot_product_attention
from torch.overrides import TorchFunctionMode

__all__ = ["Derivatives"]


class Derivatives(TorchFunctionMode):
    """Inside the block, operations that are differentiated are replaced by equal ones with a better derivative.

    Where a network reads its class token only, the gradient at most tokens of its last block is zero: linear layers
    then go back through the others only. Fused attention cannot be differentiated twice, plain attention can.

    Parameters
    ----------
    twice : bool
        Whether second derivatives are needed.
    """

    def __init__(self, twice: bool) -> None:
        super().__init__()
        self._twice = twice

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call what was called, or what replaces it."""
        if torch.is_grad_enabled():
            if func is linear and _of_tokens(args[0]) and not kwargs:
                return Linear.apply(*args)
            if func is scaled_dot_product_attention and self._twice:
                with sdpa_kernel(SDPBackend.MATH):
                    return func(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


def _of_tokens(values: Any) -> bool:
    """Whether rows without gradient can be told apart at no cost: on a GPU that would wait for the device."""
    return (
        isinstance(values, Tensor)
        and values.ndim == 3
        and values.requires_grad
        and values.device.type == "cpu"
        and not torch.is_autocast_enabled("cpu")
    )


class Linear(torch.autograd.Function):
    """A linear layer with frozen weights whose derivative passes over rows without gradient."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """(..., in) to (..., out)."""
        ctx.save_for_backward(weight)
        return linear(values, weight, bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        """(..., out) to (..., in); can be differentiated again."""
        (weight,) = ctx.saved_tensors
        flat = gradient.flatten(0, -2)
        rows = flat.detach().any(-1).nonzero()[:, 0]
        if 2 * len(rows) > len(flat):
            return gradient @ weight, None, None
        back = flat.new_zeros(len(flat), weight.shape[1]).index_copy(0, rows, flat[rows] @ weight)
        return back.unflatten(0, gradient.shape[:-1]), None, None
