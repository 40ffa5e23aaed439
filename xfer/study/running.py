"""A study while it runs: what its folder tells of every network, finished or not. Nothing is written."""

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from xfer.errors import InputError
from xfer.study import unit_log
from xfer.study.folder import CHECKPOINTS, CONFIG, TWIN_KIND, holder, slug
from xfer.study.places import config_of, exists, named, reading
from xfer.study.recognition import CURVE_COLUMNS, NETWORKS, UNITS
from xfer.study.study import PROVENANCE, Study
from xfer.study.twin_study import as_twins, require_told
from xfer.training.fitting import LOG

STAGES = ("waiting", "training", "trained", "explained", "failed")

_GUIDE, _TWIN = r"(?:-([a-z]+))?", r"-(.+-s\d+)"
"""What stands in the middle of file names."""

_ALWAYS = LOG[:6]
"""The columns that a log has from any version; those of guides came later."""

_MOST_BYTES = 20_000_000
"""A longer log is none of xfer's."""

_Key = tuple[str, str, str]
"""(model, guide, fold); of twins the guide is the arm and the seed, as in file names"""


@dataclass(frozen=True, eq=False)
class Running:
    """What a study folder tells of its networks.

    Attributes
    ----------
    networks : DataFrame
        A row a network and fold: model, guide ("" for none), fold, ``stage`` (of `STAGES`), ``epoch`` (those done),
        ``epochs`` (those planned), ``best`` (the one that would be kept now, 0 for none), its
        ``validation_accuracy`` and, at the end, ``accuracy`` on the test faces in [0, 1] (NaN where not known yet),
        ``left`` (seconds that the other epochs take at the last one's pace).
    curves : DataFrame
        The epochs so far: model, guide, fold and the log's columns.
    holder : str
        Who writes the folder, or wrote it when it was killed; "" for nobody.
    silent : float
        Seconds since a log last changed; NaN where there is none.
    finished : bool
    torn : tuple of str
        Logs that cannot be read.
    chance : float
        The accuracy of guessing, in [0, 1].
    """

    networks: pd.DataFrame
    curves: pd.DataFrame
    holder: str
    silent: float
    finished: bool
    torn: tuple[str, ...]
    chance: float

    def __str__(self) -> str:
        """One line."""
        stages = self.networks["stage"].value_counts()
        told = ", ".join(f"{stages[stage]} {stage}" for stage in reversed(STAGES) if stage in stages)
        line = f"networks x folds: {told}"
        if self.finished:
            return f"finished; {line}"
        since = "" if np.isnan(self.silent) else f", the last epoch ended {_ago(self.silent)} ago"
        return f"{line}; written by {self.holder}{since}" if self.holder else f"{line}; nobody writes it now{since}"


def running(folder: str | Path) -> Running:
    """Read what a study of networks has written so far.

    Parameters
    ----------
    folder : path or URL
        Of a URL only what has changed is fetched; of the weights it is enough that they are there.

    Raises
    ------
    InputError
        If there is no such folder, it is no study, from another version, or of heatmaps from files; or a URL cannot be
        read.
    """
    home = reading(folder, _tells)
    place = named(home)
    if not home.is_dir():
        raise InputError(f"{home}: there is no such folder yet; if the study was moved, give its new place")
    config = config_of(home)
    if config is None:
        raise InputError(f"{place}: is not a study folder (no {CONFIG}); 'xfer compare --out {place}' makes one")
    if not isinstance(config.get("networks"), Mapping):
        raise InputError(f"{place}: its heatmaps came from files, no network was trained")
    twins = config["kind"] == TWIN_KIND
    if twins:
        require_told(home, config)
    logs, torn = _logs(home, list(config["networks"]), twins)
    finished = (home / PROVENANCE).is_file() and not holder(home)
    units = [entry for entry in unit_log.read(home) if "randomised" not in entry]
    failed = _failed(home) if finished else {}
    started = set(logs) if twins else {(model, "", fold) for model, _, fold in logs}
    waiting = [key for key in (_twins(config) if twins else _planned(config)) if key not in started]
    rows = [_row(home, key, config["networks"], log, units, failed) for key, log in logs.items()]
    rows += [_row(home, key, config["networks"], pd.DataFrame(columns=list(LOG)), units, failed) for key in waiting]
    parts = [log.assign(model=m, guide=g, fold=f) for (m, g, f), log in logs.items()]
    curves = pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=["guide", *CURVE_COLUMNS])
    changed = [path.stat().st_mtime for path in (home / CHECKPOINTS).glob("*.csv")]
    silent = max(0.0, time.time() - max(changed)) if changed else np.nan
    chance = 1 / max(1, len(config["data"]["expressions"]))
    return Running(pd.DataFrame(rows), curves, holder(home), silent, finished, tuple(torn), chance)


def _tells(name: str) -> bool:
    """Whether a file of a study tells how far it is."""
    return name in (CONFIG, UNITS, NETWORKS, PROVENANCE) or (name.startswith(CHECKPOINTS) and name.endswith(".csv"))


def _planned(config: Mapping[str, Any]) -> Iterator[_Key]:
    for fold in range(max(1, int(config.get("folds", 1)))):
        for model in config["networks"]:
            yield str(model), "", str(fold)


def _twins(config: Mapping[str, Any]) -> Iterator[_Key]:
    for seed in range(int(config["seed"]), int(config["seed"]) + int(config["seeds"])):
        for arm in config["arms"]:
            yield str(config["models"][0]), f"{slug(arm)}-s{seed}", "0"


def _logs(home: Path, models: list[str], twins: bool) -> tuple[dict[_Key, pd.DataFrame], list[str]]:
    """The logs that are there, by network, and the names of those that cannot be read."""
    found, torn = {}, []
    for path in sorted((home / CHECKPOINTS).glob("*.csv")):
        key = _key(path.stem, models, _TWIN if twins else _GUIDE)
        if key is None:
            continue
        try:
            found[key] = _log(path)
        except (OSError, ValueError):
            torn.append(path.name)
    order = {model: place for place, model in enumerate(models)}
    return dict(sorted(found.items(), key=lambda item: (order[item[0][0]], item[0]))), torn


def _key(stem: str, models: list[str], guide: str) -> _Key | None:
    """The network, guide and fold behind a file name such as ``songnet-au-f0``, or of a twin ``songnet-au-s1-f0``."""
    for model in sorted(models, key=len, reverse=True):
        if match := re.fullmatch(rf"{re.escape(slug(model))}{guide}-f([A-Za-z0-9._]+)", stem):
            return model, match[1] or "", match[2]
    return None


def _log(path: Path) -> pd.DataFrame:
    if path.stat().st_size > _MOST_BYTES:
        raise ValueError("too long")
    log = pd.read_csv(path)
    if absent := [column for column in _ALWAYS if column not in log]:
        raise ValueError(f"no {absent[0]}")
    numbers = log.reindex(columns=list(LOG)).apply(pd.to_numeric)
    return numbers.dropna(subset=["epoch"])


def _failed(home: Path) -> dict[str, str]:
    """Why networks of a finished study have no result, by the name of their files."""
    if not (home / NETWORKS).is_file():
        return {}
    table = (as_twins(study := Study(home)) or study).networks
    lost = table[table["failed"] != ""]
    return dict(zip(lost["checkpoint"], lost["failed"], strict=True))


def _row(
    home: Path,
    key: _Key,
    settings: Mapping[str, Any],
    log: pd.DataFrame,
    units: list[dict[str, Any]],
    failed: Mapping[str, str],
) -> dict[str, Any]:
    model, guide, fold = key
    name = "-".join(part for part in (slug(model), guide, f"f{slug(fold)}") if part)
    own = [u for u in units if (u["model"], u["fold"]) == (model, fold) and u["checkpoint"] in ("", name)]
    stage = "training" if len(log) else "waiting"
    if exists(home / CHECKPOINTS / f"{name}.safetensors"):
        stage = "trained"
    if any(unit["until"] == "heatmaps" for unit in own):
        stage = "explained"
    if name in failed:
        stage = "failed"
    best = log.sort_values(["validation_accuracy", "validation_loss"], ascending=[False, True]).iloc[:1]
    epochs, accuracy = int(settings[model].get("epochs", 0)), own[-1]["accuracy"] if own else None
    return {
        "model": model,
        "guide": guide,
        "fold": fold,
        "stage": stage,
        "epoch": len(log),
        "epochs": epochs,
        "best": int(best["epoch"].sum()),
        "validation_accuracy": float(best["validation_accuracy"].sum(min_count=1)),
        "accuracy": np.nan if accuracy is None else float(accuracy),
        "left": (epochs - len(log)) * float(log["seconds"].iloc[-1:].sum()),
    }


def _ago(seconds: float) -> str:
    """A span of time in one unit.

    >>> _ago(5.2), _ago(200), _ago(9000)
    ('5 s', '3 min', '2.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
