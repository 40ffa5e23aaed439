"""Do maps depend on what the network learned: weights made random, one layer after the other from the logits down."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from xfer.errors import InputError
from xfer.explainers.attribution import attribute
from xfer.explainers.shared_pass import logits_of
from xfer.explainers.state import place, still
from xfer.explainers.trust.maps import plain, rank_correlation

__all__ = ["randomisation"]


def randomisation(
    model: nn.Module,
    images: Tensor,
    explainers: str | Iterable[str] = "all",
    *,
    steps: int | None = None,
    seed: int = 0,
    **options: Any,
) -> pd.DataFrame:
    """Rank correlations of maps with those of the same network as more and more of its layers are made random.

    The cascade starts at the layer nearest the logits. Maps that stay as they are do not tell what the network learned.

    Parameters
    ----------
    model : nn.Module
        Not touched: a copy is made random.
    images : tensor (face, channel, y, x)
    explainers : str or iterable of str
        As for `xfer.explainers.attribute`; those that do not apply are left out.
    steps : int, optional
        How often the maps are computed, evenly over the layers; after every layer unless given.
    seed : int
        Of the new weights.
    options
        For `xfer.explainers.attribute`; with the layer as a name, since ``"auto"`` may find another one once weights
        are random.

    Returns
    -------
    DataFrame
        explainer, step, layer (the last one made random), randomised (share of layers), face, spearman, and
        spearman_absolute, that of the absolute values; NaN where a map is constant. The class explained is the one that
        the whole network predicts.

    Raises
    ------
    InputError
        As `xfer.explainers.attribute`, or if there is no layer with weights.

    References
    ----------
    Adebayo et al. 2018, Sanity checks for saliency maps, doi:10.48550/arXiv.1810.03292.
    """
    order = [name for name, module in model.named_modules() if any(True for _ in module.parameters(recurse=False))][
        ::-1
    ]
    if not order:
        raise InputError(f"{type(model).__name__} has no layer with weights to make random")
    targets = _predicted(model, images, int(options.get("batch_size", 32)))
    given = explainers if isinstance(explainers, str) else list(explainers)
    before = plain(attribute(model, images, given, targets, **options))
    copy = deepcopy(model)
    read = _evenly(len(order), steps)
    rows: list[pd.DataFrame] = []
    for position, name in _randomised(copy, order, seed):
        if position in read:
            after = plain(attribute(copy, images, list(before), targets, **options))
            facts = {"step": position, "layer": name, "randomised": position / len(order)}
            rows += [_compared(each, before[each], after[each], facts) for each in before]
    return pd.concat(rows, ignore_index=True)


def _predicted(model: nn.Module, images: Tensor, batch_size: int) -> Tensor:
    device, dtype = place(model)
    with still(model):
        found = [logits_of(model, some.to(device, dtype)).argmax(1) for some in images.split(batch_size)]
    return torch.cat(found).cpu()


def _evenly(layers: int, steps: int | None) -> set[int]:
    return set(np.unique(np.linspace(1, layers, min(steps or layers, layers)).round().astype(int)).tolist())


def _randomised(model: nn.Module, order: Sequence[str], seed: int) -> Iterator[tuple[int, str]]:
    """Make layers random one by one; the global generator is left as it is."""
    for position, name in enumerate(order, start=1):
        module = model.get_submodule(name)
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(seed + position)
            if callable(reset := getattr(module, "reset_parameters", None)):
                reset()
            else:
                for parameter in module.parameters(recurse=False):
                    shuffled = torch.randperm(parameter.numel()).to(parameter.device)
                    parameter.copy_(parameter.flatten()[shuffled].view_as(parameter))
        yield position, name


def _compared(name: str, before: np.ndarray, after: np.ndarray, facts: Mapping[str, Any]) -> pd.DataFrame:
    columns = {
        "spearman": rank_correlation(before, after),
        "spearman_absolute": rank_correlation(np.abs(before), np.abs(after)),
    }
    table = pd.DataFrame({"face": np.arange(len(before)), **columns})
    for position, (key, value) in enumerate([("explainer", name), *facts.items()]):
        table.insert(position, key, value)
    return table
