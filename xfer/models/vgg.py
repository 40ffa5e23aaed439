"""VGG with 16 and 19 layers, as torchvision builds it, over global average pooling."""

from torch import nn
from torchvision.models.vgg import cfgs, make_layers

from xfer.models import MODELS
from xfer.models.imagenet import IMAGENET
from xfer.models.plain import BATCH_NORM, Plain

REFERENCE = "Simonyan and Zisserman 2015, doi:10.48550/arXiv.1409.1556"
NORMALISED = f"{REFERENCE}; {BATCH_NORM}"


@MODELS.register(
    "vgg16", input_size=224, min_input=48, reference=REFERENCE, tags=("published",), weights="vgg16.tv_in1k", **IMAGENET
)
def vgg16(classes: int, size: int) -> nn.Module:
    """Thirteen convolutions, average pooling, a dense layer: 14,717,766 parameters for six classes (14.7M)."""
    return _vgg("D", classes, bn=False)


@MODELS.register(
    "vgg19", input_size=224, min_input=48, reference=REFERENCE, tags=("published",), weights="vgg19.tv_in1k", **IMAGENET
)
def vgg19(classes: int, size: int) -> nn.Module:
    """Sixteen convolutions, average pooling, a dense layer: 20,027,462 parameters for six classes (20M)."""
    return _vgg("E", classes, bn=False)


@MODELS.register(
    "vgg16_bn", input_size=224, min_input=48, reference=NORMALISED, tags=("bn",), weights="vgg16_bn.tv_in1k", **IMAGENET
)
def vgg16_bn(classes: int, size: int) -> nn.Module:
    """VGG16 with BatchNorm after every convolution."""
    return _vgg("D", classes, bn=True)


@MODELS.register(
    "vgg19_bn", input_size=224, min_input=48, reference=NORMALISED, tags=("bn",), weights="vgg19_bn.tv_in1k", **IMAGENET
)
def vgg19_bn(classes: int, size: int) -> nn.Module:
    """VGG19 with BatchNorm after every convolution."""
    return _vgg("E", classes, bn=True)


def _vgg(layers: str, classes: int, *, bn: bool) -> nn.Module:
    features = make_layers(cfgs[layers], batch_norm=bn)
    return Plain(features, nn.Sequential(nn.Linear(512, classes)), nn.AdaptiveAvgPool2d(1))
