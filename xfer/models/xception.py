"""Xception, as timm builds it."""

import timm
from torch import nn

from xfer.models import MODELS
from xfer.models.imagenet import INCEPTION


@MODELS.register(
    "xception",
    input_size=224,
    min_input=64,
    reference="Chollet 2017, doi:10.1109/CVPR.2017.195",
    tags=("published",),
    weights="legacy_xception.tf_in1k",
    **INCEPTION,
)
def xception(classes: int, size: int) -> nn.Module:
    """Xception: 20,873,774 parameters for six classes (20.9M)."""
    return timm.create_model("legacy_xception", num_classes=classes)
