"""The tables of a study's statistics as files for a paper: csv with every digit, LaTeX as printed."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from xfer import scoring
from xfer.errors import InputError
from xfer.report import standings, twin_exports
from xfer.report.canvas import spoken
from xfer.report.methods import methods
from xfer.report.reading import title
from xfer.study import Study
from xfer.study.folder import write_whole
from xfer.study.twin_study import as_twins

_LATEX = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "−": "$-$", "≤": r"$\le$", "<": r"\textless{}",
    ">": r"\textgreater{}",
}  # fmt: skip

_WHOLE = ("passed", "tests", "n_expressions", "m", "n", "cells", "above", "p_beaten", "q_beaten")

_PRINTED = {
    "networks": (
        "model", "anchored", "anchored_low", "anchored_high", "corrected", "ci_low", "ci_high", "value", "null_mean",
        "ceiling", "p_holm", "passed", "tests",
    ),
    "cells": (
        "model", "expression", "anchored", "corrected", "ci_low", "ci_high", "value", "null_mean", "ceiling", "p", "q",
        "reliability",
    ),
    "nulls": ("null", "null_score", "score", "above", "cells", "p_beaten", "q_beaten", "tests"),
    "comparisons": ("first", "second", "corrected", "ci_low", "ci_high", "difference", "effect", "p", "p_holm", "m"),
}  # fmt: skip
"""The columns of each LaTeX table; the csv has all."""

_HEADS = {
    "model": "network", "value": "raw", "null_mean": "chance", "ci_low": "low", "ci_high": "high",
    "anchored_low": "low", "anchored_high": "high", "null_score": "its mean", "score": "heatmaps",
    "above": "above it", "cells": "of", "p_beaten": "p ≤ .05", "q_beaten": "q ≤ .05", "passed": "q ≤ .05",
    "tests": "tests", "p_holm": "p (Holm)", "accuracy_ci_low": "low", "accuracy_ci_high": "high",
    "specificity_ci_low": "low", "specificity_ci_high": "high", "macro_f1": "macro-F1", "iou": "IoU",
    "energy_inside": "energy", "att_cos": "ATT-COS", "cam_cos": "CAM-COS", "verdict": "",
}  # fmt: skip


def write_tables(study: Study, folder: str | Path) -> list[Path]:
    """Write the networks', the cells', the nulls' and the comparisons' tables, and the methods paragraphs.

    Of a twin study those of its arms, their differences and the floors.

    Parameters
    ----------
    study : Study
    folder : path
        Made where it is not there. Each file is written whole or not at all.

    Returns
    -------
    list of Path
        ``networks.csv`` and ``.tex``, ``cells``, ``nulls``, ``comparisons`` likewise (of a twin study ``twins``,
        ``differences``, ``floors``), and ``methods.txt``; a table without rows has no files.

    Raises
    ------
    InputError
        If the study has no statistics, or the folder cannot be written.
    """
    found = {name: table for name, table in tables(study).items() if len(table)}
    if not found:
        raise InputError(f"{study.place}: has no statistics to export; run its 'xfer compare' line with draws again")
    home = Path(folder)
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{home}: cannot be made ({error.strerror}); give another folder with --tables") from None
    texts = _latex_of(study, found)
    writers: dict[str, Callable[[Path], object]] = {}
    for name, table in found.items():
        whole = {column: "Int64" for column in _WHOLE if column in table}
        writers[f"{name}.csv"] = partial(scoring.write_csv, table.astype(whole))
        writers[f"{name}.tex"] = partial(_write_text, "\n".join(texts[name]))
    if text := methods(study):
        writers["methods.txt"] = partial(_write_text, text + "\n")
    for file, write in writers.items():
        write_whole(home / file, write)
    return [home / file for file in writers]


def _latex_of(study: Study, found: dict[str, pd.DataFrame]) -> dict[str, list[str]]:
    if (twins := as_twins(study)) is not None:
        made = twin_exports.printed(twins)
        return {name: latex(*made[name], f"tab:{name}") for name in found}
    return {name: _leading(study, name, table) for name, table in found.items()}


def tables(study: Study) -> dict[str, pd.DataFrame]:
    """The four tables with every metric and threshold, names in columns; of a twin study its own three."""
    if (twins := as_twins(study)) is not None:
        return twin_exports.tables(twins)
    return {
        "networks": standings.networks(study).rename_axis("model").reset_index(),
        "cells": standings.cells(study),
        "nulls": standings.nulls(study),
        "comparisons": standings.comparisons(study),
    }


def _write_text(text: str, path: Path) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")


def _leading(study: Study, name: str, table: pd.DataFrame) -> list[str]:
    """The LaTeX of a table's headline metric at the threshold that leads the page."""
    metric = next(iter(standings.metrics(study)), str(table["metric"].iloc[0]))
    rows = standings.leading_threshold(study, table[table["metric"] == metric], metric)
    if name == "networks":
        rows = rows.set_index("model").loc[standings.networks(study, metric).index].reset_index()
    columns = [c for c in _PRINTED[name] if not (c in rows and rows[c].dtype == float and rows[c].isna().all())]
    measure = study.mask_sources.measures[str(study.masks.name)]
    caption = f"{title(metric)}, {measure}: {_CAPTIONS[name]}"
    return latex(rows[columns], caption, f"tab:{name}")


_CAPTIONS = {
    "networks": "networks between chance and ceiling, mean over expressions.",
    "cells": "heatmaps against smooth surrogates.",
    "nulls": "null models.",
    "comparisons": "pairs of networks on the same faces.",
}


def latex(table: pd.DataFrame, caption: str, label: str) -> list[str]:
    r"""A table in LaTeX with booktabs' rules, line by line; text is escaped, NaN is a dash.

    Parameters
    ----------
    table : DataFrame
        The first columns that are text are aligned left, numbers right.
    caption, label : str

    Examples
    --------
    >>> latex(pd.DataFrame({"model": ["net_a"], "p": [0.25]}), "5 %", "tab:x")[5:8]
    ['network & p \\\\', '\\midrule', 'net\\_a & 0.250 \\\\']
    """
    sides = "".join("r" if pd.api.types.is_numeric_dtype(table[c]) else "l" for c in table.columns)
    heads = [escaped(_HEADS.get(str(c), spoken(str(c)))) for c in table.columns]
    body = [" & ".join(_cells(row, list(table.columns))) + r" \\" for row in table.itertuples(index=False, name=None)]
    return [
        r"\begin{table}", r"\centering", rf"\caption{{{escaped(caption)}}}\label{{{label}}}",
        rf"\begin{{tabular}}{{{sides}}}", r"\toprule", " & ".join(heads) + r" \\", r"\midrule", *body, r"\bottomrule",
        r"\end{tabular}", r"\end{table}", "",
    ]  # fmt: skip


def _cells(row: Sequence[object], columns: Sequence[object]) -> list[str]:
    return [_cell(value, str(column)) for value, column in zip(row, columns, strict=True)]


def _cell(value: object, column: str) -> str:
    if isinstance(value, int | float | np.number):
        number = float(value)
        if not np.isfinite(number):
            return "--"
        if column in _WHOLE:
            return f"{number:.0f}"
        small = column in ("p", "q", "p_holm", "p_bh", "smallest_q") and number < 0.0005
        return r"$<$0.001" if small else f"{number:.3f}".replace("-", "$-$")
    named = (
        standings.null_title(str(value))
        if column == "null"
        else spoken(str(value))
        if column == "expression"
        else str(value)
    )
    return escaped(named)


def escaped(text: str) -> str:
    r"""Text that LaTeX prints as it is.

    >>> escaped("50 % of net_a & {b}")
    '50 \\% of net\\_a \\& \\{b\\}'
    """
    return "".join(_LATEX.get(c, c) for c in text if c.isprintable() or c == " ")
