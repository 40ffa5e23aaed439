"""SilNet, made for facial expressions."""

from torch import nn

from xfer.models import MODELS
from xfer.models.plain import BATCH_NORM, Plain, convolution, dense, dropout, pooling, side

REFERENCE = "the SilNet of Gaya-Morey et al. 2024, doi:10.1007/s11042-024-20090-5"
NORMALISED = f"{REFERENCE}; {BATCH_NORM}"


@MODELS.register("silnet", input_size=150, min_input=48, reference=REFERENCE, tags=("published",))
def silnet(classes: int, size: int) -> nn.Module:
    """Five convolutions and two dense layers of 512: 184,852,038 parameters for six classes at 150 px (184.9M)."""
    return _silnet(classes, size, bn=False)


@MODELS.register("silnet_bn", input_size=150, min_input=48, reference=NORMALISED, tags=("bn",))
def silnet_bn(classes: int, size: int) -> nn.Module:
    """SilNet with BatchNorm after every convolution and hidden dense layer, in place of dropout."""
    return _silnet(classes, size, bn=True)


def _silnet(classes: int, size: int, *, bn: bool) -> nn.Module:
    features = [
        *convolution(3, 32, 11, bn=bn),
        pooling(2, 2),
        *convolution(32, 32, 7, bn=bn),
        *convolution(32, 32, 7, bn=bn),
        pooling(2, 1),
        *convolution(32, 64, 5, bn=bn),
        *convolution(64, 64, 5, bn=bn),
        pooling(2, 1),
    ]
    classifier = nn.Sequential(
        *dense(64 * side(features, size) ** 2, 512, bn=bn),
        *dropout(0.5, bn=bn),
        *dense(512, 512, bn=bn),
        nn.Linear(512, classes),
    )
    return Plain(nn.Sequential(*features), classifier)
