"""EfficientNetV2-B0, as timm builds it."""

import timm
from torch import nn

from xfer.models import MODELS
from xfer.models.imagenet import IMAGENET
from xfer.models.residual import damped


@MODELS.register(
    "efficientnetv2",
    input_size=224,
    min_input=64,
    reference="Tan and Le 2021, doi:10.48550/arXiv.2104.00298",
    tags=("published", "small"),
    weights="tf_efficientnetv2_b0.in1k",
    strided=True,
    **IMAGENET,
)
def efficientnetv2(classes: int, size: int, output_stride: int = 32) -> nn.Module:
    """EfficientNetV2-B0: 5,926,998 parameters for six classes (5.9M)."""
    return damped(timm.create_model("tf_efficientnetv2_b0", num_classes=classes, output_stride=output_stride))
