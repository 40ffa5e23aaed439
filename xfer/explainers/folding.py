"""A network for thousands of forwards: every batch normalisation folded into the convolution in front of it."""

import gc

from torch import Tensor, nn
from torch.fx.experimental.optimization import fuse

from xfer.explainers.shared_pass import logits_of

__all__ = ["folded"]

CLOSE = 1e-4
"""How far, relative to the largest logit, the folded network may be from the network itself."""

_NORMS = nn.BatchNorm1d | nn.BatchNorm2d


def folded(model: nn.Module, image: Tensor, logits: Tensor) -> nn.Module:
    """The same function without the passes over memory that batch normalisation takes; a copy.

    The network itself where there is nothing to fold, it cannot be traced, something listens to its modules, or the
    copy says something else about a face.

    Parameters
    ----------
    model : nn.Module
        Still, see `xfer.explainers.state`.
    image : tensor (1, channel, y, x)
    logits : tensor (1, class)
        What the network says to the image.

    Examples
    --------
    >>> import torch
    >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    >>> image = torch.rand(1, 3, 8, 8)
    >>> with torch.no_grad():
    ...     [type(part).__name__ for part in folded(net, image, net(image)).children()][:2]
    ['Conv2d', 'AdaptiveAvgPool2d']
    """
    modules = list(model.modules())
    if not any(isinstance(each, _NORMS) for each in modules) or any(_heard(each) for each in modules):
        return model
    try:
        copy = fuse(model)
        agrees = (logits_of(copy, image) - logits).abs().max() <= CLOSE * logits.abs().max()
    except Exception:  # tracing runs any code of the network's; that the network itself can do this is known
        return model
    finally:
        gc.collect()  # what tracing leaves behind is as large as the network, and holds itself
    return copy if agrees else model


def _heard(module: nn.Module) -> bool:
    return bool(module._forward_hooks or module._forward_pre_hooks)
