"""No circles: what judges a guided network must have had no part in guiding it."""

from collections.abc import Iterable, Sequence

from xfer import masks
from xfer.datasets import Dataset
from xfer.errors import InputError, unknown
from xfer.study.dealing import Fold

JUDGES = ("occlusion", "integrated_gradients")
"""Explainers that read the network from outside: the picture goes in, the answer comes out. No layer is looked at, so
that attention which was trained to look right cannot speak for itself."""


def require_judge(explainer: str) -> str:
    """An explainer that is independent of the guided attention.

    Raises
    ------
    InputError
        If it is another one.

    >>> require_judge("occlusion")
    'occlusion'
    """
    if explainer in JUDGES:
        return explainer
    known = unknown("--explainer", explainer, JUDGES)
    raise InputError(f"{known}: the headline is never read from a layer that training may have guided")


def require_other_masks(scored: Iterable[str], guided: Iterable[str]) -> None:
    """Refuse to score on masks that share regions or codebook with those that guided.

    Parameters
    ----------
    scored, guided : iterable of str
        Mask sources; a name that is none of this version's (a folder, people's maps) is another source.

    Raises
    ------
    InputError
        If two are the same source, or have regions or a codebook in common.
    """
    parts = {name: _parts(name) for name in guided}
    for name in scored:
        for other, theirs in parts.items():
            if shared := sorted(_parts(name) & theirs):
                raise InputError(
                    f"--masks {name}: shares {' and '.join(shared)} with --guide-masks {other}, which would score "
                    "networks on what they were trained to show; give another source, such as ekman"
                )


def _parts(name: str) -> set[str]:
    """The files that a source is drawn from."""
    try:
        found = masks.source(name)
    except InputError:
        return {f"the folder {name!r}"}
    regions = {f"regions {found.regions.name!r}"} if found.regions is not None else set()
    return {f"codebook {found.codebook.name!r}", *regions}


def require_other_people(dataset: Dataset, folds: Sequence[Fold]) -> None:
    """See that no test subject trained or chose an epoch; the folds are dealt so, and this is where it is checked.

    Raises
    ------
    InputError
        If one did.
    """
    for fold in folds:
        people = [{dataset.samples[i].subject for i in part} for part in (fold.test, [*fold.train, *fold.validation])]
        if shared := sorted(people[0] & people[1]):
            raise InputError(f"{dataset.name}: subject {shared[0]!r} is tested and took part in training")
