"""Maps of every explainer, face and class as tensors on the device."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from xfer.errors import InputError
from xfer.explainers.catalogue import GRADIENTS, Explainer, choose
from xfer.explainers.families import FAMILIES, Look
from xfer.explainers.images import Photographs, check_images
from xfer.explainers.layers import Address, Described, addresses
from xfer.explainers.plan import Plan
from xfer.explainers.shared_pass import SharedPass, logits_of
from xfer.explainers.smoothing import AUGMENTATION, COPIES, EIGEN, augmented, averaged, faces_at_once, read_smoothing
from xfer.explainers.state import check_finite, place, still
from xfer.explainers.tap import Tap
from xfer.explainers.targets import Targets, columns, read_targets
from xfer.labels import IMAGE
from xfer.progress import Stage, silent

__all__ = ["Attribution", "SilentLayerError", "attribute", "misfits", "trace"]


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
    left_out : dict
        Explainers that do not apply, and why; such as apply at some layers only have maps at those.
    effective : dict
        Of explainers that shared rows of a bank, how many of their own design these are worth (face,).
    """

    logits: Tensor
    targets: Tensor
    maps: dict[str, dict[str, Tensor]]
    left_out: dict[str, str] = field(default_factory=dict)
    effective: dict[str, Tensor] = field(default_factory=dict)


def attribute(
    model: nn.Module,
    images: Tensor,
    explainers: str | Iterable[str] = "all",
    targets: Any = "all",
    *,
    layer: str | Described = "auto",
    batch_size: int = 32,
    smoothing: str | Iterable[str] = "",
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
    smoothing : str or iterable of str
        Of methods that read a layer: ``"augmentation"``, the mean over six copies of the face, mirrored and brighter
        or darker by a tenth, made in one batch; ``"eigen"``, the first principal component in place of every sum
        over channels.
    settings : mapping, optional
        Per family of explainers its own settings, see `xfer.explainers.families.FAMILIES`.

    Returns
    -------
    dict of str to tensor (face, target, y, x)
        In the order asked for, on the network's device, at least float32; methods that read a layer on its grid, others
        over the whole image at a resolution of their own. Of ``"all"`` or a family those that apply to the network.

    Raises
    ------
    InputError
        For a layer, class or explainer that is not there, an explainer asked for by name that does not apply, a layer
        without spatial features or without any gradient, images that do not fit, weights or images that are not
        finite.

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
    names = explainers if isinstance(explainers, str) else list(explainers)
    options: dict[str, Any] = {"batch_size": batch_size, "smoothing": smoothing, "settings": settings}
    seen = trace(model, images, names, targets, layers=(layer,), **options)
    found = {name: maps for by in seen.maps.values() for name, maps in by.items()}
    return {explainer.name: found[explainer.name] for explainer in choose(names) if explainer.name in found}


def trace(
    model: nn.Module,
    images: Tensor | Photographs,
    explainers: str | Iterable[str] = "all",
    targets: Any = "all",
    *,
    layers: Sequence[str | Described] = ("auto",),
    batch_size: int = 32,
    smoothing: str | Iterable[str] = "",
    settings: Mapping[str, Mapping[str, Any]] | None = None,
    classes: int | None = None,
    lenient: bool = False,
    progress: Stage = silent,
) -> Attribution:
    """`attribute` at several layers of one forward, with the logits, the classes explained and what was left out.

    Parameters
    ----------
    classes : int, optional
        How many the network must have.
    lenient : bool
        Leave explainers that do not apply out even where they are asked for by name.
    progress : callable
        Told of every stage and step.

    Raises
    ------
    InputError
        As `attribute`; or if the network has another number of classes.
    """
    smooth = read_smoothing(smoothing)
    plan = Plan.of(model, explainers, settings or {}, len(images), lenient)
    check_images(images)
    wanted = read_targets(targets, len(images))
    step = faces_at_once(smooth, batch_size)
    where = addresses(model, layers, (images.shape[-2], images.shape[-1])) if plan.tapped else []
    check_finite(model)
    device, dtype = place(model)
    tick = progress("explaining", -(-len(images) // step) * (bool(plan.tapped) + len(plan.others)))
    work = _Work(model, plan, wanted, where, batch_size, smooth, (progress, tick), next(iter(layers), "auto"), classes)
    with torch.inference_mode(False), still(model):
        batches = [
            work.batch(images[start : start + step].to(device, dtype), start) for start in range(0, len(images), step)
        ]
    return work.joined(batches)


def misfits(
    model: nn.Module, images: Tensor, explainers: str | Iterable[str] = "all", *, layer: str | Described = "auto"
) -> dict[str, str]:
    """Which explainers do not apply to a network, and why, from a forward or two of some images.

    Arguments are as for `attribute`.

    Examples
    --------
    >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten(), nn.Linear(64, 2))
    >>> misfits(net, torch.rand(1, 3, 6, 6), "grad_cam,cam", layer="0")
    {'cam': "cam does not apply to layer '0': the linear layer behind the layer tells cells apart"}
    """
    plan = Plan.of(model, explainers, {}, len(images), lenient=True)
    asking = [name for name in plan.others if FAMILIES[name].misfits]
    device, dtype = place(model)
    seen, classes = images.to(device, dtype), torch.zeros((len(images), 1), dtype=torch.long, device=device)
    with torch.inference_mode(False), still(model):
        if any(explainer.misfit for explainer in plan.tapped):
            where = addresses(model, (layer,), (images.shape[-2], images.shape[-1]))
            for taps in SharedPass(model, seen, where, plan.needs).taps(classes):
                for name, tap in taps.items():
                    plan.at(name, tap)
        if asking:
            look = Look(model, seen, logits_of(model, seen), classes, 0, len(images), layer=layer)
            for name in asking:
                plan.of_family(name, look)
    return plan.left_out


@dataclass
class _Work:
    """The pass over the faces; `alive` says per layer whether any gradient was there."""

    model: nn.Module
    plan: Plan
    wanted: Targets
    where: Sequence[Address]
    batch_size: int
    smoothing: frozenset[str]
    told: tuple[Stage, Callable[[], None]]
    layer: str | Described = "auto"
    names: int | None = None
    alive: dict[str, Tensor] = field(default_factory=dict)

    def batch(self, images: Tensor, start: int) -> Attribution:
        """One batch's maps."""
        copies = COPIES if AUGMENTATION in self.smoothing else 1
        shared = None
        if self.plan.tapped:
            given = augmented(images) if copies > 1 else images
            shared = SharedPass(self.model, given, self.where, self.plan.needs)
        logits = shared.logits.detach()[::copies] if shared else logits_of(self.model, images)
        if self.names not in (None, logits.shape[1]):
            raise InputError(f"'classes' has {self.names} names; the network has {logits.shape[1]} classes")
        classes = columns(self.wanted, logits, start)
        progress, tick = self.told
        maps = {}
        if shared:
            maps = self._tapped(shared, classes.repeat_interleave(copies, 0))
            tick()
        if copies > 1:
            maps = {layer: {name: averaged(each) for name, each in by.items()} for layer, by in maps.items()}
        effective: dict[str, Tensor] = {}
        for name in self.plan.others:
            settings = self.plan.settings.get(name, {})
            look = Look(
                self.model, images, logits, classes, start, self.batch_size, settings, self.layer, progress=progress
            )
            maps.setdefault(IMAGE, {}).update(FAMILIES[name].function(look, self.plan.of_family(name, look)))
            effective |= look.effective
            tick()
        return Attribution(logits, classes, maps, effective=effective)

    def _tapped(self, shared: SharedPass, classes: Tensor) -> dict[str, dict[str, Tensor]]:
        """Maps of the family that reads layers."""
        made: dict[str, dict[str, list[Tensor]]] = {layer: {} for layer in shared.names}
        for taps in shared.taps(classes, EIGEN in self.smoothing):
            for layer, tap in taps.items():
                if GRADIENTS in self.plan.needs:
                    heard = tap.gradients.any()
                    self.alive[layer] = self.alive[layer] | heard if layer in self.alive else heard
                for explainer in self.plan.at(layer, tap):
                    parts = made[layer].setdefault(explainer.name, [])
                    if explainer.needs or not parts:
                        parts.append(_map(explainer, tap))
        return {
            layer: {name: torch.cat(parts, 1).expand(-1, classes.shape[1], -1, -1) for name, parts in by.items()}
            for layer, by in made.items()
        }

    def joined(self, batches: Sequence[Attribution]) -> Attribution:
        """All faces' maps."""
        for name, alive in self.alive.items():
            if not alive:
                raise SilentLayerError(
                    f"every gradient at layer {name!r} is zero: its features do not reach the logits; "
                    "take an earlier layer"
                )
        return Attribution(
            torch.cat([batch.logits for batch in batches]),
            torch.cat([batch.targets for batch in batches]),
            {
                layer: {name: torch.cat([batch.maps[layer][name] for batch in batches]) for name in by}
                for layer, by in batches[0].maps.items()
            },
            dict(self.plan.left_out),
            {
                name: torch.cat([batch.effective[name] for batch in batches])
                for name in batches[0].effective
                if all(name in batch.effective for batch in batches)
            },
        )


def _map(explainer: Explainer, tap: Tap) -> Tensor:
    with torch.no_grad(), torch.autocast(tap.activations.device.type, enabled=False):
        maps: Tensor = explainer(tap)
    return maps.expand(-1, tap.gradients.shape[1], -1, -1) if explainer.needs else maps
