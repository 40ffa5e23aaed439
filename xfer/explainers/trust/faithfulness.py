"""Does the network follow the map: curves of its confidence while pixels go or come in the map's order."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from xfer.errors import InputError
from xfer.explainers.baselines import baseline_images, check_baseline, check_scale
from xfer.explainers.state import check_finite, place, still
from xfer.explainers.trust.imputation import imputed
from xfer.explainers.trust.maps import Maps, gathered

__all__ = ["areas", "deletion", "insertion", "road"]

SHARES = tuple(np.linspace(0, 1, 21).tolist())
"""Shares of the pixels at which deletion and insertion are read."""

ROAD_SHARES = tuple(share / 10 for share in range(1, 10))
"""The same for ROAD, where something must stay."""

MOST, LEAST = "road_most", "road_least"


def deletion(
    model: nn.Module,
    images: Tensor,
    maps: Maps,
    targets: Any,
    *,
    shares: Sequence[float] = SHARES,
    baseline: Any = "black",
    mean: Any = 0.0,
    std: Any = 1.0,
    batch_size: int = 32,
    seed: int = 0,
) -> pd.DataFrame:
    """The target's probability while the most relevant pixels give way to a baseline; a good map makes it fall soon.

    Parameters
    ----------
    model : nn.Module
        Images in, logits (face, class) out; left as it was.
    images : tensor (face, channel, y, x)
        As the network expects them.
    maps : mapping of str to array (face, y, x)
        Brought to the image's size by bilinear interpolation.
    targets : int or array-like of int (face,)
    shares : sequence of float
        Shares of the pixels, in [0, 1], ascending.
    baseline, mean, std
        As for `xfer.explainers.baselines.baseline_images`.
    batch_size : int
        The most images in one forward.
    seed : int
        Of the order among equal pixels.

    Returns
    -------
    DataFrame
        curve, explainer, face, share, probability; NaN with `reason` for a constant map, which orders nothing.

    Raises
    ------
    InputError
        If maps, targets or shares do not fit.

    References
    ----------
    Petsiuk et al. 2018, RISE, doi:10.48550/arXiv.1806.07421.
    """
    drawn = _Drawn(images, baseline, mean, std, seed, shares)
    return _curves("deletion", model, images, maps, targets, drawn.gone, shares, batch_size, seed)


def insertion(
    model: nn.Module,
    images: Tensor,
    maps: Maps,
    targets: Any,
    *,
    shares: Sequence[float] = SHARES,
    baseline: Any = "blur",
    mean: Any = 0.0,
    std: Any = 1.0,
    batch_size: int = 32,
    seed: int = 0,
) -> pd.DataFrame:
    """The target's probability while the most relevant pixels come into a baseline; a good map makes it rise soon.

    Parameters, returns and raises as `deletion`.

    References
    ----------
    Petsiuk et al. 2018, RISE, doi:10.48550/arXiv.1806.07421.
    """
    drawn = _Drawn(images, baseline, mean, std, seed, shares)
    return _curves("insertion", model, images, maps, targets, drawn.come, shares, batch_size, seed)


def road(
    model: nn.Module,
    images: Tensor,
    maps: Maps,
    targets: Any,
    *,
    shares: Sequence[float] = ROAD_SHARES,
    noise: float = 0.01,
    batch_size: int = 32,
    seed: int = 0,
) -> pd.DataFrame:
    """Remove and debias: as `deletion`, by noisy linear imputation, the most relevant pixels first and the least.

    Parameters
    ----------
    model, images, maps, targets, batch_size
        As for `deletion`.
    shares : sequence of float
        Below 1.
    noise : float
        As for `xfer.explainers.trust.imputation.imputed`.
    seed : int
        Of the noise and of the order among equal pixels.

    Returns
    -------
    DataFrame
        As `deletion`, with the curves ``road_most`` and ``road_least``; a good map has a small area under the first and
        a large one under the second.

    References
    ----------
    Rong et al. 2022, doi:10.48550/arXiv.2202.00449.
    """
    if max(shares, default=0) >= 1:
        raise InputError(f"'shares' of road must be below 1, something must stay; got {max(shares)}")
    pixels = images.detach().cpu().double().numpy()

    def without(face: int, ranks: NDArray[np.intp], share: float) -> Tensor:
        rng = np.random.default_rng((seed, face, round(share * 1e6)))
        return torch.from_numpy(imputed(pixels[face], ranks < round(share * ranks.size), noise, rng))

    def least(face: int, ranks: NDArray[np.intp], share: float) -> Tensor:
        return without(face, ranks.size - 1 - ranks, share)

    made = [
        _curves(name, model, images, maps, targets, changed, shares, batch_size, seed)
        for name, changed in ((MOST, without), (LEAST, least))
    ]
    return pd.concat(made, ignore_index=True)


def areas(curves: pd.DataFrame) -> pd.DataFrame:
    """The area under every curve of a face, divided by the range of shares: the mean probability along it.

    Parameters
    ----------
    curves : DataFrame
        From `deletion`, `insertion` or `road`, or several of them together.

    Returns
    -------
    DataFrame
        curve, explainer, face, area; where both of ROAD's curves are there also the curve ``road``, half of what the
        area under ``road_least`` exceeds that under ``road_most``.

    Examples
    --------
    >>> facts = {"curve": "deletion", "explainer": "a", "face": 0}
    >>> float(areas(pd.DataFrame({**facts, "share": [0, 1], "probability": [1, 0.5]})).area[0])
    0.75
    """
    keys = ["curve", "explainer", "face"]
    found = pd.DataFrame(
        [
            (*key, np.trapezoid(each["probability"], each["share"]) / np.ptp(each["share"]))
            for key, each in curves.groupby(keys, sort=False)
        ],
        columns=[*keys, "area"],
    )
    most, least = (found[found["curve"] == curve].set_index(keys[1:])["area"] for curve in (MOST, LEAST))
    if len(most) and len(least):
        both = ((least - most) / 2).reset_index().assign(curve="road")
        found = pd.concat([found, both[[*keys, "area"]]], ignore_index=True)
    return found


class _Drawn:
    """Images with some pixels from a baseline."""

    def __init__(self, images: Tensor, baseline: Any, mean: Any, std: Any, seed: int, shares: Sequence[float]) -> None:
        check_baseline(baseline)
        check_scale(mean, std)
        self._images = images.detach().cpu()
        self._other = baseline_images(baseline, self._images, mean=mean, std=std, seed=seed)

    def gone(self, face: int, ranks: NDArray[np.intp], share: float) -> Tensor:
        chosen = torch.from_numpy(ranks < round(share * ranks.size))
        return torch.where(chosen, self._other[face], self._images[face])

    def come(self, face: int, ranks: NDArray[np.intp], share: float) -> Tensor:
        chosen = torch.from_numpy(ranks < round(share * ranks.size))
        return torch.where(chosen, self._images[face], self._other[face])


def _curves(
    name: str,
    model: nn.Module,
    images: Tensor,
    maps: Maps,
    targets: Any,
    changed: Callable[[int, NDArray[np.intp], float], Tensor],
    shares: Sequence[float],
    batch_size: int,
    seed: int,
) -> pd.DataFrame:
    if len(shares) < 2 or min(shares) < 0 or max(shares) > 1 or any(np.diff(shares) <= 0):
        raise InputError("'shares' must be at least two ascending numbers in [0, 1]")
    found = gathered(maps, (images.shape[-2], images.shape[-1]))
    columns = _targets(targets, len(images))
    if any(len(each) != len(images) for each in found.values()):
        raise InputError(f"'maps' must hold one map for each of {len(images)} images")
    orders = {
        (each, face): _ranks(one, seed, face) for each, several in found.items() for face, one in enumerate(several)
    }
    wanted = [(face, ranks, share) for (_, face), ranks in orders.items() if ranks is not None for share in shares]
    check_finite(model)
    with still(model):
        pictures = (changed(*each) for each in wanted)
        scores = _probabilities(model, pictures, [int(columns[face]) for face, _, _ in wanted], batch_size)
        table = [
            (name, *key, share, *((next(scores), "") if ranks is not None else (np.nan, "constant map")))
            for key, ranks in orders.items()
            for share in shares
        ]
    return pd.DataFrame(table, columns=["curve", "explainer", "face", "share", "probability", "reason"])


def _targets(targets: Any, faces: int) -> NDArray[np.int64]:
    given = targets.detach().cpu().numpy() if isinstance(targets, Tensor) else np.asarray(targets)
    if given.dtype.kind not in "iu" or given.shape not in ((), (faces,)):
        raise InputError(f"'targets' must be one class, or one for each of {faces} faces; got the shape {given.shape}")
    return np.broadcast_to(given, (faces,)).astype(np.int64)


def _ranks(heatmap: NDArray[np.float64], seed: int, face: int) -> NDArray[np.intp] | None:
    """The place of every pixel from the highest, equal ones in random order; None for a constant map."""
    if not np.ptp(heatmap) > 0:
        return None
    chance = np.random.default_rng((seed, face)).random(heatmap.size)
    order = np.lexsort((chance, -heatmap.ravel()))
    ranks = np.empty_like(order)
    ranks[order] = np.arange(order.size)
    return ranks.reshape(heatmap.shape)


def _probabilities(
    model: nn.Module, pictures: Iterator[Tensor], targets: Sequence[int], batch_size: int
) -> Iterator[float]:
    device, dtype = place(model)
    for start in range(0, len(targets), batch_size):
        some = torch.tensor(targets[start : start + batch_size], device=device)
        batch = torch.stack([next(pictures) for _ in range(len(some))]).to(device, dtype)
        with torch.no_grad():
            shares = model(batch).double().softmax(1)
        yield from shares.gather(1, some[:, None])[:, 0].tolist()
