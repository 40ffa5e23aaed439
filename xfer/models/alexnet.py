"""AlexNet in the study's variant."""

from torch import nn

from xfer.models import MODELS
from xfer.models.plain import BATCH_NORM, Plain, convolution, dense, dropout, pooling, side

REFERENCE = "Krizhevsky et al. 2012, doi:10.1145/3065386, as in Gaya-Morey et al. 2024, doi:10.1007/s11042-024-20090-5"
NORMALISED = f"{REFERENCE}; {BATCH_NORM}"


@MODELS.register("alexnet", input_size=224, min_input=48, reference=REFERENCE, tags=("published",))
def alexnet(classes: int, size: int) -> nn.Module:
    """Five convolutions and three dense layers of 4096: 88,718,726 parameters for six classes at 224 px (88.7M)."""
    return _alexnet(classes, size, bn=False)


@MODELS.register("alexnet_bn", input_size=224, min_input=48, reference=NORMALISED, tags=("bn",))
def alexnet_bn(classes: int, size: int) -> nn.Module:
    """AlexNet with BatchNorm after every convolution and hidden dense layer, in place of dropout."""
    return _alexnet(classes, size, bn=True)


def _alexnet(classes: int, size: int, *, bn: bool) -> nn.Module:
    features = [
        *convolution(3, 96, 11, 4, bn=bn),
        pooling(3, 2),
        *convolution(96, 256, 5, bn=bn),
        pooling(3, 2),
        *convolution(256, 384, 3, bn=bn),
        *convolution(384, 384, 3, bn=bn),
        *convolution(384, 256, 3, bn=bn),
        pooling(3, 2),
    ]
    classifier = nn.Sequential(
        *dense(256 * side(features, size) ** 2, 4096, bn=bn),
        *dropout(0.4, bn=bn),
        *dense(4096, 4096, bn=bn),
        *dense(4096, 4096, bn=bn),
        *dropout(0.4, bn=bn),
        nn.Linear(4096, classes),
    )
    return Plain(nn.Sequential(*features), classifier)
