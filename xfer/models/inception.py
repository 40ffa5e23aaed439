"""InceptionV3, as timm builds it."""

import timm
from torch import nn

from xfer.models import MODELS
from xfer.models.imagenet import INCEPTION


@MODELS.register(
    "inceptionv3",
    input_size=224,
    min_input=75,
    reference="Szegedy et al. 2016, doi:10.1109/CVPR.2016.308",
    tags=("published",),
    weights="inception_v3.tf_in1k",
    **INCEPTION,
)
def inceptionv3(classes: int, size: int) -> nn.Module:
    """InceptionV3 without the auxiliary classifier: 21,832,294 parameters for six classes (21.8M).

    Keras leaves out BatchNorm's scales (17,216 parameters).
    """
    return timm.create_model("inception_v3", num_classes=classes, aux_logits=False)
