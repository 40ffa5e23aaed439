"""SongNet, made for facial expressions."""

from torch import nn

from xfer.models import MODELS
from xfer.models.plain import BATCH_NORM, Plain, convolution, dropout, pooling, side

REFERENCE = "the SongNet of Gaya-Morey et al. 2024, doi:10.1007/s11042-024-20090-5"
NORMALISED = f"{REFERENCE}; {BATCH_NORM}"


@MODELS.register("songnet", input_size=224, min_input=48, reference=REFERENCE, tags=("published", "small"))
def songnet(classes: int, size: int) -> nn.Module:
    """Four convolutions and a dense layer: 172,678 parameters for six classes at 224 px (172.7K)."""
    return _songnet(classes, size, bn=False)


@MODELS.register("songnet_bn", input_size=224, min_input=48, reference=NORMALISED, tags=("bn",))
def songnet_bn(classes: int, size: int) -> nn.Module:
    """SongNet with BatchNorm after every convolution, in place of dropout."""
    return _songnet(classes, size, bn=True)


def _songnet(classes: int, size: int, *, bn: bool) -> nn.Module:
    features = [
        *convolution(3, 64, 5, bn=bn),
        pooling(3, 2),
        *convolution(64, 64, 5, bn=bn),
        pooling(3, 2),
        *convolution(64, 32, 3, bn=bn),
        pooling(3, 2),
        *dropout(0.5, bn=bn),
        *convolution(32, 32, 3, bn=bn),
        pooling(3, 2),
        *dropout(0.5, bn=bn),
    ]
    dense = nn.Sequential(nn.Linear(32 * side(features, size) ** 2, classes))
    return Plain(nn.Sequential(*features), dense)
