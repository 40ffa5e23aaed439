"""The 12-network study (doi:10.1007/s11042-024-20090-5) reproduced from its own maps and masks.

Needs the real data beside the checkout; every number below is the authors' or was recomputed from their files.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import xfer
from xfer import heatmaps, scoring
from xfer.labels import BASIC

OVERLAP = ["iou", "dice", "precision", "recall"]

SWAP = {
    "anger": (0.233, 0.342, 0.285, 0.246, 0.265, 0.297),
    "disgust": (0.171, 0.478, 0.258, 0.333, 0.261, 0.224),
    "fear": (0.236, 0.278, 0.202, 0.263, 0.229, 0.305),
    "happiness": (0.163, 0.238, 0.110, 0.195, 0.127, 0.327),
    "sadness": (0.172, 0.475, 0.243, 0.320, 0.246, 0.248),
    "surprise": (0.232, 0.330, 0.266, 0.347, 0.278, 0.260),
}

BY_FOLD = {  # IoU, F1: the newer published table
    "SilNet": (0.2637, 0.4081), "WeiNet": (0.2141, 0.3441), "AlexNet": (0.2086, 0.3373), "SongNet": (0.2171, 0.3457),
    "InceptionV3": (0.3128, 0.4622), "VGG19": (0.2411, 0.3614), "VGG16": (0.2112, 0.3280),
    "ResNet50": (0.2844, 0.4314), "ResNet101V2": (0.2757, 0.4170), "Xception": (0.2176, 0.3475),
    "MobileNetV3Large": (0.2529, 0.3797), "EfficientNetV2B0": (0.2719, 0.4050),
}  # fmt: skip


def _score(published: Path, folder: str, pattern: str) -> pd.DataFrame:
    maps = heatmaps.read_heatmaps(published / folder, pattern)
    masks = heatmaps.read_masks(published / "masks")
    return xfer.score(maps, masks, metrics=OVERLAP)


@pytest.fixture(scope="module")
def by_network(published: Path) -> pd.DataFrame:
    return _score(published, "by_network", "{model}_{expression}_heatmap.png")


@pytest.fixture(scope="module")
def by_fold(published: Path) -> pd.DataFrame:
    return _score(published, "by_fold", "{model}_{fold}_{expression}_heatmap.png")


def test_all_72_published_ious(by_network: pd.DataFrame, published: Path) -> None:
    theirs = pd.read_csv(published / "iou_by_network.csv").pivot_table("iou_otsu", "model", "expression")
    ours = scoring.table(by_network)
    assert ours.shape == (12, 6)
    assert list(ours.index) == list(theirs.index)
    np.testing.assert_allclose(ours.to_numpy(), theirs.to_numpy(), rtol=0, atol=1e-6)


def test_best_worst_and_mean_network(by_network: pd.DataFrame) -> None:
    mean = scoring.table(by_network).mean(axis=1)
    assert (mean.idxmax(), mean.idxmin()) == ("ResNet50", "AlexNet")
    np.testing.assert_allclose([mean.max(), mean.min(), mean.mean()], [0.3269, 0.2066, 0.2689], atol=5e-5)


def test_swap_matrix(by_network: pd.DataFrame) -> None:
    ours = scoring.swap(by_network)
    theirs = pd.DataFrame(SWAP, index=list(BASIC)).T
    np.testing.assert_allclose(ours.loc[list(BASIC), list(BASIC)].to_numpy(), theirs.to_numpy(), atol=1e-3)


def test_specificity_is_own_minus_the_mean_of_the_others(by_network: pd.DataFrame) -> None:
    iou = by_network[by_network["metric"] == "iou"]
    one = iou[(iou["model"] == "ResNet50") & (iou["expression"] == "fear")].set_index("mask_expression")["value"]
    rows = by_network[(by_network["metric"] == "iou_specificity") & (by_network["model"] == "ResNet50")]
    value = rows.loc[rows["expression"] == "fear", "value"].item()
    assert value == pytest.approx(one["fear"] - one.drop("fear").mean(), abs=1e-15)


def test_table_of_fold_means(by_fold: pd.DataFrame) -> None:
    iou, f1 = scoring.table(by_fold), scoring.table(by_fold, "dice")
    assert iou.shape == (12, 6)
    for name, (their_iou, their_f1) in BY_FOLD.items():
        assert iou.loc[name].mean() == pytest.approx(their_iou, abs=5e-4)
        assert f1.loc[name].mean() == pytest.approx(their_f1, abs=5e-4)
    overall = {m: scoring.table(by_fold, m).to_numpy().mean() for m in OVERLAP}
    theirs = {"iou": 0.2476, "dice": 0.3806, "precision": 0.4120, "recall": 0.3819}
    assert overall == pytest.approx(theirs, abs=5e-4)
    assert (iou.mean(axis=1).idxmax(), iou.mean(axis=1).idxmin()) == ("InceptionV3", "AlexNet")
    their_expressions = {
        "anger": 0.2266, "disgust": 0.4174, "fear": 0.1822, "happiness": 0.1949, "sadness": 0.2266, "surprise": 0.2379,
    }  # fmt: skip
    assert iou.mean(axis=0).to_dict() == pytest.approx(their_expressions, abs=5e-4)


def test_pooling_order_changes_the_winner_and_the_report_says_so(published: Path, tmp_path: Path) -> None:
    study = xfer.compare(
        heatmaps=published / "by_fold",
        pattern="{model}_{fold}_{expression}_heatmap.png",
        pooled=published / "by_network",
        masks=published / "masks",
        metrics="iou",
        draws=0,
        out=tmp_path / "study",
    )
    pooling = study.pooling()
    assert pooling is not None
    assert pooling["winners"] == ("InceptionV3", "ResNet50")
    assert pooling["pooled_map"]["ResNet50"] == pytest.approx(0.3269, abs=5e-5)
    page = (study.folder / "report.html").read_text(encoding="utf-8")
    assert "changes the winner: ResNet50 is best when" in page


@pytest.mark.usefixtures("no_page")
def test_two_cluster_cuts(published: Path, tmp_path: Path) -> None:
    """Pretrained against the rest for four expressions; AlexNet alone for anger; SilNet and WeiNet for fear."""
    study = xfer.compare(
        heatmaps=published / "by_network", masks=published / "masks", metrics="iou", draws=0, out=tmp_path / "study"
    )
    scratch = {"AlexNet", "SilNet", "SongNet", "WeiNet"}
    wanted = dict.fromkeys(BASIC, scratch) | {"anger": {"AlexNet"}, "fear": {"SilNet", "WeiNet"}}
    for expression, apart in wanted.items():
        rows = study.clusters[study.clusters["expression"] == expression]
        groups = [set(group["model"]) for _, group in rows.groupby("cluster")]
        assert apart in groups
        assert len(groups) == 2
