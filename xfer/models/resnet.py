"""Residual networks, as timm builds them."""

import timm
from torch import nn

from xfer.models import MODELS
from xfer.models.imagenet import IMAGENET, INCEPTION
from xfer.models.residual import damped

BRANCH = 0.2
"""What the branches of ResNet-50 start at. On 3,150 drawn faces an epoch from 0, .2, .4 and 1 left a validation loss of
1.65, 1.19, 1.40 and 1.67 nats."""


@MODELS.register(
    "resnet50",
    input_size=224,
    min_input=64,
    reference="He et al. 2016, doi:10.1109/CVPR.2016.90",
    tags=("published",),
    weights="resnet50.tv_in1k",
    strided=True,
    **IMAGENET,
)
def resnet50(classes: int, size: int, output_stride: int = 32) -> nn.Module:
    """ResNet-50: 23,573,446 parameters for six classes (23.6M).

    Two differences to Keras: its convolutions have biases that BatchNorm cancels (26,560 parameters), and a stage
    halves its grid in the 1 x 1 convolution of its first block, here in the 3 x 3 one.
    """
    return damped(timm.create_model("resnet50", num_classes=classes, output_stride=output_stride), BRANCH)


@MODELS.register(
    "resnet101v2",
    input_size=224,
    min_input=64,
    reference="He et al. 2016, doi:10.1007/978-3-319-46493-0_38",
    tags=("published",),
    weights="resnetv2_101.a1h_in1k",
    strided=True,
    **INCEPTION,
)
def resnet101v2(classes: int, size: int, output_stride: int = 32) -> nn.Module:
    """ResNet-101 with BatchNorm before each convolution: 42,602,438 parameters for six classes (42.6M).

    Two differences to Keras: some of its convolutions have biases (36,416 parameters), and a stage halves its grid in
    its last block, here in its first.
    """
    return damped(timm.create_model("resnetv2_101", num_classes=classes, output_stride=output_stride))
