"""Residual networks whose branches start at zero."""

from torch import nn


def still(model: nn.Module) -> nn.Module:
    """Let every residual branch of a network start at zero, so that at first a block hands on what it gets.

    A deep network then learns as a shallow one in its first steps (Goyal et al. 2017, arXiv:1706.02677, section 5.1):
    the scale of a branch's last normalisation is 0, or the weights of its last convolution where none follows it.
    timm does so in its ResNets, and not in the blocks of MobileNetV3, EfficientNetV2, Xception and ResNetV2.

    Parameters
    ----------
    model : nn.Module
        Of timm; changed in place.

    Returns
    -------
    nn.Module
        The same.
    """
    for block in model.modules():
        if isinstance(end := _end(block), nn.BatchNorm2d | nn.Conv2d):
            nn.init.zeros_(end.weight)
    return model


def _end(block: nn.Module) -> nn.Module | None:
    """What a branch ends with; None for a module that is no residual block."""
    kind = type(block).__name__
    if kind == "PreActBottleneck":
        return block.get_submodule("conv3")
    branch = block.get_submodule("rep") if kind == "Block" else block if getattr(block, "has_skip", False) else None
    return None if branch is None else [m for m in branch.modules() if isinstance(m, nn.BatchNorm2d)][-1]
