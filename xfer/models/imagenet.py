"""What networks that the study started from ImageNet weights share."""

from typing import Any

from timm.data import IMAGENET_DEFAULT_MEAN, IMAGENET_DEFAULT_STD, IMAGENET_INCEPTION_MEAN, IMAGENET_INCEPTION_STD

IMAGENET: dict[str, Any] = {"pretrained": True, "mean": IMAGENET_DEFAULT_MEAN, "std": IMAGENET_DEFAULT_STD}
INCEPTION: dict[str, Any] = {"pretrained": True, "mean": IMAGENET_INCEPTION_MEAN, "std": IMAGENET_INCEPTION_STD}
"""The weights that came from TensorFlow, and BiT-style ones: faces in [-1, 1]."""
