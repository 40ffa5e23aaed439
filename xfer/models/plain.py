"""Plain networks: convolutions, a pooling, dense layers; padded as Keras' ``same``."""

from collections.abc import Sequence
from functools import partial

from timm.layers.conv2d_same import Conv2dSame
from timm.layers.pool2d_same import create_pool2d
from torch import Tensor, nn

BATCH_NORM = "BatchNorm: Ioffe and Szegedy 2015, doi:10.48550/arXiv.1502.03167"


class Plain(nn.Module):
    """Convolutions, then a pooling (or none), then dense layers of which the last gives the logits.

    Parameters
    ----------
    features : nn.Sequential
        ``(n, 3, size, size) -> (n, channels, gy, gx)``.
    classifier : nn.Sequential
        Dense layers; the last one gives the logits.
    pool : nn.Module, optional
        Between the two; without it the features are flattened as they are.
    """

    def __init__(self, features: nn.Sequential, classifier: nn.Sequential, pool: nn.Module | None = None) -> None:
        super().__init__()
        self.features = features
        self.pool = nn.Identity() if pool is None else pool
        self.classifier = classifier

    def get_classifier(self) -> nn.Module:
        """The layer that gives the logits."""
        return self.classifier[-1]

    def forward(self, images: Tensor) -> Tensor:
        """Logits (n, classes) of images (n, 3, size, size)."""
        return self.classifier(self.pool(self.features(images)).flatten(1))


def convolution(channels: int, filters: int, kernel: int, stride: int = 1, *, bn: bool = False) -> list[nn.Module]:
    """A convolution and its ReLU, with BatchNorm between them if asked."""
    same = Conv2dSame if stride > 1 else partial(nn.Conv2d, padding=kernel // 2)
    layer = same(channels, filters, kernel, stride=stride, bias=not bn)
    return [layer, *([nn.BatchNorm2d(filters)] if bn else []), nn.ReLU()]


def dense(inputs: int, outputs: int, *, bn: bool = False) -> list[nn.Module]:
    """A dense layer and its ReLU, with BatchNorm between them if asked."""
    return [nn.Linear(inputs, outputs, bias=not bn), *([nn.BatchNorm1d(outputs)] if bn else []), nn.ReLU()]


def dropout(share: float, *, bn: bool = False) -> list[nn.Module]:
    """Dropout, or nothing where BatchNorm stands in for it (Ioffe and Szegedy 2015, arXiv:1502.03167)."""
    return [] if bn else [nn.Dropout(share)]


def pooling(kernel: int, stride: int) -> nn.Module:
    """Max pooling whose output has ceil(side / stride) cells a side."""
    return create_pool2d("max", kernel, stride, padding="same")


def side(features: Sequence[nn.Module], size: int) -> int:
    """Cells a side that layers padded as ``same`` leave of `size` px.

    >>> side([*convolution(3, 8, 11, 4), pooling(3, 2)], 224)
    28
    """
    for layer in features:
        if isinstance(layer, nn.Conv2d | nn.MaxPool2d):
            stride = layer.stride if isinstance(layer.stride, int) else layer.stride[0]
            size = -(-size // stride)
    return size
