"""Tables of a twin study from made-up faces whose scores are known."""

import numpy as np
import pandas as pd
import pytest

from xfer.study.looking import MEASURES, others
from xfer.study.twin_study import ALL, DIFFERENCE_COLUMNS, TWIN_COLUMNS
from xfer.study.twin_tables import Panel, differences_table, twins_table

PEOPLE, SEEDS = 30, (3, 4, 5)
EXPRESSIONS = ("anger", "fear", "neutral")
GAIN = 0.1


def made_up(rng: np.random.Generator) -> pd.DataFrame:
    """Three expressions of every person; ``au`` scores GAIN more than ``none`` on own masks; neutral has no mask."""
    faces = [(f"{p}-{e}", f"person{p:02d}", e) for p in range(PEOPLE) for e in EXPRESSIONS]
    base = rng.random((len(faces), len(MEASURES)))
    rows = []
    for arm, gain in (("au", GAIN), ("none", 0.0)):
        for seed in SEEDS:
            noise = 0.01 * rng.normal(size=base.shape)
            for i, (face, subject, expression) in enumerate(faces):
                right = (i + seed) % 4 != 0
                predicted = expression if right else EXPRESSIONS[(EXPRESSIONS.index(expression) + 1) % 3]
                own = {
                    m: np.nan if expression == "neutral" else base[i, k] + noise[i, k] + gain
                    for k, m in enumerate(MEASURES)
                }
                rest = {others(m): np.nan if expression == "neutral" else 0.3 for m in MEASURES}
                key = {"model": "net", "guide": arm, "seed": seed, "face": face, "subject": subject}
                rows.append({**key, "expression": expression, "predicted": predicted, **own, **rest})
    return pd.DataFrame(rows)


@pytest.fixture
def looking(rng: np.random.Generator) -> pd.DataFrame:
    return made_up(rng)


def one(table: pd.DataFrame, **key: str) -> pd.Series:
    rows = table[(table[list(key)] == pd.Series(key)).all(axis=1)]
    assert len(rows) == 1
    return rows.iloc[0]


def test_means_are_over_faces_then_seeds_then_expressions(looking: pd.DataFrame) -> None:
    table = twins_table(Panel.of(looking), "net", ["au", "none"], 100)
    assert list(table) == list(TWIN_COLUMNS)
    for arm in ("au", "none"):
        rows = looking[(looking["guide"] == arm) & (looking["expression"] != "neutral")]
        for form, values in (("value", rows["iou"]), ("specificity", rows["iou"] - rows["iou_others"])):
            found = one(table, guide=arm, measure="iou", form=form, expression=ALL)
            by = values.groupby([rows["seed"], rows["expression"]]).mean()
            assert found["value"] == pytest.approx(by.groupby("expression").mean().mean())
            assert found["ci_low"] < found["value"] < found["ci_high"]
            assert one(table, guide=arm, measure="iou", form=form, expression="fear")["value"] == pytest.approx(
                by.xs("fear", level="expression").mean()
            )
        whole = looking[looking["guide"] == arm]
        assert one(table, guide=arm, measure="accuracy", form="value", expression=ALL)["value"] == pytest.approx(
            (whole["expression"] == whole["predicted"]).mean()
        )
    assert np.isnan(one(table, guide="au", measure="iou", form="value", expression="neutral")["value"])


def test_a_planted_difference_is_found_and_a_missing_one_is_not(looking: pd.DataFrame) -> None:
    table = differences_table(Panel.of(looking), "net", [("au", "none")], 400)
    assert list(table) == list(DIFFERENCE_COLUMNS)
    gain = one(table, first="au", second="none", measure="iou", form="specificity", expression=ALL)
    assert gain["excludes_zero"]
    assert gain["ci_low"] < GAIN < gain["ci_high"]
    assert gain["ci_high"] - gain["ci_low"] < 0.02
    same = one(table, first="au", second="none", measure="accuracy", form="value", expression=ALL)
    assert same["difference"] == 0
    assert same["reason"] == "the same in every draw: no interval"
    assert same["non_inferior"] == ""


@pytest.mark.parametrize(("wrong", "said"), [(1, "True"), (40, "False")])
def test_accuracy_is_not_inferior_where_the_interval_says_so(looking: pd.DataFrame, wrong: int, said: str) -> None:
    chosen = looking[(looking["guide"] == "au") & (looking["expression"] == looking["predicted"])].index[:wrong]
    looking.loc[chosen, "predicted"] = looking.loc[chosen, "expression"].map(
        {"anger": "fear", "fear": "neutral", "neutral": "anger"}
    )
    table = differences_table(Panel.of(looking), "net", [("au", "none")], 400)
    row = one(table, first="au", second="none", measure="accuracy", form="value", expression=ALL)
    assert row["difference"] == pytest.approx(-wrong / len(SEEDS) / PEOPLE / len(EXPRESSIONS))
    assert row["non_inferior"] == said


def test_only_seeds_that_both_arms_have_are_compared(looking: pd.DataFrame) -> None:
    part = looking[(looking["guide"] != "au") | (looking["seed"] != SEEDS[0])]
    table = differences_table(Panel.of(part), "net", [("au", "none"), ("au", "template")], 100)
    assert set(table["n_seeds"]) == {len(SEEDS) - 1}
    assert set(table["second"]) == {"none"}


def test_undefined_faces_are_counted_and_their_published_zero_stands_beside(looking: pd.DataFrame) -> None:
    looking = looking.copy()
    lost = looking[(looking["guide"] == "au") & (looking["seed"] == 3) & (looking["expression"] == "anger")].index[:6]
    looking.loc[lost, ["att_cos", "att_cos_others"]] = np.nan
    table = twins_table(Panel.of(looking), "net", ["au", "none"], 100)
    found = one(table, guide="au", measure="att_cos", form="value", expression=ALL)
    assert found["undefined"] == pytest.approx(6 / (2 * PEOPLE * len(SEEDS)))
    rows = looking[(looking["guide"] == "au") & (looking["expression"] != "neutral")].fillna({"att_cos": 0.0})
    by = rows.groupby(["seed", "expression"])["att_cos"].mean()
    assert found["published"] == pytest.approx(by.groupby("expression").mean().mean())
    assert found["published"] < found["value"]


def test_without_draws_there_is_a_difference_and_no_interval(looking: pd.DataFrame) -> None:
    panel = Panel.of(looking)
    for table in (twins_table(panel, "net", ["au", "none"], 0), differences_table(panel, "net", [("au", "none")], 0)):
        assert table[["ci_low", "ci_high"]].isna().all(axis=None)
        assert set(table.loc[table["expression"] == ALL, "reason"]) == {"no draws: no interval"}
