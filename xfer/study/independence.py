"""No circles: what judges a guided network must have had no part in guiding it."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from xfer import mask_sources, masks
from xfer.datasets import Dataset
from xfer.errors import InputError, unknown
from xfer.guidance import LOSSES, Guide
from xfer.masks import Regions, Source
from xfer.study.dealing import Fold

JUDGES = ("occlusion", "integrated_gradients")
"""Explainers that read the network from outside: the picture goes in, the answer comes out. No layer is looked at, so
that attention which was trained to look right cannot speak for itself."""

SAME = 0.9
"""Mean cosine of masks from which on two sources are one; of sources that share neither regions nor codebook it is
below .7."""


def require_no_circle(
    guides: Sequence[Guide], scored: Iterable[xr.DataArray], names: str | Path | Sequence[str | Path], explainer: str
) -> None:
    """Refuse to judge by what guided.

    Parameters
    ----------
    guides : sequence of Guide
    scored : iterable of DataArray (expression, y, x)
        On the frame ``xfer``.
    names : name, folder or several
        Of the same mask sources.
    explainer : str

    Raises
    ------
    InputError
        As `require_other_masks`, `require_other_places` and `require_other_gradients`.
    """
    used = sorted({guide.masks for guide in guides})
    require_other_masks(mask_sources.spelt(names), used)
    require_other_places(scored, used)
    for guide in guides:
        require_other_gradients(explainer, guide.loss)


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


def require_other_gradients(explainer: str, loss: str) -> None:
    """Refuse to judge by gradients at the pictures where those were guided.

    Raises
    ------
    InputError
        If the explainer reads what the loss of guided training shaped.

    >>> require_other_gradients("occlusion", "harmonize")
    """
    if explainer == "integrated_gradients" and LOSSES[loss].of_images:
        raise InputError(
            f"--explainer {explainer}: reads the gradients at the pictures, which --guide-loss {loss} trains; judge by "
            "occlusion"
        )


def require_other_masks(scored: Iterable[str | Path], guided: Iterable[str]) -> None:
    """Refuse to score on masks that share regions or codebook with those that guided.

    Parameters
    ----------
    scored, guided : iterable of str or path
        Mask sources, however they are spelt. Regions and codebooks are shared where their names are, or what they say,
        whatever they are called. A folder, or people's maps, has neither: `require_other_places`.

    Raises
    ------
    InputError
        If two are the same source, or have regions or a codebook in common.
    """
    parts = {name: _source(name) for name in guided}
    for name in scored:
        for other, theirs in parts.items():
            if shared := _shared(_source(name), theirs):
                raise InputError(
                    f"--masks {name}: shares {' and '.join(shared)} with --guide-masks {other}, which would score "
                    f"networks on what they were trained to show; {_instead(name, other)}"
                )


def require_other_places(scored: Iterable[xr.DataArray], guided: Iterable[str]) -> None:
    """Refuse to score on masks that lie where those lie that guided, wherever they come from.

    Parameters
    ----------
    scored : iterable of DataArray (expression, y, x)
        On the frame ``xfer``.
    guided : iterable of str
        Mask sources.

    Raises
    ------
    InputError
        If the masks of two have a mean cosine of `SAME` or more over the expressions that they have in common.
    """
    drawn = {name: masks.load(name) for name in guided}
    for one in scored:
        for name, other in drawn.items():
            both = [e for e in one.coords["expression"].values if e in other.coords["expression"].values]
            found = [_cosine(one.sel(expression=e).values, other.sel(expression=e).values) for e in both]
            if both and (alike := float(np.mean(found))) >= SAME:
                raise InputError(
                    f"--masks {one.name}: lie where those of --guide-masks {name} do (mean cosine {alike:.2f}), which "
                    f"would score networks on what they were trained to show; {_instead(one.name, name)}"
                )


def _instead(scored: object, guided: str) -> str:
    """What would work in place of a pair that does not."""
    free = "ekman" not in (str(scored), guided)
    return "give another source, such as ekman" if free else "guide by another source, such as belharbi2024"


def _source(name: str | Path) -> Source | None:
    """None for a folder of masks, or of people's maps."""
    try:
        return masks.source(name)
    except InputError:
        return None


def _shared(one: Source | None, other: Source | None) -> list[str]:
    """What two sources are both drawn from."""
    if one is None or other is None:
        return []
    books = one.codebook.name == other.codebook.name or _said(one) == _said(other)
    places = one.regions is not None and other.regions is not None and _alike(one.regions, other.regions)
    found = [f"codebook {one.codebook.name!r}"] if books else []
    return [*found, f"regions {one.regions.name!r}"] if one.regions is not None and places else found


def _said(source: Source) -> dict[str, Any]:
    """What a codebook says of every expression."""
    return {name: (dict(each.weights), each.shapes) for name, each in source.codebook.expressions.items()}


def _alike(one: Regions, other: Regions) -> bool:
    placed = [{code: each.shapes for code, each in regions.action_units.items()} for regions in (one, other)]
    return one.name == other.name or placed[0] == placed[1]


def _cosine(one: NDArray[np.floating], other: NDArray[np.floating]) -> float:
    ones, others = np.nan_to_num(one).ravel().astype(float), other.ravel().astype(float)
    return float(ones @ others / (np.linalg.norm(ones) * np.linalg.norm(others) or 1.0))


def require_other_people(dataset: Dataset, folds: Sequence[Fold]) -> None:
    """See that no test subject trained or chose an epoch; the folds are dealt so, and this is where it is checked.

    Raises
    ------
    InputError
        If one did.
    """
    for fold in folds:
        people = [set(dataset.take(part).column("subject")) for part in (fold.test, [*fold.train, *fold.validation])]
        if shared := sorted(people[0] & people[1]):
            raise InputError(f"{dataset.name}: subject {shared[0]!r} is tested and took part in training")
