"""DeepLIFT's rescale rule for max pooling.

captum's own, as of 0.9.0, loses contributions where windows overlap, takes the first face's gradient where nothing
changes (https://github.com/meta-pytorch/captum/issues/1276) and reads stale gradients beside another activation
(https://github.com/meta-pytorch/captum/issues/1104).
"""

from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional

__all__ = ["RescaledPool", "rescaled"]

NEAR = 1e-10
"""Differences to the baseline below this are none: there the multiplier is the gradient, as in captum."""


class RescaledPool(nn.Module):
    """Max pooling of images followed by their baselines (2 face, channel, y, x), whose gradients are multipliers.

    Parameters
    ----------
    pool : nn.MaxPool2d
    """

    def __init__(self, pool: nn.MaxPool2d) -> None:
        super().__init__()
        self.pool = pool

    def forward(self, features: Tensor) -> Tensor:
        """The pooled features."""
        pool = self.pool
        sizes = (pool.kernel_size, pool.stride, pool.padding, pool.dilation, pool.ceil_mode)
        return _Rescaled.apply(features, sizes)


class _Rescaled(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, features: Tensor, sizes: tuple[Any, ...]) -> Tensor:
        pooled, winners = functional.max_pool2d(features, *sizes, return_indices=True)
        ctx.save_for_backward(features, pooled, winners)
        return pooled

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        features, pooled, winners = ctx.saved_tensors
        (face, baseline), (out, out_baseline) = features.chunk(2), pooled.chunk(2)
        gradient = gradients[0].chunk(2)[0]
        higher = torch.maximum(out, out_baseline)
        first, second = winners.chunk(2)
        contributions = _placed(gradient * (higher - out_baseline), first, face)
        contributions += _placed(gradient * (out - higher), second, face)
        difference = face - baseline
        straight = _placed(gradient, first, face)
        multipliers = torch.where(difference.abs() > NEAR, contributions / difference, straight)
        return torch.cat([multipliers, multipliers]), None


def _placed(values: Tensor, winners: Tensor, features: Tensor) -> Tensor:
    """Values (face, channel, row, column) added up at the cells that won the windows."""
    empty = torch.zeros_like(features).flatten(2)
    return empty.scatter_add_(2, winners.flatten(2), values.flatten(2)).view_as(features)


def rescaled(double: fx.GraphModule) -> fx.GraphModule:
    """The double of a network with this rule in place of its max pools, and copies between adjacent activations.

    Examples
    --------
    >>> double = fx.symbolic_trace(nn.Sequential(nn.ReLU(), nn.MaxPool2d(2)))
    >>> rescaled(double).get_submodule("1")
    RescaledPool(
      (pool): MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)
    )
    """
    graph = fx.Graph()
    graph.output(graph.graph_copy(double.graph, {}))
    for node in list(graph.nodes):
        if node.op == "call_module":
            with graph.inserting_after(node):
                copied = graph.call_method("clone", (node,))
            node.replace_all_uses_with(copied, lambda user, copied=copied: user is not copied)
    made = fx.GraphModule(double, graph)
    for name, module in list(made.named_modules()):
        if isinstance(module, nn.MaxPool2d):
            made.set_submodule(name, RescaledPool(module))
    return made
