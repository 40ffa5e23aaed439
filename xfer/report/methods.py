"""The methods paragraphs of a study, written from what was run: numbers, the estimand, names and DOIs."""

import numpy as np
import pandas as pd

import xfer
from xfer.nulls import NULLS, primary
from xfer.report import guided, standings, twin_exports, words
from xfer.report.account import listed
from xfer.report.blocks import Section, Text
from xfer.report.canvas import spoken
from xfer.report.reading import headline_metric, is_human, masks_kind, raters_said, title, values_of
from xfer.report.trained import is_trained
from xfer.statistics.estimates import DRAWS, JACKKNIFE
from xfer.study import Study, randomised
from xfer.study.twin_study import as_twins


def methods(study: Study) -> str:
    """What a paper's methods section has to say of the statistics; paragraphs with an empty line between them.

    Parameters
    ----------
    study : Study

    Returns
    -------
    str
        "" for a study without statistics. Numbers are those of this study.
    """
    if (twins := as_twins(study)) is not None:
        return twin_exports.methods(twins)
    if standings.cells(study).empty:
        return ""
    parts = (
        _data(study),
        guided.sentence(study),
        _estimand(study),
        _chance(study),
        _ceiling(study),
        _pairs(study),
        _trees(study),
        _rest(study),
    )
    return "\n\n".join(part for part in parts if part)


def section(study: Study) -> Section | None:
    """The paragraphs, to copy."""
    text = methods(study)
    if not text:
        return None
    blocks = [words.text("methods"), *(Text(part) for part in text.split("\n\n"))]
    return Section("methods", "Methods, ready to paste", blocks)


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _data(study: Study) -> str:
    """Heatmaps, faces, masks and what was measured."""
    data = study.config.get("data", {}) if is_trained(study) else {}
    faces, subjects = data.get("faces"), data.get("subjects")
    cells, folds = standings.cells(study), len(values_of(study, "fold"))
    whole = cells.drop_duplicates(["model", "expression"])
    held = [spoken(e) for e in dict.fromkeys(whole["expression"])]
    return words.say(
        "methods",
        "data",
        version=xfer.__version__,
        maps=_plural(len(whole), "mean heatmap"),
        networks=_plural(len(set(whole["model"])), "network"),
        expressions=f"{_plural(len(held), 'expression')} ({listed(held)})",
        folds=f", each over {folds} folds" if folds > 1 else "",
        faces=_faces(faces, subjects),
        metrics=listed(_questions(study)),
        masks=study.masks.name,
        where="the whole canvas" if study.support.all() else f"{study.support.mean():.0%} of the canvas, its support",
        meaning=words.say("headline", masks_kind(study)),
    ) + (f" {words.say('methods', 'people')}" if is_human(study) else "")


def _faces(faces: object, subjects: object) -> str:
    if isinstance(faces, int) and isinstance(subjects, int):
        return f" from {faces:,} faces of {subjects:,} subjects"
    return ""


def _questions(study: Study) -> list[str]:
    """Every metric with its threshold, as the statistics have them."""
    pairs = standings.cells(study)[["metric", "threshold"]].drop_duplicates()
    rules = pairs.itertuples(index=False, name=None)
    return [f"{title(metric)} at the threshold '{rule}'" if rule else title(metric) for metric, rule in rules]


def _estimand(study: Study) -> str:
    """The population mean map, what was resampled and how the interval was made."""
    cells, level = standings.cells(study), study.unit_level
    said = [words.say("methods", "estimand")]
    if not level:
        return " ".join([*said, words.say("methods", "no_units")])
    draws = f"{int(study.config.get('draws', 0)):,}"
    said.append(words.say("methods", "folds" if level == "folds" else "blocks", **_units(study)))
    used = set(cells["ci_method"])
    said += [words.say("methods", "jackknife")] if JACKKNIFE in used else []
    said += [words.say("methods", "population", draws=draws)] if DRAWS in used else []
    known = cells["reliability"][np.isfinite(cells["reliability"])]
    if len(known):
        ends = [f"{value:.2f}" for value in (known.min(), known.median(), known.max())]
        said.append(words.say("methods", "reliability", low=ends[0], middle=ends[1], high=ends[2]))
    without = cells[~np.isfinite(cells["ci_low"])]
    if len(without):
        why = "; ".join(dict.fromkeys(r for r in without["reason"] if r))
        said.append(words.say("methods", "without", count=len(without), total=len(cells), why=why or "no reason kept"))
    return " ".join(said)


def _units(study: Study) -> dict[str, object]:
    return {"folds": len(values_of(study, "fold")), "most": study.config.get("blocks", 200)}


def _chance(study: Study) -> str:
    """The null models and the correction for their number."""
    table = standings.nulls(study, headline_metric(study))
    if table.empty:
        return ""
    known = table[(table["cells"] > 0) & (table["null"].map(lambda name: NULLS[name].kind) != "expectation")]
    tested = known.loc[(known["tests"] > 0) & (known["null"] != primary().name), "null"]
    beside = known.loc[known["tests"] == 0, "null"]
    found = standings.table(study, "nulls")
    cells, spread = standings.cells(study, headline_metric(study)), primary().widened
    return words.say(
        "methods",
        "chance",
        primary=f"{primary().words} ({primary().reference})",
        draws=f"{int(found.loc[found['null'] == primary().name, 'n_draws'].max()):,}",
        tested=listed([_source(n) for n in tested]) or "none",
        beside=listed([_source(n) for n in beside]) or "none",
        m=int(cells["m"].fillna(0).max()),
        difference=_half(cells),
        widened=words.say("methods", "widened", factor=f"{spread:g}") if spread != 1 else "",
        randomised=_randomised(study),
        networks=_means(study),
    )


def _means(study: Study) -> str:
    """How networks were tested; "" where none was."""
    found = standings.networks(study, headline_metric(study))
    tested = int(np.isfinite(found["p"]).sum()) if len(found) else 0
    return words.say("methods", "networks", networks=tested) if tested else ""


def _randomised(study: Study) -> str:
    """How often weights were drawn; "" where they were not."""
    maps = getattr(study, "randomised", None)
    if maps is None:
        return ""
    seeds = len(set(maps.coords["seed"].values))
    return words.say("methods", "randomised", draws=_plural(seeds, "draw"), faces=randomised.FACES)


def _source(name: str) -> str:
    reference = NULLS[name].reference
    return standings.null_title(name) + (f" ({reference})" if "doi:" in reference else "")


def _half(cells: pd.DataFrame) -> str:
    apart = (cells["value"] - cells["half_value"]).abs()
    apart = apart[np.isfinite(apart)]
    return f" (scores differ from full resolution by at most {apart.max():.3f})" if len(apart) else ""


def _ceiling(study: Study) -> str:
    """The ceiling and the anchored score."""
    table = standings.table(study, "ceilings")
    anchored = words.say("methods", "anchored")
    if is_human(study):
        if not np.isfinite(table["ceiling"]).any():
            why = "; ".join(dict.fromkeys(str(reason) for reason in table["reason"] if reason))
            return words.say("methods", "no_ceiling_human", why=why)
        return words.say("methods", "ceiling_human", raters=raters_said(study), anchored=anchored)
    if table.empty:
        return words.say("methods", "no_ceiling")
    sources = dict.fromkeys(name for row in table["sources"] for name in str(row).split(", ") if name)
    return words.say("methods", "ceiling", sources=listed([*sources]), masks=study.masks.name, anchored=anchored)


def _pairs(study: Study) -> str:
    """Pairs of networks and their ranking."""
    found, said = standings.comparisons(study), []
    if len(found) and np.isfinite(found["p"]).any():
        method = ", ".join(dict.fromkeys(m for m in found["method"] if m))
        sure = words.say("methods", "pair_intervals") if np.isfinite(found["ci_low"]).any() else ""
        said.append(words.say("methods", "pairs", m=int(found["m"].max()), method=method, intervals=sure))
    ranked = study.ranking(headline_metric(study))
    if not ranked.reason:
        said.append(words.say("methods", "ranking", blocks=ranked.blocks, networks=len(ranked.average)))
        said += [words.say("methods", "warning", warning=ranked.warning)] if ranked.warning else []
    return " ".join(said)


def _trees(study: Study) -> str:
    clades = standings.table(study, "clades")
    if clades.empty:
        return ""
    folds = words.say("methods", "tree_folds") if len(values_of(study, "fold")) > 1 else ""
    return words.say(
        "methods",
        "trees",
        linkage=study.config.get("linkage", "average"),
        draws=f"{int(clades['draws'].max()):,}",
        folds=folds,
    )


def _rest(study: Study) -> str:
    """The split of variance, and the seed."""
    found = study.variance(headline_metric(study))
    said = []
    if not found.reason:
        factors = listed([str(f) for f in found.table["factor"][:-1]])
        said.append(words.say("methods", "variance", factors=factors, unit=found.unit))
    said.append(words.say("methods", "seed", seed=study.config.get("seed", 0)))
    return " ".join(said)
