"""The settings of the presets, per network."""

from collections.abc import Mapping
from typing import Any

from xfer.errors import unknown
from xfer.training.settings import Settings

_QUICK = Settings(
    size=64,
    epochs=3,
    batch=16,
    lr=1e-3,
    warm_up=0.15,
    label_smoothing=0.05,
    clip=1.0,
    precision="bf16",
    channels_last=True,
    flip=True,
    mean=(0.5, 0.5, 0.5),
    std=(0.25, 0.25, 0.25),
    validation=0.12,
)
_SMALL = _QUICK.change(size=48)

_PAPER = Settings(
    size=224, epochs=2, batch=128, optimiser="adam", lr=1e-4, weight_decay=0.0, schedule="constant", threads=0
)
_PAPER_OWN = _PAPER.change(optimiser="rmsprop", epochs=10)

PRESETS: Mapping[str, Mapping[str, Settings]] = {
    "quick": {
        "": _QUICK,
        "alexnet": _QUICK.change(batch=32, lr=3e-4, epochs=6),
        "efficientnetv2": _QUICK.change(precision="32", lr=2e-3),
        "inceptionv3": _QUICK.change(size=96, wide=100),
        "mobilenetv3": _QUICK.change(precision="32", lr=2e-3, epochs=5, wide=100),
        "resnet101v2": _QUICK.change(wide=100, epochs=4),
        "resnet50": _QUICK.change(wide=100, epochs=2),
        "silnet": _SMALL.change(epochs=2),
        "songnet": _SMALL.change(lr=3e-3, epochs=4),
        "vgg16": _SMALL.change(epochs=2, batch=32, wide=100),
        "vgg19": _SMALL.change(batch=32, wide=100),
        "weinet": _SMALL.change(epochs=2, wide=1475),
        "xception": _QUICK.change(wide=100),
    },
    "standard": {
        "": _QUICK.change(
            size=224,
            epochs=20,
            batch=32,
            class_weights=True,
            patience=5,
            rotation=10.0,
            shift=0.05,
            contrast=0.1,
            threads=0,
        ),
    },
    "paper": {
        "": _PAPER,
        "alexnet": _PAPER_OWN,
        "efficientnetv2": _PAPER.change(epochs=10, lr=1e-6),
        "mobilenetv3": _PAPER.change(epochs=15, lr=1e-6),
        "silnet": _PAPER.change(size=150, epochs=10),
        "songnet": _PAPER_OWN.change(epochs=25),
        "weinet": _PAPER_OWN.change(size=64),
    },
    "belharbi2024": {
        "": Settings(
            size=224,
            epochs=20,
            batch=224,
            optimiser="sgd_nesterov",
            lr=2e-3,
            weight_decay=5e-4,
            schedule="step",
            precision="bf16",
            channels_last=True,
            flip=True,
            rotation=6.0,
            crop=0.2,
            grey=0.2,
            colour=0.8,
            erasing=0.5,
            mean=(0.485, 0.456, 0.406),
            std=(0.229, 0.224, 0.225),
            threads=0,
        ),
    },
}
"""Settings by preset and network; "" stands for every other network.

``quick`` suits drawn faces on a processor; ``paper`` has the epochs and rates of Gaya-Morey et al. 2024,
doi:10.1007/s11042-024-20090-5, whose networks saw faces divided by 255 and not augmented. The epochs and rates of
MobileNetV3 and EfficientNetV2 are the likeliest reading of its list, which names one network fewer.

``belharbi2024`` trains as Belharbi et al. 2024, doi:10.48550/arXiv.2402.00281, guided by Action Units; where 224
faces do not fit into memory the batch is halved, and the study says so. Three things differ: their faces were enlarged
to 256 px before they were cropped to 224, these are cropped at 224; these are trained in bfloat16, theirs in float16;
and the epoch is chosen on validation subjects, theirs on the test faces.
"""

FACES: Mapping[str, int] = {"quick": 4200}
"""Drawn faces that a preset is made for: of these a fifth is tested on and an eighth of the rest chooses the epoch."""

VARIANTS: Mapping[str, Mapping[str, str]] = {
    "quick": {name: f"{name}_bn" for name in ("alexnet", "silnet", "songnet", "vgg16", "vgg19", "weinet")},
}
"""What a preset trains in place of a network: with BatchNorm the plain ones leave chance in the time ``quick`` has."""


def preset(name: str, network: str, **changes: Any) -> Settings:
    """The settings of a preset for a network.

    A variant ``NAME_bn`` is trained as NAME is.

    Raises
    ------
    InputError
        If there is no such preset, or a change is out of range.

    Examples
    --------
    >>> preset("paper", "songnet").epochs, preset("quick", "timm:resnet18").size
    (25, 64)
    """
    if name not in PRESETS:
        raise unknown("preset", name, PRESETS)
    table = PRESETS[name]
    settings = table.get(network) or table.get(network.removesuffix("_bn")) or table[""]
    return settings.change(**changes)


def variant(name: str, network: str) -> str:
    """What a preset trains in place of a published network; the network itself where there is nothing better.

    The variant goes by its own name in every table.

    Raises
    ------
    InputError
        If there is no such preset.

    Examples
    --------
    >>> variant("quick", "songnet"), variant("quick", "resnet50"), variant("paper", "songnet")
    ('songnet_bn', 'resnet50', 'songnet')
    """
    if name not in PRESETS:
        raise unknown("preset", name, PRESETS)
    return VARIANTS.get(name, {}).get(network, network)
