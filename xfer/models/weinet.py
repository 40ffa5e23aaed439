"""WeiNet, made for facial expressions."""

from torch import nn

from xfer.models import MODELS
from xfer.models.plain import BATCH_NORM, Plain, convolution, pooling, side

REFERENCE = "the WeiNet of Gaya-Morey et al. 2024, doi:10.1007/s11042-024-20090-5"
NORMALISED = f"{REFERENCE}; {BATCH_NORM}"


@MODELS.register("weinet", input_size=64, min_input=48, reference=REFERENCE, tags=("published", "small"))
def weinet(classes: int, size: int) -> nn.Module:
    """Three convolutions with pooling of stride 1 and a dense layer.

    1,728,230 parameters for six classes at 64 px; the study's table rounds to 1.7M, which is 1.7 % less. Unpadded
    pooling would leave 61 x 61 cells and 1,584,230, which is not 1.7M: so it is padded.
    """
    return _weinet(classes, size, bn=False)


@MODELS.register("weinet_bn", input_size=64, min_input=48, reference=NORMALISED, tags=("bn",))
def weinet_bn(classes: int, size: int) -> nn.Module:
    """WeiNet with BatchNorm after every convolution."""
    return _weinet(classes, size, bn=True)


def _weinet(classes: int, size: int, *, bn: bool) -> nn.Module:
    features = [
        *convolution(3, 32, 7, bn=bn),
        pooling(2, 1),
        *convolution(32, 32, 7, bn=bn),
        pooling(2, 1),
        *convolution(32, 64, 7, bn=bn),
        pooling(2, 1),
    ]
    dense = nn.Sequential(nn.Linear(64 * side(features, size) ** 2, classes))
    return Plain(nn.Sequential(*features), dense)
