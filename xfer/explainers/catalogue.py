"""The registry of explainers and what each declares."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from xfer.errors import InputError
from xfer.registry import Registry

__all__ = ["CURVATURE", "EXPLAINERS", "GRADIENTS", "NEEDS", "RIVALS", "Explainer", "by_name", "choose"]

GRADIENTS, CURVATURE, RIVALS = NEEDS = ("gradients", "curvature", "rivals")
"""What a method of family "layer" can need besides the layer's output: its class's gradients, second derivatives, and
other classes' gradients."""


@dataclass(frozen=True)
class Explainer:
    """A method and what it declares.

    Attributes
    ----------
    name : str
        The field's name in snake_case.
    function : callable
        What the family calls. Family ``"layer"``: ``(Tap) -> maps (face, target, y, x)``, or (face, 1, y, x)
        where the map does not depend on the class. Other families say what they hand over, see
        `xfer.explainers.families`.
    family : str
        ``"layer"``, or a name of `xfer.explainers.families.FAMILIES`: explainers that share their passes.
    formula : str
        The raw map in plain text: A is the layer's output, G the gradient of the class's logit with respect to
        it, k a channel.
    signed : bool
        Whether the raw map keeps negative evidence. False where the definition has a ReLU inside.
    reference : str
        The source, with its DOI.
    needs : sequence of str
        Of family ``"layer"`` those of `NEEDS` that the method reads; one that reads none is the same for every class.
    misfit : callable, optional
        Why the method does not apply, "" where it does. Of family ``"layer"`` handed what the function is, before it;
        of other families the network, before any work.
    """

    name: str
    function: Callable[..., Any]
    family: str
    formula: str
    signed: bool
    reference: str
    needs: Sequence[str] = (GRADIENTS,)
    misfit: Callable[[Any], str] | None = None

    def __call__(self, *given: Any) -> Any:
        """Call the function with what its family is handed."""
        return self.function(*given)


EXPLAINERS: Registry[Explainer] = Registry("explainer", "xfer.explainers", Explainer)


def choose(names: str | Iterable[str]) -> tuple[Explainer, ...]:
    """The explainers asked for, in that order, each once.

    Parameters
    ----------
    names : str or iterable of str
        ``"all"``, one name, names with commas between them, or a sequence of names; a family's name stands for all
        of the family.

    Raises
    ------
    InputError
        If a name is not registered (the nearest is named), or there is none.

    Examples
    --------
    >>> [explainer.name for explainer in choose("hires_cam, grad_cam")]
    ['hires_cam', 'grad_cam']
    """
    names = EXPLAINERS if names == "all" else _listed(names)
    families = {family: [e.name for e in EXPLAINERS.values() if e.family == family] for family in _families()}
    single = [each for name in names for each in families.get(name, [name])]
    chosen = tuple(EXPLAINERS[name] for name in dict.fromkeys(single))
    if not chosen:
        raise InputError(f"'explainers' is empty: give 'all' or some of {', '.join(EXPLAINERS)}")
    return chosen


def by_name(names: str | Iterable[str]) -> frozenset[str]:
    """Those that were asked for by their own name, not by ``"all"`` or a family's.

    >>> sorted(by_name("layer, grad_cam"))
    ['grad_cam']
    """
    return frozenset() if names == "all" else frozenset(_listed(names)) & frozenset(EXPLAINERS)


def _listed(names: str | Iterable[str]) -> list[str]:
    return [name.strip() for name in names.split(",") if name.strip()] if isinstance(names, str) else list(names)


def _families() -> set[str]:
    return {explainer.family for explainer in EXPLAINERS.values()}
