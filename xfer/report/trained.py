"""What the sections ask of a study that trained networks: how good each is, and which heatmaps explain nothing."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from xfer.labels import EXPRESSIONS
from xfer.report.blocks import number
from xfer.report.canvas import spoken
from xfer.study import Study

RARE = 0.3
"""A recall below this: the expression is rarely recognised."""
ERRORS = 3
"""Binomial standard errors above guessing that an accuracy needs."""
FEW = 5
"""Faces under which a map is one of a few faces."""

NEAR, SELDOM = "†", "‡"
"""The marks of a network near chance, and of an expression that a network rarely recognises."""


def is_trained(study: Study) -> bool:
    """Whether the heatmaps are of networks that the study trained itself."""
    return study.config.get("kind") == "models"


def elsewhere(study: Study) -> list[str]:
    """The networks in ONNX, which the study did not train."""
    told = dict(study.config.get("networks", {}))
    return [str(name) for name, own in told.items() if own.get("start_kind") == "onnx"]


def results(networks: pd.DataFrame) -> pd.DataFrame:
    """One row per network, the most accurate first: means over its folds.

    Parameters
    ----------
    networks : DataFrame
        `Study.networks`; rows that failed are left out.

    Returns
    -------
    DataFrame
        Index model; accuracy, macro_f1, linear, chance, validation_accuracy (means), low and high (the lowest and
        highest accuracy of a fold), n_test (all folds together), folds.
    """
    made = networks[networks["failed"] == ""]
    numbers = ["accuracy", "macro_f1", "linear", "chance", "validation_accuracy", "n_test"]
    each = made.astype(dict.fromkeys(numbers, float)).groupby("model", sort=True)
    table = each[numbers[:-1]].mean()
    table["low"], table["high"] = each["accuracy"].min(), each["accuracy"].max()
    table["n_test"], table["folds"] = each["n_test"].sum(), each.size()
    return table.sort_values("accuracy", ascending=False, na_position="last", kind="stable")


def expressions_of(predictions: pd.DataFrame) -> list[str]:
    """The expressions that faces show or networks can answer, in the order of every table."""
    held = {str(e) for column in ("expression", "predicted") for e in predictions[column]} - {""}
    held |= {str(c)[2:] for c in predictions.columns if str(c).startswith("p_")}
    return sorted(held, key=lambda e: (EXPRESSIONS.index(e) if e in EXPRESSIONS else len(EXPRESSIONS), e))


def confusions(predictions: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Per network, faces by true (rows) and predicted (columns) expression, all folds together."""
    names, found = expressions_of(predictions), {}
    for model, here in predictions.groupby("model", sort=True):
        counts = pd.crosstab(here["expression"], here["predicted"])
        found[str(model)] = counts.reindex(index=names, columns=names, fill_value=0)
    return found


def recalls(predictions: pd.DataFrame) -> pd.DataFrame:
    """Networks x expressions: the share of an expression's faces that is recognised; NaN where none shows it."""
    answers = predictions.assign(right=(predictions["expression"] == predictions["predicted"]).astype(float))
    shares = answers.pivot_table("right", "model", "expression")
    return shares.reindex(columns=expressions_of(predictions)).rename_axis(index=None, columns=None)


def commonest(predictions: pd.DataFrame) -> pd.Series:
    """Per network, the share of the most frequent expression among its test faces: what always answering it scores."""
    known = predictions[predictions["expression"] != ""]
    share = known.groupby("model")["expression"].agg(lambda shown: shown.value_counts(normalize=True).iloc[0])
    return share.astype(float)


@dataclass(frozen=True)
class Verdict:
    """Whether a network does better than guessing.

    Attributes
    ----------
    accuracy, linear : float
    n : int
        Test faces.
    guess : float
        What guessing reaches: one by the number of expressions, or the share of the most frequent one where higher.
    bar : float
        Guessing and `ERRORS` binomial standard errors.
    """

    accuracy: float
    linear: float
    n: int
    guess: float
    bar: float

    @property
    def kind(self) -> str:
        """Of "unknown", "chance" and "linear", what is wrong; "" where nothing is."""
        if not np.isfinite(self.accuracy) or not np.isfinite(self.bar):
            return "unknown"
        if self.accuracy <= self.bar:
            return "chance"
        return "linear" if self.accuracy < self.linear else ""


def verdict(accuracy: float, linear: float, chance: float, n: float, common: float = np.nan) -> Verdict:
    """A network's accuracy against guessing and the linear classifier.

    Examples
    --------
    >>> verdict(0.30, 0.25, 0.2, 100).kind, verdict(0.33, 0.25, 0.2, 100).kind, verdict(0.33, 0.4, 0.2, 100).kind
    ('chance', '', 'linear')
    """
    guess = float(np.fmax(chance, common))
    count = int(n) if np.isfinite(n) else 0
    bar = guess + ERRORS * float(np.sqrt(guess * (1 - guess) / count)) if count else float("nan")
    return Verdict(float(accuracy), float(linear), count, guess, bar)


@dataclass(frozen=True)
class Doubts:
    """The heatmaps that explain nothing.

    Attributes
    ----------
    networks : dict of model to Verdict
        Networks near chance or below the linear classifier.
    expressions : dict of (model, expression) to recall
        What a network rarely recognises.
    coarse : dict of model to str
        Networks whose grid is too coarse to be scored: why.
    """

    networks: dict[str, Verdict] = field(default_factory=dict)
    expressions: dict[tuple[str, str], float] = field(default_factory=dict)
    coarse: dict[str, str] = field(default_factory=dict)

    def mark(self, model: str, expression: str = "") -> str:
        """The marks of a cell, or of a network as a whole; "" where there is no doubt."""
        near = NEAR if model in self.networks else ""
        return near + (SELDOM if (model, expression) in self.expressions else "")

    def note(self, model: str, expression: str) -> str:
        """What is printed under a heatmap that explains nothing; "" for the others."""
        if model in self.networks:
            return {"chance": "near chance", "linear": "below linear", "unknown": "accuracy unknown"}[
                self.networks[model].kind
            ]
        recall = self.expressions.get((model, expression))
        return "" if recall is None else f"recall {number(recall, 2).text}"

    def of(self, model: str) -> list[str]:
        """The expressions that a network rarely recognises, with their recall."""
        return [f"{spoken(e)} {number(r, 2).text}" for (m, e), r in self.expressions.items() if m == model]


def doubts(study: Study) -> Doubts:
    """Which of a study's heatmaps explain nothing; none where the networks are not known."""
    if not is_trained(study):
        return Doubts()
    table, common, recall = results(study.networks), commonest(study.predictions), recalls(study.predictions)
    networks = {}
    for model, row in table.iterrows():
        share = float(common.get(model, np.nan))
        found = verdict(row["accuracy"], row["linear"], row["chance"], row["n_test"], share)
        if found.kind:
            networks[str(model)] = found
    rare = {
        (str(m), str(e)): float(value) for m, line in recall.iterrows() for e, value in line.items() if value < RARE
    }
    reasons = study.networks.loc[study.networks["failed"] == "", ["model", "coarse"]].astype(str)
    coarse = {m: why for m, why in reasons.itertuples(index=False, name=None) if why}
    return Doubts(networks, rare, coarse)
