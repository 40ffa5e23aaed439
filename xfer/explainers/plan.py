"""Which explainers are run on a network, family by family, and which do not apply to it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from xfer.errors import InputError, unknown
from xfer.explainers.catalogue import Explainer, by_name, choose
from xfer.explainers.families import FAMILIES, LAYER, Look
from xfer.explainers.tap import Tap

__all__ = ["Plan"]


@dataclass
class Plan:
    """The explainers asked for.

    Attributes
    ----------
    tapped : tuple of Explainer
        Those that read layers.
    others : dict
        Per family the others.
    settings : mapping
        Per family its own.
    demanded : frozenset of str
        Those that must apply.
    left_out : dict
        Those that do not apply, and why.
    """

    tapped: tuple[Explainer, ...]
    others: dict[str, tuple[Explainer, ...]]
    settings: Mapping[str, Mapping[str, Any]]
    demanded: frozenset[str]
    left_out: dict[str, str] = field(default_factory=dict)
    _fitting: dict[str, tuple[Explainer, ...]] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)

    @classmethod
    def of(
        cls,
        model: nn.Module,
        explainers: str | Iterable[str],
        settings: Mapping[str, Mapping[str, Any]],
        faces: int,
        lenient: bool,
    ) -> "Plan":
        """Sort what was asked for, and refuse what can be refused before any work.

        Raises
        ------
        InputError
            If an explainer or a family of `settings` is not there, settings do not fit, or no explainer applies.
        """
        names = explainers if isinstance(explainers, str) else list(explainers)
        chosen = choose(names)
        for name in settings:
            if name not in FAMILIES:
                raise unknown("settings", name, FAMILIES)
        plan = cls((), {}, settings, frozenset() if lenient else by_name(names))
        name = type(model).__name__
        for explainer in chosen:
            if not plan._kept(explainer, _no_gradients(explainer, model), name):
                continue
            if explainer.family == LAYER:
                plan.tapped = (*plan.tapped, explainer)
            elif plan._applies(explainer, model, name):
                plan.others[explainer.family] = (*plan.others.get(explainer.family, ()), explainer)
        for family in plan.others:
            if check := FAMILIES[family].check:
                check(settings.get(family, {}), faces)
        if not plan.tapped and not plan.others and not lenient:
            raise InputError(f"no explainer asked for applies: {'; '.join(plan.left_out.values())}")
        return plan

    @property
    def needs(self) -> frozenset[str]:
        """What the methods that read layers need of the pass."""
        return frozenset(need for explainer in self.tapped for need in explainer.needs)

    def at(self, layer: str, tap: Tap) -> Sequence[Explainer]:
        """Those that read layers and apply at this one; found at its first tap.

        Raises
        ------
        InputError
            If one does not apply that must.
        """
        if layer not in self._fitting:
            where = f"layer {layer!r}"
            self._fitting[layer] = tuple(each for each in self.tapped if self._applies(each, tap, where))
        return self._fitting[layer]

    def of_family(self, family: str, look: Look) -> Sequence[Explainer]:
        """Those of a family that apply to the images; found at the first batch.

        Raises
        ------
        InputError
            If one does not apply that must.
        """
        if family not in self._seen and (misfits := FAMILIES[family].misfits):
            reasons, where = misfits(look, self.others[family]), type(look.model).__name__
            self.others[family] = tuple(e for e in self.others[family] if self._kept(e, reasons.get(e.name, ""), where))
        self._seen.add(family)
        return self.others[family]

    def _applies(self, explainer: Explainer, what: Any, where: str) -> bool:
        return self._kept(explainer, explainer.misfit(what) if explainer.misfit else "", where)

    def _kept(self, explainer: Explainer, reason: str, where: str) -> bool:
        """Whether there is no reason against an explainer; one that there is stays on record."""
        if reason:
            self.left_out[explainer.name] = f"{explainer.name} does not apply to {where}: {reason}"
            if explainer.name in self.demanded:
                raise InputError(self.left_out[explainer.name])
        return not reason


def _no_gradients(explainer: Explainer, model: nn.Module) -> str:
    """Why a network that says by an attribute ``gradients = False`` that it has none cannot be explained; "" if not."""
    asks = explainer.family == LAYER or FAMILIES[explainer.family].gradients
    return "it gives logits but no gradients" if asks and not getattr(model, "gradients", True) else ""
