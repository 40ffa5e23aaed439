"""Maps of every explainer, face and class as tensors on the device."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from xfer.errors import InputError, unknown
from xfer.explainers.catalogue import Explainer, choose
from xfer.explainers.families import FAMILIES, LAYER, Look
from xfer.explainers.images import Photographs, check_images
from xfer.explainers.layers import Address, Described, addresses
from xfer.explainers.shared_pass import SharedPass, logits_of
from xfer.explainers.state import check_finite, check_gradients, place, still
from xfer.explainers.tap import Tap
from xfer.explainers.targets import Targets, columns, read_targets
from xfer.labels import IMAGE

__all__ = ["Attribution", "SilentLayerError", "attribute", "trace"]


class SilentLayerError(InputError):
    """No gradient of any face reaches a layer: there is nothing to explain these faces by."""


@dataclass(frozen=True)
class Attribution:
    """What one look at a network gave.

    Attributes
    ----------
    logits : tensor (face, class)
    targets : int tensor (face, target)
        The classes explained.
    maps : dict
        Per layer's name and explainer's name the raw maps (face, target, y, x) on the layer's grid; under
        `xfer.labels.IMAGE` those that belong to no layer, over the whole image at a resolution of their
        own.
    """

    logits: Tensor
    targets: Tensor
    maps: dict[str, dict[str, Tensor]]


def attribute(
    model: nn.Module,
    images: Tensor,
    explainers: str | Iterable[str] = "all",
    targets: Any = "all",
    *,
    layer: str | Described = "auto",
    batch_size: int = 32,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Tensor]:
    """Raw maps of a classifier, every method and class from as few passes as they allow.

    The network is explained in evaluation mode and left as it was: weights, modes, ``requires_grad``, ``.grad``
    and hooks. Under `torch.autocast` forward and gradients are autocast's; the sums that make the maps are float32.

    Parameters
    ----------
    model : nn.Module
        Images in, logits (face, class) out.
    images : tensor (face, channel, y, x)
        Preprocessed as the network expects; brought to its device and floating type a batch at a time.
    explainers : str or iterable of str
        ``"all"``, or names from `EXPLAINERS`.
    targets : str, int, or array-like
        ``"all"``, ``"predicted"``, one class for all, (face,) one a face, (face, target) or (1, target).
    layer : str or object
        A module's dotted name, ``"auto"``, or a `xfer.models.layers.Layer`.
    batch_size : int
        The most images in one forward.
    settings : mapping, optional
        Per family of explainers its own settings, see `xfer.explainers.families.FAMILIES`.

    Returns
    -------
    dict of str to tensor (face, target, y, x)
        In the order asked for, on the network's device, at least float32; methods that read a layer on its grid, others
        over the whole image at a resolution of their own.

    Raises
    ------
    InputError
        For a layer, class or explainer that is not there, a layer without spatial features or without any
        gradient, images that do not fit, weights or images that are not finite.

    References
    ----------
    The definitions are those of the sources that `EXPLAINERS` names.

    Examples
    --------
    >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 7))
    >>> maps = attribute(net, torch.rand(2, 3, 12, 12), "grad_cam,hires_cam", layer="1")
    >>> tuple(maps["grad_cam"].shape)
    (2, 7, 10, 10)
    """
    seen = trace(model, images, explainers, targets, layers=(layer,), batch_size=batch_size, settings=settings)
    found = {name: maps for by in seen.maps.values() for name, maps in by.items()}
    return {explainer.name: found[explainer.name] for explainer in choose(explainers)}


def trace(
    model: nn.Module,
    images: Tensor | Photographs,
    explainers: str | Iterable[str] = "all",
    targets: Any = "all",
    *,
    layers: Sequence[str | Described] = ("auto",),
    batch_size: int = 32,
    settings: Mapping[str, Mapping[str, Any]] | None = None,
) -> Attribution:
    """`attribute` at several layers of one forward, with the logits and the classes explained.

    Raises
    ------
    InputError
        As `attribute`.
    """
    plan = _Plan.of(choose(explainers), settings or {}, len(images))
    check_gradients(model, plan.differentiating)
    check_images(images)
    wanted = read_targets(targets, len(images))
    if batch_size < 1:
        raise InputError(f"'batch_size' must be at least 1; got {batch_size}")
    where = addresses(model, layers, (images.shape[-2], images.shape[-1])) if plan.tapped else []
    check_finite(model)
    device, dtype = place(model)
    batches = []
    with torch.inference_mode(False), still(model):
        for start in range(0, len(images), batch_size):
            batch = images[start : start + batch_size].to(device, dtype)
            batches.append(_batch(model, batch, plan, wanted, where, start, batch_size))
    return _joined(batches)


@dataclass(frozen=True)
class _Plan:
    """The explainers asked for, family by family."""

    tapped: tuple[Explainer, ...]
    others: Mapping[str, tuple[Explainer, ...]]
    settings: Mapping[str, Mapping[str, Any]]

    @classmethod
    def of(cls, chosen: Sequence[Explainer], settings: Mapping[str, Mapping[str, Any]], faces: int) -> "_Plan":
        for name in settings:
            if name not in FAMILIES:
                raise unknown("settings", name, FAMILIES)
        tapped = tuple(explainer for explainer in chosen if explainer.family == LAYER)
        others = {
            family: tuple(explainer for explainer in chosen if explainer.family == family)
            for family in dict.fromkeys(explainer.family for explainer in chosen)
            if family != LAYER
        }
        for family in others:
            if check := FAMILIES[family].check:
                check(settings.get(family, {}), faces)
        return cls(tapped, others, settings)

    @property
    def differentiating(self) -> list[str]:
        """Those that ask for gradients."""
        needing = (each for family, each in self.others.items() if FAMILIES[family].gradients)
        return [explainer.name for each in (self.tapped, *needing) for explainer in each]


def _batch(
    model: nn.Module,
    images: Tensor,
    plan: _Plan,
    wanted: Targets,
    where: Sequence[Address],
    start: int,
    batch_size: int,
) -> tuple[Attribution, dict[str, Tensor]]:
    """One batch's maps, and per layer whether any gradient was there."""
    shared = SharedPass(model, images, where) if plan.tapped else None
    logits = shared.logits.detach() if shared else logits_of(model, images)
    classes = columns(wanted, logits, start)
    maps, alive = _tapped(shared, classes, plan.tapped) if shared else ({}, {})
    for name, explainers in plan.others.items():
        look = Look(model, images, logits, classes, start, batch_size, plan.settings.get(name, {}))
        maps.setdefault(IMAGE, {}).update(FAMILIES[name].function(look, explainers))
    return Attribution(logits, classes, maps), alive


def _tapped(
    shared: SharedPass, classes: Tensor, explainers: Sequence[Explainer]
) -> tuple[dict[str, dict[str, Tensor]], dict[str, Tensor]]:
    """Maps of the family that reads layers, and per layer whether any gradient was there."""
    made: dict[str, dict[str, list[Tensor]]] = {each: {e.name: [] for e in explainers} for each in shared.names}
    alive = {each: torch.zeros((), dtype=torch.bool, device=classes.device) for each in shared.names}
    for some in classes.split(shared.room(), dim=1):
        for name, tap in shared.taps(some).items():
            alive[name] |= tap.gradients.any()
            for explainer in explainers:
                made[name][explainer.name].append(_map(explainer, tap))
    return {name: {e: torch.cat(parts, 1) for e, parts in by.items()} for name, by in made.items()}, alive


def _map(explainer: Explainer, tap: Tap) -> Tensor:
    with torch.no_grad(), torch.autocast(tap.gradients.device.type, enabled=False):
        maps: Tensor = explainer(tap)
    return maps.expand(-1, tap.gradients.shape[1], -1, -1)


def _joined(batches: Sequence[tuple[Attribution, dict[str, Tensor]]]) -> Attribution:
    first = batches[0][0]
    for name in batches[0][1]:
        if not torch.stack([alive[name] for _, alive in batches]).any():
            raise SilentLayerError(
                f"every gradient at layer {name!r} is zero: its features do not reach the logits; take an earlier layer"
            )
    return Attribution(
        torch.cat([batch.logits for batch, _ in batches]),
        torch.cat([batch.targets for batch, _ in batches]),
        {
            name: {e: torch.cat([batch.maps[name][e] for batch, _ in batches]) for e in by}
            for name, by in first.maps.items()
        },
    )
