"""MobileNetV3-Large, as timm builds it, without the layer between pooling and logits."""

from typing import Any, cast

import timm
from torch import nn

from xfer.models import MODELS
from xfer.models.imagenet import IMAGENET
from xfer.models.residual import damped


@MODELS.register(
    "mobilenetv3",
    input_size=224,
    min_input=64,
    reference="Howard et al. 2019, doi:10.1109/ICCV.2019.00140",
    tags=("published", "small"),
    weights="mobilenetv3_large_100.ra_in1k",
    **IMAGENET,
)
def mobilenetv3(classes: int, size: int) -> nn.Module:
    """MobileNetV3-Large: 3,002,118 parameters for six classes (3M).

    As in the study, the logits follow the pooled 960 channels; the dense layer of 1280 in between, which the whole
    network has for ImageNet, is left out.
    """
    model: Any = timm.create_model("mobilenetv3_large_100", num_classes=classes)
    model.conv_head = model.norm_head = model.act2 = nn.Identity()
    model.head_hidden_size = model.num_features
    model.classifier = nn.Linear(model.num_features, classes)
    return damped(cast(nn.Module, model))
