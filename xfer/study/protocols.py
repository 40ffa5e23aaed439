"""What a preset says besides how each network is trained."""

from collections.abc import Mapping
from dataclasses import dataclass

from xfer.study import results
from xfer.training import presets


@dataclass(frozen=True)
class Protocol:
    """Faces, folds, selection and draws of a preset.

    Attributes
    ----------
    faces, pixels : int
        Drawn faces, and their side in px, for the data set ``synthetic``.
    folds : int
        1 for a single split.
    selection : {"true", "predicted"}
        Faces of a heatmap by their label, or as the published study by what the network predicts.
    per_class : int
        The most faces of a heatmap; 0 for all.
    blocks : int
        The most blocks of subjects whose sums are kept apart.
    draws : int
        Draws behind every interval and p-value.
    randomised : int
        Times that each network is explained with randomised weights.
    """

    faces: int
    pixels: int
    folds: int = 1
    selection: str = "true"
    per_class: int = 0
    blocks: int = 100
    draws: int = results.DRAWS
    randomised: int = 3


PROTOCOLS: Mapping[str, Protocol] = {
    "quick": Protocol(faces=presets.FACES["quick"], pixels=96, blocks=30, draws=500, randomised=1),
    "standard": Protocol(faces=20_000, pixels=224, folds=5),
    "paper": Protocol(faces=4200, pixels=224, folds=5, selection="predicted", per_class=100),
    "belharbi2024": Protocol(faces=4200, pixels=224),
}
