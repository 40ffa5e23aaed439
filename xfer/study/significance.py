"""What a study knows of chance: intervals, nulls, ceilings, comparisons, how much of a tree is there."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

NULL_SCORES, CEILINGS, INFERENCE = "nulls.parquet", "ceilings.parquet", "inference.parquet"
NETWORK_SCORES, COMPARISONS, CLADES = "network_scores.parquet", "comparisons.parquet", "clades.parquet"
TABLES = (NULL_SCORES, CEILINGS, INFERENCE, NETWORK_SCORES, COMPARISONS, CLADES)


class Significance:
    """Tables of a study folder about chance; empty where the study was made without draws.

    Attributes
    ----------
    nulls : DataFrame
        What every null scores in place of every leading map, see `xfer.nulls.null_scores`.
    ceilings : DataFrame
        What the masks of other experts score (`xfer.nulls.ceiling`); against people's masks, what one half of the
        raters scores against the other (`xfer.study.raters.ceilings`).
    inference : DataFrame
        One row per leading cell and headline metric: the key, ``value`` (full resolution), ``half_value`` (where the
        rest is computed), ``n`` faces, ``units`` resampled, ``reliability``, ``corrected`` with its 95 % interval
        ``ci_low`` to ``ci_high``, the primary null's ``null_mean``, ``p``, ``q`` over ``m`` tests, the ``ceiling``,
        ``anchored`` with its interval; ``reason`` and ``anchored_reason`` say why something is NaN.
    network_scores : DataFrame
        The same per network, the mean over its expressions; ``p`` is of that mean, ``p_holm`` adjusts it for the ``m``
        networks, ``p_reason`` says why it is NaN.
    comparisons : DataFrame
        One row per pair of networks: ``difference`` of their mean area IoU, standardised ``effect``, ``p`` and its
        adjustments ``p_holm`` and ``p_bh`` over ``m`` pairs; the difference without noise ``corrected`` with its 95 %
        interval ``ci_low`` to ``ci_high``, or why there is none in ``interval_reason``.
    clades : DataFrame
        One row per expression and join of its dendrogram: ``members``, ``support`` in ``draws`` bootstrap draws.
    """

    folder: Path
    _read: Callable[[str, Callable[[Path], Any]], Any]

    def _told(self, name: str) -> pd.DataFrame:
        if not (self.folder / name).is_file():
            return pd.DataFrame()
        return self._read(name, pd.read_parquet)

    @cached_property
    def nulls(self) -> pd.DataFrame:
        """What every null scores."""
        return self._told(NULL_SCORES)

    @cached_property
    def ceilings(self) -> pd.DataFrame:
        """What experts, or people, score."""
        return self._told(CEILINGS)

    @cached_property
    def inference(self) -> pd.DataFrame:
        """Intervals, p-values and anchored scores of the leading cells."""
        return self._told(INFERENCE)

    @cached_property
    def network_scores(self) -> pd.DataFrame:
        """Intervals and anchored scores of the networks."""
        return self._told(NETWORK_SCORES)

    @cached_property
    def comparisons(self) -> pd.DataFrame:
        """Which networks differ."""
        return self._told(COMPARISONS)

    @cached_property
    def clades(self) -> pd.DataFrame:
        """How much of every dendrogram is there."""
        return self._told(CLADES)

    @property
    def unit_level(self) -> str:
        """What was resampled: "blocks of subjects", "folds", or "" for nothing."""
        return str(self.inference["units"].iloc[0]) if len(self.inference) else ""
