"""What the sections ask of a study: its headline metric, its own-mask scores, its names in a reader's words."""

from itertools import pairwise

import numpy as np
import pandas as pd

from xfer import scoring
from xfer.metrics import METRICS
from xfer.report.canvas import short_labels, spoken
from xfer.study import Study

HEADLINE = "iou"

_TITLES = {
    "iou": "IoU", "iou_curve_area": "IoU curve area", "dice": "Dice", "pearson": "Pearson r", "spearman": "Spearman ρ",
    "auc_judd": "AUC-Judd", "shuffled_auc": "shuffled AUC", "nss": "NSS", "emd": "EMD", "kl": "KL", "sim": "SIM",
}  # fmt: skip


def title(metric: str) -> str:
    """A metric's name as a reader sees it.

    >>> title("iou"), title("energy_inside")
    ('IoU', 'energy inside')
    """
    return _TITLES.get(metric, spoken(metric))


def own_scores(study: Study) -> pd.DataFrame:
    """The leading rows in which each map meets its own expression's mask, specificity left out."""
    rows = study.leading_scores
    own = rows["mask_expression"] == rows["expression"]
    return rows[own & ~rows["metric"].str.endswith("_specificity")]


def metrics(study: Study) -> list[str]:
    """The metrics a study was scored with, in its order."""
    return [str(m) for m in dict.fromkeys(own_scores(study)["metric"])]


def headline_metric(study: Study) -> str:
    """IoU, or the first metric of a study that was scored without it."""
    names = metrics(study)
    return HEADLINE if HEADLINE in names or not names else names[0]


def higher_is_better(metric: str) -> bool:
    """Whether a metric's declared best is above its worst."""
    return metric not in METRICS or METRICS[metric].best > METRICS[metric].worst


def ranked(study: Study, metric: str) -> pd.DataFrame:
    """Models x expressions, the model with the best mean first, undefined ones last."""
    table = study.table(metric)
    means = scoring.network_means(table)
    order = means.sort_values(ascending=not higher_is_better(metric), na_position="last", kind="stable")
    return table.loc[order.index]


def cut(study: Study, metric: str) -> str:
    """The rule by which a metric's maps became pixels; "" for one without a threshold."""
    rows = own_scores(study)
    used = rows.loc[rows["metric"] == metric, "threshold"]
    return ", ".join(str(t) for t in dict.fromkeys(used) if t)


def values_of(study: Study, key: str) -> list[str]:
    """The values a part of the key takes among the leading heatmaps, in order of appearance."""
    return list(dict.fromkeys(map(str, study.leading.coords[key].values)))


def figure_names(study: Study) -> dict[str, str]:
    """How each network is called in every figure of the page: its name, or a shorter one of its own."""
    names = sorted({*values_of(study, "model"), *map(str, study.networks["model"])})
    return dict(zip(names, short_labels(names), strict=True))


def pooled_given(study: Study) -> bool:
    """Whether the maps over all folds were read beside the folds' maps, not averaged from them."""
    return bool(study.config.get("pooled"))


def is_human(study: Study) -> bool:
    """Whether the masks were collected from people: such agreement is never called FACS, nor the reverse."""
    return str(study.masks.name).startswith("human")


def parts(count: int, most: int) -> list[slice]:
    """As few parts of at most `most` as there can be, alike in size.

    >>> parts(5, 3)
    [slice(0, 2, None), slice(2, 5, None)]
    """
    ends = np.linspace(0, count, -(-count // most) + 1).round().astype(int).tolist()
    return [slice(start, stop) for start, stop in pairwise(ends)]
