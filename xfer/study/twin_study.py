"""A twin study that is on disk, read lazily."""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from xfer import scoring
from xfer.errors import InputError
from xfer.study.folder import CONFIG, TWIN_KIND, command
from xfer.study.places import named
from xfer.study.recognition import kept_epoch
from xfer.study.study import Study
from xfer.training.guided import ABSENT_COLUMNS

LOOKING, TWINS, DIFFERENCES, FLOORS = "looking.parquet", "twins.csv", "differences.csv", "floors.csv"

TWIN_COLUMNS = (
    "model", "guide", "measure", "form", "expression", "value", "ci_low", "ci_high", "published", "undefined",
    "n_seeds", "n_subjects", "n_faces", "reason",
)  # fmt: skip
DIFFERENCE_COLUMNS = (
    "model", "first", "second", "measure", "form", "expression", "difference", "ci_low", "ci_high", "excludes_zero",
    "non_inferior", "n_seeds", "n_subjects", "n_faces", "reason",
)  # fmt: skip
FLOOR_COLUMNS = ("floor", "measure", "form", "expression", "value")
_TOLD = {
    **dict.fromkeys(("preset", "ablate", "data.name", "guide.loss", "guide.masks"), str),
    **dict.fromkeys(("models", "explainers", "pairs", "guide.layers"), list),
    **dict.fromkeys(("seed", "seeds", "draws"), int),
    **dict.fromkeys(("arms", "networks", "data.expressions"), dict),
}
"""What is read of a configuration, by its dotted name, and of which kind it is."""
_FILLED = ("models", "explainers", "arms")
ALL = "all"
"""What stands for the expression of a mean over expressions that count alike."""


class TwinStudy(Study):
    """One folder that `xfer guide` wrote: a `Study` whose heatmaps have guides and seeds, and what the guides did.

    Attributes
    ----------
    looking : DataFrame
        One row per arm, seed and test face: ``guide seed face subject expression predicted``, every measure of
        `xfer.study.looking.MEASURES` with the own mask, and with the others' as ``MEASURE_others``.
    twins : DataFrame
        `TWIN_COLUMNS`: a measure of an arm as ``value`` or ``specificity`` (own mask minus the mean of the others),
        mean over seeds and faces, with an interval over seeds and subjects for the mean over expressions. ``published``
        is the mean with 0 in place of undefined faces, as the published code has it, ``undefined`` their share of the
        faces that were explained.
    differences : DataFrame
        `DIFFERENCE_COLUMNS`: first arm minus second on the same seeds and faces. ``non_inferior`` is empty but for
        the accuracy.
    floors : DataFrame
        `FLOOR_COLUMNS`: what maps that know no expression score.
    taking_part : DataFrame
        One row per guided training: ``guide seed guided_faces`` and the columns of
        `xfer.training.guided.ABSENT_COLUMNS`, faces of the kept epoch; no row where its log is gone.
    mean_taking_part : DataFrame
        Of that the means over trainings, by ``guide``.
    majority : float
        The accuracy of calling every test face what most of them show, in [0, 1].

    Raises
    ------
    InputError
        If the folder is none that `xfer guide` wrote.
    """

    def __init__(self, folder: str | Path) -> None:
        super().__init__(folder)
        if self.config["kind"] != TWIN_KIND:
            raise InputError(f"{self.place}: is no twin study; 'xfer guide' makes one")
        require_told(self.folder, self.config)

    @property
    def _trained(self) -> bool:
        return True

    @cached_property
    def looking(self) -> pd.DataFrame:
        """Every test face of every arm and seed."""
        return self._read(LOOKING, pd.read_parquet)

    @cached_property
    def twins(self) -> pd.DataFrame:
        """What each arm scores."""
        return _numbers(self._read(TWINS, scoring.read_csv), "value", "ci_low", "ci_high", "published", "undefined")

    @cached_property
    def differences(self) -> pd.DataFrame:
        """What two arms differ by."""
        return _numbers(self._read(DIFFERENCES, scoring.read_csv), "difference", "ci_low", "ci_high")

    @cached_property
    def floors(self) -> pd.DataFrame:
        """What knows no expression."""
        return _numbers(self._read(FLOORS, scoring.read_csv), "value")

    @cached_property
    def taking_part(self) -> pd.DataFrame:
        """How many faces a guide's term was averaged over, and how many not, by reason."""
        columns = ["guide", "seed", "guided_faces", *ABSENT_COLUMNS.values()]
        rows = [
            {"guide": row["guide"], "seed": row["seed"], **kept_epoch(self.folder, row["checkpoint"], row["epoch"])}
            for row in self.networks[self.networks["failed"] == ""].to_dict("records")
            if self.config["arms"][row["guide"]]["control"] != "none"
        ]
        table = pd.DataFrame(rows).reindex(columns=columns).dropna()
        return table.astype(dict.fromkeys(columns[2:], float))

    @property
    def mean_taking_part(self) -> pd.DataFrame:
        """`taking_part` by ``guide``, mean over the trainings whose log is there."""
        return self.taking_part.drop(columns="seed").groupby("guide").mean()

    @cached_property
    def majority(self) -> float:
        """The accuracy of calling every test face what most of them show."""
        shown = self.looking.drop_duplicates("face")["expression"]
        return float(shown.value_counts(normalize=True).max())

    @property
    def arms(self) -> list[str]:
        """Their names, the leading one first."""
        return list(self.config["arms"])

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Which arms are compared, first minus second."""
        return [(first, second) for first, second in self.config["pairs"]]


def require_told(home: Path, config: Mapping[str, Any]) -> None:
    """That the configuration of a twin study is as xfer wrote it, as far as it is read.

    Raises
    ------
    InputError
        If something is not there, or is of another kind.
    """
    wrong = [name for name, kind in _TOLD.items() if not isinstance(_value(config, name), kind)]
    if not wrong:
        arms, pairs = config["arms"], config["pairs"]
        wrong = [name for name in _FILLED if not config[name]]
        wrong += [f"arms.{name}" for name, arm in arms.items() if not isinstance(_value(arm, "control"), str)]
        wrong += ["pairs"] * any(
            not isinstance(pair, list) or len(pair) != 2 or set(pair) - set(arms) for pair in pairs
        )
    if wrong:
        again = f"mend it, or run the {command(config)!r} line with --fresh"
        raise InputError(f"{named(home / CONFIG)}: is damaged ({', '.join(wrong)}); {again}")


def _value(config: Any, name: str) -> Any:
    """What a configuration tells under a dotted name; None where that is nothing."""
    for key in name.split("."):
        config = config.get(key) if isinstance(config, Mapping) else None
    return config


def as_twins(study: Study) -> TwinStudy | None:
    """A study as one of twins; None where it is of another kind."""
    if study.config.get("kind") != TWIN_KIND:
        return None
    return study if isinstance(study, TwinStudy) else TwinStudy(study.folder)


def _numbers(table: pd.DataFrame, *columns: str) -> pd.DataFrame:
    return table.assign(**{name: pd.to_numeric(table[name], errors="coerce") for name in columns})
