"""The arms of a twin study: networks that differ in their guide, or in one setting of it, and in nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from xfer.datasets import Dataset
from xfer.errors import InputError, unknown
from xfer.guidance import CONTROLS, Guide
from xfer.study.folder import slug
from xfer.training.guided import guide_facts

ABLATIONS = ("layer", "weight", "codebook", "data")

WEIGHTS = (0.1, 1.0, 2.0, 4.0, 8.0, 12.0, 16.0, 20.0)
"""Of the published sweep, which has .01 and every whole number from 1 to 20 besides."""
SHARES = (0.25, 0.5, 1.0)
"""Of the training subjects."""
CODEBOOKS = ("belharbi2024", "belharbi2024_code", "emfacs", "facs1978", "du2014")
"""Mask sources that a guide may be drawn from, in place of one another."""


@dataclass(frozen=True)
class Arm:
    """One way to train.

    Attributes
    ----------
    name : str
        The key's ``guide``.
    guide : Guide
    share : float
        Of the training subjects that it sees, in (0, 1].
    """

    name: str
    guide: Guide
    share: float = 1.0


@dataclass(frozen=True)
class Arms:
    """All arms of a study, and which two are compared.

    Attributes
    ----------
    arms : tuple of Arm
        The first leads the page.
    pairs : tuple of (str, str)
        Names; what is told is the first minus the second.
    """

    arms: tuple[Arm, ...]
    pairs: tuple[tuple[str, str], ...]

    def config(self) -> dict[str, Any]:
        """Its tables in ``study.toml``; no path."""
        told: Mapping[str, Any] = {arm.name: {"share": arm.share, **guide_facts(arm.guide)} for arm in self.arms}
        return {"arms": told, "pairs": [list(pair) for pair in self.pairs]}


def controls(names: Sequence[str], base: Guide) -> Arms:
    """An arm a control; ``au`` is compared with every other.

    Parameters
    ----------
    names : sequence of str
        Of `xfer.guidance.CONTROLS`; ``au`` and ``none`` among them.
    base : Guide
        What all but the control is taken from.

    Raises
    ------
    InputError
        If a control is unknown, or ``au`` or ``none`` is missing.

    Examples
    --------
    >>> controls(["none", "au"], Guide()).pairs
    (('au', 'none'),)
    """
    for name in names:
        if name not in CONTROLS:
            raise unknown("--controls", name, CONTROLS)
    if missing := [name for name in ("au", "none") if name not in names]:
        raise InputError(f"--controls lacks {' and '.join(missing)}: twins are au, none and what else is asked for")
    order = list(dict.fromkeys(["au", "none", *names]))
    arms = tuple(Arm(name, base.change(control=name)) for name in order)
    return Arms(arms, tuple(("au", name) for name in order[1:]))


def ablation(kind: str, base: Guide, stages: Sequence[str] = ()) -> Arms:
    """The arms of one of the published ablations, each compared with a network that is not guided.

    Parameters
    ----------
    kind : {"layer", "weight", "codebook", "data"}
    base : Guide
        Of the control ``au``.
    stages : sequence of str
        The network's stages, for ``layer``.

    Raises
    ------
    InputError
        If there is no such ablation, or the network has no stages.

    Examples
    --------
    >>> ablation("data", Guide()).pairs
    (('au-25', 'none-25'), ('au-50', 'none-50'), ('au-100', 'none-100'))
    """
    if kind not in ABLATIONS:
        raise unknown("--ablate", kind, ABLATIONS)
    plain = base.change(control="none")
    if kind == "data":
        kinds = {"au": base, "none": plain}
        arms = tuple(Arm(f"{name}-{100 * s:g}", guide, s) for s in SHARES for name, guide in kinds.items())
        return Arms(arms, tuple((f"au-{100 * s:g}", f"none-{100 * s:g}") for s in SHARES))
    if kind == "weight":
        varied = {f"weight-{weight:g}": base.change(weight=weight) for weight in WEIGHTS}
    elif kind == "codebook":
        varied = {f"codebook-{slug(name)}": base.change(masks=name) for name in CODEBOOKS}
    else:
        if not stages:
            raise InputError("--ablate layer: the network names no stages")
        varied = {f"layer-{slug(stage)}": base.change(layers=(stage,)) for stage in stages}
    arms = (*(Arm(name, guide) for name, guide in varied.items()), Arm("none", plain))
    return Arms(arms, tuple((name, "none") for name in varied))


def named(layers: Sequence[str | int], modules: Mapping[str, str]) -> list[str]:
    """Layers as they were asked for, with the modules that they are where these have other names.

    >>> named(["last", "features.4"], {"last": "features.7", "features.4": "features.4"})
    ['last (features.7)', 'features.4']
    """
    told = {str(layer): modules.get(str(layer), str(layer)) for layer in layers}
    return [layer if layer == module else f"{layer} ({module})" for layer, module in told.items()]


def some_subjects(dataset: Dataset, train: NDArray[np.intp], share: float, seed: int) -> NDArray[np.intp]:
    """The training faces of a share of the subjects, drawn anew for every seed.

    Of one seed a smaller share's are among a larger one's. Where a share would lack an expression, subjects are added
    until it has all.

    Parameters
    ----------
    dataset : Dataset
    train : array of int
        Positions of the training faces.
    share : float
        Of their subjects, in (0, 1].
    seed : int
    """
    if share == 1:
        return train
    part = dataset.take(train)
    people, subject = np.unique(part.column("subject"), return_inverse=True)
    _, expression = np.unique(list(map(str, part.column("expression"))), return_inverse=True)
    place = np.random.default_rng(seed).permutation(len(people))[subject]
    first = np.full(expression.max() + 1, len(people))
    np.minimum.at(first, expression, place)
    return train[place < max(1, round(share * len(people)), first.max() + 1)]
