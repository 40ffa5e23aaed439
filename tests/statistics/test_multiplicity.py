"""Adjusted p-values: one number whichever library gives it."""

import numpy as np
import pandas as pd

from xfer import nulls
from xfer.statistics.multiplicity import adjust


def test_nulls_adjust_as_the_other_tables_do(rng: np.random.Generator) -> None:
    """Nulls stand below statistics and ask SciPy themselves."""
    p = rng.random(40)
    p[::7] = np.nan
    names = {"null": "n", "metric": "iou", "threshold": "area", "mask": "ekman"}
    table = pd.DataFrame({**names, "value": 0.0, "null_mean": 0.0, "null_sd": 0.0, "p": p, "n_draws": 99})
    found = adjust(p)
    np.testing.assert_allclose(nulls.adjust(table)["q"], found.p, rtol=1e-12)
    assert set(nulls.adjust(table)["m"]) == {found.m}


def test_those_of_scipy_are_those_of_statsmodels(rng: np.random.Generator) -> None:
    from statsmodels.stats.multitest import multipletests

    for given in (
        rng.random(40),
        rng.random(40) / 100,
        np.repeat(rng.random(5), 3),
        np.array([0.0, 1.0]),
        rng.random(1),
    ):
        np.testing.assert_allclose(adjust(given).p, multipletests(given, method="fdr_bh")[1], rtol=1e-12)
