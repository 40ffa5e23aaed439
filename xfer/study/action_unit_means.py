"""Action Unit attributions of many faces taken together: means and intervals over the people they show."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from xfer.labels import EXPRESSIONS
from xfer.statistics.estimates import Estimate, mean_interval

DRAWS = 2000
"""Of the bootstrap over subjects."""


def by_subject(values: pd.Series, subjects: pd.Series) -> NDArray[np.float64]:
    """Means over each subject's faces, so that people are what is drawn again; NaN are left out."""
    return values.groupby(subjects.to_numpy(), sort=False).mean().dropna().to_numpy(np.float64)


def _in_order(table: pd.DataFrame) -> pd.DataFrame:
    """Rows by expression and class, in the order that every table has them in."""
    places = {name: place for place, name in enumerate(EXPRESSIONS)}
    keys = table[["expression", "class"]].apply(lambda names: names.map(places).fillna(len(places)))
    return table.loc[keys.sort_values(["expression", "class"], kind="stable").index]


def mean_units(table: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """What each player adds on average over faces, with intervals over subjects.

    Parameters
    ----------
    table : DataFrame
        Of `xfer.study.action_units.Units`.
    seed : int
        Of the bootstrap, see `xfer.statistics.estimates.mean_interval`.

    Returns
    -------
    DataFrame
        ``expression`` (true), ``class``, ``player``, ``inside_codebook``, ``faces``, ``subjects``, and ``phi``,
        ``share``, ``area`` and ``causal`` with, but for the area, ``_low`` and ``_high``: 95 % intervals of the mean
        over subjects; ``sign`` of the mean phi; ``causal_subjects``; and ``reason`` (why there is no interval of phi).
    """
    rows = []
    for key, own in _in_order(table).groupby(["expression", "class", "player"], sort=False):
        phi, share, causal = (
            mean_interval(by_subject(own[name], own["subject"]), draws=DRAWS, seed=seed)
            for name in ("phi", "share", "causal")
        )
        row = dict(zip(("expression", "class", "player"), key, strict=True))
        row |= {"inside_codebook": own["inside_codebook"].iloc[0], "faces": int(own["phi"].notna().sum())}
        row |= {"subjects": phi.n, "area": float(own["area"].mean()), "sign": float(np.sign(phi.value))}
        for name, found in (("phi", phi), ("share", share), ("causal", causal)):
            row |= {name: found.value, f"{name}_low": found.ci_low, f"{name}_high": found.ci_high}
        rows.append(row | {"causal_subjects": causal.n, "reason": phi.reason})
    made = pd.DataFrame(rows)
    made["inside_codebook"] = made["inside_codebook"].astype("boolean")
    made.attrs = dict(table.attrs)
    return made


def shares_inside(table: pd.DataFrame, *, seed: int = 0) -> pd.DataFrame:
    """How much of a class's |phi| lies in players that the codebook gives it, beside how many these are.

    Attributions that were noise would lie inside by the share of players, whatever their area.

    Returns
    -------
    DataFrame
        ``expression``, ``class``, ``faces``, ``subjects``, ``inside`` with ``inside_low`` and ``inside_high`` (NaN
        where the codebook gives the class no Action Unit), ``players_inside`` and ``area_inside`` (their shares of the
        players and of the picture), ``face`` and ``background`` (these players' shares of |phi|).
    """
    rows = []
    for (expression, label), own in _in_order(table).groupby(["expression", "class"], sort=False):
        subjects = own.drop_duplicates("face").set_index("face")["subject"]
        known = bool(own["inside_codebook"].notna().any())
        mine = own[own["inside_codebook"].fillna(False).astype(bool)]
        inside = mine.groupby("face", sort=False)["share"].sum(min_count=1).reindex(subjects.index)
        found = mean_interval(by_subject(inside, subjects), draws=DRAWS, seed=seed)
        at = {name: own[own["player"] == name]["share"].mean() for name in ("face", "background")}
        area = mine.groupby("face")["area"].sum().mean() if known else np.nan
        players = mine["phi"].count() / own["phi"].count() if known else np.nan
        rows.append(
            {"expression": expression, "class": label, "faces": len(subjects), "subjects": subjects.nunique(),
             "inside": found.value, "inside_low": found.ci_low, "inside_high": found.ci_high, "players_inside": players,
             "area_inside": area, **at}
        )  # fmt: skip
    return pd.DataFrame(rows)


def correlation_interval(table: pd.DataFrame, correlations: pd.DataFrame, *, seed: int = 0) -> Estimate:
    """The mean over subjects of rank correlations by face (`interventions.rank_correlations`), with its interval."""
    subjects = table.drop_duplicates("face").set_index("face")["subject"]
    return mean_interval(by_subject(correlations["rho"], correlations["face"].map(subjects)), draws=DRAWS, seed=seed)
