"""The settings of the presets, per network."""

from collections.abc import Mapping
from typing import Any

from xfer.errors import unknown
from xfer.training.settings import Settings

_QUICK = Settings(
    size=64,
    epochs=4,
    lr=1e-3,
    label_smoothing=0.05,
    clip=1.0,
    precision="bf16",
    channels_last=True,
    flip=True,
    validation=0.12,
)
_SMALL = _QUICK.change(size=48)
_PLAIN = _SMALL.change(epochs=6, lr=3e-4)
_SLOW = _QUICK.change(precision="32", lr=2e-3)

_PAPER = Settings(
    size=224, epochs=2, batch=128, optimiser="adam", lr=1e-4, weight_decay=0.0, schedule="constant", threads=0
)
_PAPER_OWN = _PAPER.change(optimiser="rmsprop", epochs=10)

PRESETS: Mapping[str, Mapping[str, Settings]] = {
    "quick": {
        "": _QUICK,
        "alexnet": _QUICK.change(epochs=6, lr=3e-4),
        "efficientnetv2": _SLOW,
        "inceptionv3": _QUICK.change(size=96, epochs=3),
        "mobilenetv3": _SLOW.change(epochs=6),
        "resnet101v2": _QUICK.change(epochs=3),
        "silnet": _PLAIN,
        "songnet": _SMALL.change(epochs=6, lr=2e-3),
        "vgg16": _PLAIN,
        "vgg19": _PLAIN,
        "weinet": _SMALL.change(epochs=3),
    },
    "standard": {
        "": _QUICK.change(size=224, epochs=20, patience=5, rotation=10.0, shift=0.05, contrast=0.1, threads=0),
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
}
"""Settings by preset and network; "" stands for every other network.

``quick`` suits drawn faces on a processor; ``paper`` has the epochs and rates of Gaya-Morey et al. 2024,
doi:10.1007/s11042-024-20090-5, whose networks saw faces divided by 255 and not augmented. The epochs and rates of
MobileNetV3 and EfficientNetV2 are the likeliest reading of its list, which names one network fewer.
"""


def preset(name: str, network: str, **changes: Any) -> Settings:
    """The settings of a preset for a network.

    A variant ``NAME_bn`` is trained as NAME is, with the higher rate that BatchNorm bears under ``quick``.

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
    plain = network.removesuffix("_bn")
    settings = table.get(network) or table.get(plain) or table[""]
    if name == "quick" and plain != network and network not in table:
        settings = settings.change(lr=max(settings.lr, 1e-3))
    return settings.change(**changes)


def variant(name: str, network: str) -> str:
    """What a preset trains in place of a network; itself where there is nothing better."""
    return network
