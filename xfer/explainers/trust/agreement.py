"""Do explainers agree about a face: rank correlations of their maps."""

from itertools import combinations

import pandas as pd

from xfer.explainers.trust.maps import Maps, gathered, rank_correlation
from xfer.statistics.estimates import mean_interval

__all__ = ["agreement"]


def agreement(maps: Maps, *, seed: int = 0) -> pd.DataFrame:
    """Spearman correlation of every pair of explainers, averaged over faces.

    Parameters
    ----------
    maps : mapping of str to array (face, y, x)
        Of one class a face; brought to the finest resolution among them.
    seed : int
        Of the bootstrap over faces.

    Returns
    -------
    DataFrame
        explainer, other, spearman, ci_low, ci_high, n (faces on which neither map is constant), reason.
        ``table.pivot(index="explainer", columns="other", values="spearman")`` is the symmetric matrix.

    Raises
    ------
    InputError
        If the maps are not of the same faces.

    References
    ----------
    Krishna et al. 2024, The disagreement problem in explainable machine learning, doi:10.48550/arXiv.2202.01602.

    Examples
    --------
    >>> import numpy as np
    >>> first = np.random.default_rng(0).random((3, 4, 4))
    >>> agreement({"a": first, "b": -first}).query("explainer == 'a' and other == 'b'").spearman.item()
    -1.0
    """
    found = gathered(maps)
    rows = []
    for first, second in combinations(found, 2):
        mean = mean_interval(rank_correlation(found[first], found[second]), seed=seed)
        facts = (round(mean.value, 12), mean.ci_low, mean.ci_high, mean.n, mean.reason)
        rows += [(first, second, *facts), (second, first, *facts)]
    rows += [(name, name, 1.0, 1.0, 1.0, len(each), "") for name, each in found.items()]
    return pd.DataFrame(rows, columns=["explainer", "other", "spearman", "ci_low", "ci_high", "n", "reason"])
