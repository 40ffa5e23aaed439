"""Which heatmap of a study is meant: a choice for every part of the key that tells two heatmaps apart."""

from collections.abc import Mapping

import numpy as np
import pandas as pd
import xarray as xr

from xfer import heatmaps
from xfer.labels import EXPRESSIONS, KEY
from xfer.study import Study

ORDER = ("model", "expression", "explainer", "guide", "outcome", "fold", "target", "layer", "seed", "normalisation")
ALL_FOLDS = "mean of all"
"""In place of a fold's name."""

_FIRST: Mapping[str, str] = {"normalisation": "positive_l1", "outcome": "all"}
"""Where a study has these values they are looked at first."""


class Cells:
    """The heatmaps of a study by the parts of their key.

    Attributes
    ----------
    choices : dict of str to list of str
        Every part of the key that tells heatmaps apart, in `ORDER`, with its values. Parts that follow from those
        before (the layer from the network) are left out, and of several normalisations only the one that is scored is
        there.
    start : dict of str to str
        What is shown first.
    """

    def __init__(self, study: Study) -> None:
        maps = study.heatmaps
        if "positive_l1" in maps.coords["normalisation"].values:
            maps = heatmaps.select(maps, normalisation="positive_l1")
        self._maps = maps
        table = pd.DataFrame({name: maps.coords[name].values.astype(str) for name in KEY})
        told = ["model", "expression"]
        for name in ORDER[2:]:
            if table.groupby(told, sort=False)[name].nunique().max() > 1:
                told.append(name)
        self.choices = {name: _ordered(name, table[name]) for name in ORDER if name in told}
        if "fold" in self.choices and "all" not in self.choices["fold"]:
            self.choices["fold"] = [ALL_FOLDS, *self.choices["fold"]]
        self.start = {name: values[0] for name, values in self.choices.items()}
        self.start |= {n: v for n, v in _FIRST.items() if v in self.choices.get(n, ())}
        if "explainer" in self.choices and "explainers" in study.config:
            self.start["explainer"] = study.config["explainers"][0]

    def find(self, **key: str) -> xr.DataArray | None:
        """The one heatmap (y, x) of a choice, with its key; over several folds their mean. None where there is none."""
        chosen = np.ones(self._maps.sizes["cell"], bool)
        for name, value in key.items():
            if (name, value) != ("fold", ALL_FOLDS):
                chosen &= self._maps.coords[name].values == value
        found = self._maps.isel(cell=np.flatnonzero(chosen))
        if not found.sizes["cell"]:
            return None
        return (heatmaps.pool_folds(found) if found.sizes["cell"] > 1 else found).isel(cell=0)


def _ordered(name: str, values: pd.Series) -> list[str]:
    there = list(dict.fromkeys(values))
    return sorted(there, key=EXPRESSIONS.index) if name in ("expression", "target") else there
