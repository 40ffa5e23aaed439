"""Gradients in the operators that ONNX has: what torch differentiates by kernels of its own, written out."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._decomp import decomposition_table

aten = torch.ops.aten


def convolution(
    gradient: Tensor,
    images: Tensor,
    weight: Tensor,
    bias_sizes: Sequence[int] | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
    output_mask: Sequence[bool],
) -> tuple[Tensor, None, None]:
    """The gradient with respect to the images: a transposed convolution. Weights are frozen and get none."""
    if transposed or output_mask[1] or output_mask[2]:
        raise NotImplementedError("the gradient of a transposed convolution, or with respect to weights")
    reached = [
        (cells - 1) * step - 2 * pad + spread * (kernel - 1) + 1
        for cells, step, pad, spread, kernel in zip(
            gradient.shape[2:], stride, padding, dilation, weight.shape[2:], strict=True
        )
    ]
    beyond = [whole - there for whole, there in zip(images.shape[2:], reached, strict=True)]
    return aten.convolution(gradient, weight, None, stride, padding, dilation, True, beyond, groups), None, None


def max_pool(
    gradient: Tensor,
    images: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
    indices: Tensor,
) -> Tensor:
    """Every window's gradient goes to the cell that was its largest."""
    cells = images.new_zeros((*images.shape[:2], images.shape[2] * images.shape[3]))
    return cells.scatter_add(2, indices.flatten(2), gradient.flatten(2)).reshape(images.shape)


def average_pool(
    gradient: Tensor,
    images: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    ceil_mode: bool,
    count_include_pad: bool,
    divisor: int | None,
) -> Tensor:
    """Every window's gradient, shared among its cells."""
    if ceil_mode:
        raise NotImplementedError("the gradient of an average pooling with ceil_mode")
    channels, steps = images.shape[1], list(stride) or list(kernel)
    ones = images.new_ones((1, 1, *kernel))
    if divisor or count_include_pad:
        shared = gradient / (divisor or kernel[0] * kernel[1])
    else:
        cells = images.new_ones((1, 1, *images.shape[2:]))
        shared = gradient / aten.convolution(cells, ones, None, steps, padding, [1, 1], False, [0, 0], 1)
    weight = ones.expand(channels, 1, *kernel)
    mask = (True, False, False)
    return convolution(shared, images, weight, None, steps, padding, [1, 1], False, [0, 0], channels, mask)[0]


def table() -> dict[Any, Callable[..., Any]]:
    """How gradients are written out: those of torch's own table, and the three above."""
    known = {operator: way for operator, way in decomposition_table.items() if "backward" in str(operator)}
    return {
        **known,
        aten.convolution_backward.default: convolution,
        aten.max_pool2d_with_indices_backward.default: max_pool,
        aten.avg_pool2d_backward.default: average_pool,
    }
