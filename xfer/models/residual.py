"""Residual networks whose branches start small."""

from torch import nn


def damped(model: nn.Module, scale: float = 0.0) -> nn.Module:
    """Let every residual branch of a network start small, so that at first a block all but hands on what it gets.

    A deep network then learns as a shallow one in its first steps (Goyal et al. 2017, arXiv:1706.02677, section 5.1):
    the scale of a branch's last normalisation is `scale`, or the weights of its last convolution are 0 where none
    follows it. timm starts its ResNets at 0, and not the blocks of MobileNetV3, EfficientNetV2 and ResNetV2.

    Parameters
    ----------
    model : nn.Module
        Of timm; changed in place.
    scale : float

    Returns
    -------
    nn.Module
        The same.
    """
    for block in model.modules():
        end = _end(block)
        if isinstance(end, nn.BatchNorm2d):
            nn.init.constant_(end.weight, scale)
        elif isinstance(end, nn.Conv2d):
            nn.init.zeros_(end.weight)
    return model


def _end(block: nn.Module) -> nn.Module | None:
    """What a branch ends with; None for a module that is no residual block."""
    kind = type(block).__name__
    if kind in ("Bottleneck", "PreActBottleneck"):
        return block.get_submodule("bn3" if kind == "Bottleneck" else "conv3")
    if not getattr(block, "has_skip", False):
        return None
    return [m for m in block.modules() if isinstance(m, nn.BatchNorm2d)][-1]
