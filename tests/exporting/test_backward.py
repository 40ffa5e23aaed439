"""Gradients written out equal those that torch has kernels for."""

from itertools import product
from typing import Any

import pytest
import torch
from torch import nn

from xfer.exporting import backward

aten = torch.ops.aten


def noise(*shape: int) -> torch.Tensor:
    return torch.randn(shape, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(shape)))


@pytest.mark.parametrize(("stride", "padding", "dilation", "groups"), [*product([1, 2, 3], [0, 1], [1, 2], [1, 2])])
def test_convolution(stride: int, padding: int, dilation: int, groups: int) -> None:
    images, weight = noise(2, 4, 11, 10).requires_grad_(), noise(6, 4 // groups, 3, 2)
    sizes: list[Any] = [[stride, stride], [padding, padding], [dilation, dilation]]
    out = nn.functional.conv2d(images, weight, None, *sizes, groups)
    gradient = noise(*out.shape)
    (wanted,) = torch.autograd.grad(out, images, gradient)
    mask = [True, False, False]
    found, *others = backward.convolution(gradient, images, weight, None, *sizes, False, [0, 0], groups, mask)
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-12)
    assert others == [None, None]


@pytest.mark.parametrize(("transposed", "mask"), [(True, [True, False, False]), (False, [True, True, False])])
def test_what_is_not_written_out(transposed: bool, mask: list[bool]) -> None:
    images, weight = noise(1, 2, 4, 4), noise(2, 2, 1, 1)
    with pytest.raises(NotImplementedError, match="the gradient of a transposed convolution"):
        backward.convolution(images, images, weight, None, [1, 1], [0, 0], [1, 1], transposed, [0, 0], 1, mask)


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(2, 2, 0), (3, 2, 1), (3, 1, 1), (4, 3, 2)])
def test_max_pool(kernel: int, stride: int, padding: int) -> None:
    images = noise(2, 3, 9, 8).requires_grad_()
    sizes: list[Any] = [[kernel, kernel], [stride, stride], [padding, padding], [1, 1]]
    out, indices = aten.max_pool2d_with_indices(images, *sizes)
    gradient = noise(*out.shape)
    (wanted,) = torch.autograd.grad(out, images, gradient)
    found = backward.max_pool(gradient, images.detach(), *sizes, False, indices)
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(
    ("kernel", "stride", "padding", "with_pad", "divisor"),
    [(2, [2, 2], 0, True, None), (3, [1, 1], 1, False, None), (3, [2, 2], 1, True, None), (3, [], 0, True, 5)],
)
def test_average_pool(kernel: int, stride: list[int], padding: int, with_pad: bool, divisor: int | None) -> None:
    images = noise(2, 3, 9, 8).requires_grad_()
    sizes: list[Any] = [[kernel, kernel], stride, [padding, padding], False, with_pad, divisor]
    out = aten.avg_pool2d(images, *sizes)
    gradient = noise(*out.shape)
    (wanted,) = torch.autograd.grad(out, images, gradient)
    found = backward.average_pool(gradient, images.detach(), *sizes)
    torch.testing.assert_close(found, wanted, rtol=1e-10, atol=1e-12)
    with pytest.raises(NotImplementedError, match="the gradient of an average pooling with ceil_mode"):
        backward.average_pool(gradient, images, *sizes[:3], True, True, None)
