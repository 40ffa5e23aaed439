"""What a ranking of networks hangs on: where scores vary, and whether other choices have another winner."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from xfer import scoring
from xfer.statistics.variance import Shares, Winners, shares, winner_changes

if TYPE_CHECKING:
    from xfer.study.study import Study

_FACTORS = {"model": "network", "expression": "expression", "fold": "fold", "explainer": "explainer",
            "layer": "layer", "mask": "mask source", "threshold": "threshold"}  # fmt: skip


def pooling(study: Study) -> dict[str, Any] | None:
    """Whether the winner depends on averaging folds before or after scoring.

    None with a single fold, without IoU, or where a network's mean is undefined.

    Returns
    -------
    dict with ``mean_of_folds`` and ``pooled_map`` (mean IoU per model) and ``winners`` (one of each).
    """
    if len(set(study.leading.coords["fold"].values)) < 2 or "iou" not in study.config["metrics"]:
        return None
    rule = scoring.read_threshold(study.config["threshold"])
    coords = study.pooled.coords
    masked = np.isin(coords["expression"].values, study.masks.coords["expression"].values)
    scored = study.pooled.isel(cell=np.flatnonzero(masked & ~np.isin(coords["model"].values, study.coarse)))
    if not scored.sizes["cell"]:
        return None
    scores = scoring.score(scored, study.masks, metrics=["iou"], threshold=rule, support=study.support)
    table = study.table().drop(index=study.coarse, errors="ignore")
    each, pooled = (t.mean(axis=1, skipna=False) for t in (table, scoring.table(scores)))
    if each.isna().any() or pooled.isna().any():
        return None
    return {
        "mean_of_folds": each.to_dict(),
        "pooled_map": pooled.to_dict(),
        "winners": (each.idxmax(), pooled.idxmax()),
    }


def variance(study: Study, metric: str) -> Shares:
    """Where the variance of own-mask scores is; see `statistics.variance.shares`."""
    scores = _own(study, metric)
    factors = [name for name in _FACTORS if _chosen(scores, name)] or ["model"]
    unit = next((name for name in ("fold", "expression") if name in factors), factors[0])
    found = scores.rename(columns=_FACTORS)
    return shares(found, [_FACTORS[name] for name in factors], unit=_FACTORS[unit])


def _own(study: Study, metric: str) -> pd.DataFrame:
    """Own-mask scores of every explainer and mask source, on all faces."""
    scores = study.scores[study.scores["metric"] == metric]
    scores = scores[scores["mask_expression"] == scores["expression"]]
    return scores[scores["outcome"] == "all"] if study.config["kind"] == "models" else scores


def winners(study: Study, metric: str) -> dict[str, Winners]:
    """Does the winner change with the threshold, the mask source, the explainer, or the order of pooling?

    Returns
    -------
    dict
        From the choice, in words, to `statistics.variance.Winners`; choices with one level are left out.
    """
    scores, found = _own(study, metric), {}
    for name in ("mask", "explainer", "layer"):
        if _chosen(scores, name):
            found[_FACTORS[name]] = winner_changes(scores, name)
    cells = study.inference
    if len(cells) and _several((cuts := cells[cells["metric"] == "iou"])["threshold"]):
        found["threshold"] = winner_changes(cuts.assign(value=cuts["half_value"]), "threshold")
    if (order := pooling(study)) is not None:
        rows = [(how, model, value) for how in ("mean_of_folds", "pooled_map") for model, value in order[how].items()]
        table = pd.DataFrame(rows, columns=["order", "model", "value"])
        found["order of pooling"] = winner_changes(table, "order")
    return found


def _chosen(scores: pd.DataFrame, name: str) -> bool:
    """Whether a part of the key varies, and not only because every network has its own, as with layers."""
    return _several(scores[name]) and (name == "model" or any(_several(v) for _, v in scores.groupby("model")[name]))


def _several(values: pd.Series) -> bool:
    return len(set(values)) > 1
