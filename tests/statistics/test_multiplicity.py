"""Adjusted p-values: one number whichever library gives it."""

import numpy as np
import pandas as pd

from xfer import nulls
from xfer.statistics.multiplicity import adjust


def test_nulls_adjust_as_the_other_tables_do(rng: np.random.Generator) -> None:
    """Nulls stand below statistics and use SciPy; everything else statsmodels."""
    p = rng.random(40)
    p[::7] = np.nan
    names = {"null": "n", "metric": "iou", "threshold": "area", "mask": "ekman"}
    table = pd.DataFrame({**names, "value": 0.0, "null_mean": 0.0, "null_sd": 0.0, "p": p, "n_draws": 99})
    found = adjust(p)
    np.testing.assert_allclose(nulls.adjust(table)["q"], found.p, rtol=1e-12)
    assert set(nulls.adjust(table)["m"]) == {found.m}
