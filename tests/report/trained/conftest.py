"""Studies that trained networks: predictions of a wished recall, maps of all, recognised and unrecognised faces."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from scipy.ndimage import gaussian_filter

from xfer.labels import BASIC, KEY

ALL = (
    "alexnet", "efficientnetv2", "inceptionv3", "mobilenetv3", "resnet101v2", "resnet50", "silnet", "songnet", "vgg16",
    "vgg19", "weinet", "xception",
)  # fmt: skip


def predictions_of(models, expressions, folds, recall, shown) -> pd.DataFrame:
    """Test faces of which each network recognises the wished share; the others go to the next expressions in turn."""
    rows = []
    for model, fold, (i, expression) in product(models, folds, enumerate(expressions)):
        others = [*expressions[i + 1 :], *expressions[:i]] or [expression]
        right = round(recall(model, expression) * shown)
        for k in range(shown):
            predicted = expression if k < right else others[k % len(others)]
            face, subject = f"{fold}-{expression}-{k}", f"{fold}-{k % 20}"
            rows.append((model, fold, face, subject, expression, predicted))
    table = pd.DataFrame(rows, columns=["model", "fold", "face", "subject", "expression", "predicted"])
    for expression in expressions:
        table[f"p_{expression}"] = (table["predicted"] == expression) * 1.0
    return table


def networks_of(models, expressions, folds, predictions, failed, coarse, linear) -> pd.DataFrame:
    """One row per network and fold."""
    rows = []
    for model, (i, fold) in product(models, enumerate(folds)):
        own = predictions[(predictions["model"] == model) & (predictions["fold"] == fold)]
        why = failed.get(model, "")
        right = float((own["expression"] == own["predicted"]).mean()) if len(own) else np.nan
        row = {
            "model": model, "fold": fold, "parameters": 1_234_567, "size": 64.0, "layer": "features.28",
            "grid": "2 x 2" if model in coarse else "8 x 8", "start": "from scratch (no ImageNet weights here)",
            "coarse": "layer 'last' has 2 x 2 cells, fewer than 4 x 4" if model in coarse else "",
            "epochs": 4.0, "epoch": 3.0 + i, "batch": 32.0, "precision": "bf16", "remarks": "", "accuracy": right,
            "validation_accuracy": right + 0.01, "macro_f1": right - 0.02, "linear": linear,
            "chance": 1 / len(expressions), "n_train": 1000.0, "n_validation": 100.0, "n_test": float(len(own)),
            "train_seconds": 61.0, "explain_seconds": 2.0, "weights_digest": "", "failed": why,
        }  # fmt: skip
        if why:
            row |= {k: np.nan for k, v in row.items() if isinstance(v, float)}
        rows.append(row)
    return pd.DataFrame(rows)


def curves_of(models, folds) -> pd.DataFrame:
    rows = []
    for (i, model), fold, epoch in product(enumerate(models), folds, range(1, 5)):
        loss = 1.8 / epoch**0.5 + 0.03 * i
        rows.append((model, fold, epoch, loss, loss + 0.1 * epoch, min(0.2 + 0.12 * epoch + 0.01 * i, 1), 1e-3, 9.0))
    columns = ["model", "fold", "epoch", "train_loss", "validation_loss", "validation_accuracy", "lr", "seconds"]
    return pd.DataFrame(rows, columns=columns)


def maps_of(models, expressions, folds, explainers, recall, shown, size, seed):
    """Cells and the faces behind each."""
    draw = np.random.default_rng(seed)
    keys, maps, counts = [], [], []
    for model, expression, fold, explainer in product(models, expressions, folds, explainers):
        base = gaussian_filter(draw.random(size), size[0] / 9)
        right = round(recall(model, expression) * shown)
        for outcome, n in (("all", shown), ("correct", right), ("incorrect", shown - right)):
            noisy = base + gaussian_filter(draw.random(size), size[0] / 9) / (1 + 0.1 * n)
            for normalisation in ("raw", "positive_l1") if n else ():
                held = noisy - noisy.min() if normalisation == "positive_l1" else noisy - noisy.mean()
                maps.append((held / np.abs(held).sum()).astype(np.float32))
                counts.append(n)
                keys.append((model, "none", "0", fold, "features.28", explainer, expression, expression, outcome,
                             normalisation))  # fmt: skip
    coords = {k: ("cell", np.array([key[i] for key in keys], dtype=object)) for i, k in enumerate(KEY)}
    return xr.DataArray(np.stack(maps), dims=("cell", "y", "x"), coords=coords, name="heatmaps"), counts


def face_of(size) -> np.ndarray:
    """A bright disc on nothing."""
    y, x = np.mgrid[: size[0], : size[1]]
    inside = ((y / size[0] - 0.5) ** 2 + (x / size[1] - 0.5) ** 2) < 0.2
    return np.stack([inside * 0.8] * 3 + [inside * 1.0], axis=-1).astype(np.float32)


def config_of(models, expressions, folds, explainers, selection, data) -> dict:
    return {
        "format": 1, "kind": "models", "threshold": "otsu", "source": "models", "preset": "quick", "seed": 0,
        "folds": len(folds) if len(folds) > 1 else 0, "models": list(models), "explainers": list(explainers),
        "selection": selection, "per_class": 0, "device": "cpu", "metrics": ["iou", "pearson"],
        "data": {"name": data, "faces": 2400, "subjects": 300, "expressions": list(expressions), "min_faces": 30},
        "networks": {m: {"size": 64, "start_kind": "scratch", "weights_digest": ""} for m in models},
    }  # fmt: skip


@pytest.fixture(scope="session")
def make_trained(fake):
    """A function that makes a study of trained networks; `recall` is a number or a mapping of (model, expression)."""
    study_class, masks_for = fake

    def make(
        models=("net_a", "net_b", "net_c"), expressions=BASIC, folds=("all",), explainers=("grad_cam",), recall=0.8,
        shown=30, failed=None, coarse=(), unmasked=(), linear=0.45, selection="true", data="folder:faces",
        size=(55, 45), seed=0, masks=None,
    ):  # fmt: skip
        wished = (lambda m, e: recall) if isinstance(recall, float) else lambda m, e: recall.get((m, e), 0.8)
        failed = failed or {}
        alive = [m for m in models if m not in failed]
        heatmaps, counts = maps_of(alive, expressions, folds, explainers, wished, shown, size, seed)
        if selection == "predicted":
            kept = np.flatnonzero(heatmaps.coords["outcome"].values == "all")
            heatmaps, counts = heatmaps.isel(cell=kept), [counts[i] for i in kept]
        predictions = predictions_of(alive, expressions, folds, wished, shown)
        dropped = [("network", m, why, 1) for m, why in failed.items()] + [("mask", e, "no mask", 1) for e in unmasked]
        return study_class(
            heatmaps,
            masks_for([e for e in expressions if e not in unmasked], size) if masks is None else masks,
            np.ones(size, bool),
            config=config_of(models, expressions, folds, explainers, selection, data),
            lead={"explainer": explainers[0], "normalisation": "positive_l1", "outcome": "all"},
            counts=counts,
            networks=networks_of(models, expressions, folds, predictions, failed, coarse, linear),
            predictions=predictions,
            curves=curves_of(alive, folds),
            dropped=pd.DataFrame(dropped, columns=["kind", "name", "reason", "n"]),
            mean_face=face_of(size),
            coarse=list(coarse),
        )

    return make
