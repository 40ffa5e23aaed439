"""What a study knows of the networks it trained: how well they recognise expressions, and what was left out."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from xfer import scoring
from xfer.study.folder import CHECKPOINTS

NETWORKS, PREDICTIONS, DROPPED = "networks.csv", "predictions.parquet", "dropped.csv"
FACES, LANDMARKS, MEAN_FACE = "faces.parquet", "landmarks.parquet", "mean_face.png"
BASELINE, UNITS = "baseline.csv", "units.jsonl"

SHOWN = ("mean", "none", "all")
"""Whose pictures a page shows: the mean face beneath heatmaps, nobody's, single faces too."""

NETWORK_COLUMNS = (
    "model", "guide", "fold", "parameters", "size", "layer", "grid", "coarse", "start", "epochs", "epoch", "batch",
    "precision", "remarks", "validation_accuracy", "accuracy", "macro_f1", "linear", "chance", "n_train",
    "n_validation", "n_test", "train_seconds", "explain_seconds", "weights_digest", "checkpoint", "failed",
)  # fmt: skip
PREDICTION_COLUMNS = ("model", "fold", "face", "subject", "expression", "predicted")
DROPPED_COLUMNS = ("kind", "name", "reason", "n")
CURVE_COLUMNS = (
    "model", "fold", "epoch", "train_loss", "validation_loss", "validation_accuracy", "lr", "seconds", "guide_term",
    "guided_faces", "absent_no_landmarks", "absent_no_action_units", "absent_outside", "absent_no_map", "absent_silent",
)  # fmt: skip
FACE_COLUMNS = ("id", "expression", "subject", "used", "reason")


def kept_epoch(home: Path, checkpoint: str, epoch: float) -> dict[str, float]:
    """What the log of a training says of the epoch that was kept; {} where the log is gone or damaged."""
    try:
        log = pd.read_csv(home / CHECKPOINTS / f"{checkpoint}.csv")
        kept = log[log["epoch"] == epoch]
        return {str(name): float(value) for name, value in kept.iloc[0].items()} if len(kept) else {}
    except (OSError, ValueError, KeyError):
        return {}


class Recognition:
    """Tables of a study folder about its networks and faces; empty where the heatmaps came from files.

    Attributes
    ----------
    networks : DataFrame
        One row per network and fold, with `NETWORK_COLUMNS`: accuracies in [0, 1] on test faces whose subjects took
        no part in training; ``linear`` is the linear classifier's on the same faces, ``coarse`` why the grid is not
        scored ("" where it is), ``failed`` why there is no result ("" where there is).
    predictions : DataFrame
        One row per network, fold and test face: `PREDICTION_COLUMNS` and ``p_EXPRESSION``.
    curves : DataFrame
        One row per network, fold and epoch: `CURVE_COLUMNS`.
    dropped : DataFrame
        What was left out: kind (network, variant, expression, face, mask, note), name, reason, n (faces, for a kind
        that counts them).
    faces : DataFrame
        The faces of the study: `FACE_COLUMNS` and their part in every fold; subjects are salted.
    costs : DataFrame
        What every stage took, beside the plan where `xfer.plan` made one.
    mean_face : float array (y, x, 4) or None
        RGBA in [0, 1]; alpha is 0 where too few faces show anything.
    """

    folder: Path
    config: dict[str, Any]
    _file: Callable[[str], Path]
    _read: Callable[[str, Callable[[Path], Any]], Any]

    @property
    def _trained(self) -> bool:
        return self.config["kind"] == "models"

    @cached_property
    def networks(self) -> pd.DataFrame:
        """Accuracy, layer, start and failures of every network and fold."""
        if not self._trained:
            return pd.DataFrame(columns=list(NETWORK_COLUMNS))
        return self._read(NETWORKS, _networks)

    @property
    def coarse(self) -> list[str]:
        """Networks whose heatmaps are not scored because their grid is too coarse."""
        table = self.networks
        return sorted(set(table.loc[table["coarse"] != "", "model"])) if len(table) else []

    @cached_property
    def predictions(self) -> pd.DataFrame:
        """Of every network on its test faces."""
        if not self._trained:
            return pd.DataFrame(columns=list(PREDICTION_COLUMNS))
        return self._read(PREDICTIONS, pd.read_parquet)

    @cached_property
    def curves(self) -> pd.DataFrame:
        """The training logs, where they are kept."""
        logs = [pd.DataFrame(columns=list(CURVE_COLUMNS))]
        for row in self.networks.itertuples():
            path = self.folder / CHECKPOINTS / f"{row.checkpoint}.csv"
            if row.failed == "" and path.is_file():
                logs.append(
                    self._read(f"{CHECKPOINTS}/{path.name}", pd.read_csv).assign(model=row.model, fold=row.fold)
                )
        whole = [log for log in logs if len(log)] or logs
        return pd.concat(whole, ignore_index=True).reindex(columns=list(CURVE_COLUMNS))

    @cached_property
    def dropped(self) -> pd.DataFrame:
        """What was left out, and why."""
        if not self._trained:
            return pd.DataFrame(columns=list(DROPPED_COLUMNS))
        return self._read(DROPPED, scoring.read_csv)

    @cached_property
    def faces(self) -> pd.DataFrame:
        """The faces and the part each had."""
        if not self._trained:
            return pd.DataFrame(columns=list(FACE_COLUMNS))
        return self._read(FACES, pd.read_parquet)

    @cached_property
    def costs(self) -> pd.DataFrame:
        """Planned against actual seconds of every stage; see `xfer.study.costs.against`."""
        from xfer.study.costs import against

        return against(self.folder)

    @cached_property
    def mean_face(self) -> np.ndarray | None:
        """The mean of the test faces on the frame."""
        path = self.folder / MEAN_FACE
        return self._read(MEAN_FACE, _picture) if path.is_file() else None


def _networks(path: Path) -> pd.DataFrame:
    table = scoring.read_csv(path)
    numbers = [
        "parameters", "size", "epochs", "epoch", "batch", "validation_accuracy", "accuracy", "macro_f1", "linear",
        "chance", "n_train", "n_validation", "n_test", "train_seconds", "explain_seconds",
    ]  # fmt: skip
    return table.assign(
        fold=table["fold"].astype(str),
        precision=table["precision"].astype(str),
        **{c: pd.to_numeric(table[c], errors="coerce") for c in numbers},
    )


def _picture(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGBA"), dtype=np.float32) / 255
