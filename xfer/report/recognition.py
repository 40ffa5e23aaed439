"""Sections on the networks: how well they recognise expressions, how they were trained, what explains nothing."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from xfer.report import figures, words
from xfer.report.account import disjoint
from xfer.report.blocks import Block, Cell, Items, Section, Table, number, vector
from xfer.report.canvas import decimal, finite_mean, spoken
from xfer.report.guided import guide_of
from xfer.report.reading import figure_names
from xfer.report.trained import (
    ERRORS,
    NEAR,
    RARE,
    SELDOM,
    Doubts,
    commonest,
    confusions,
    doubts,
    is_trained,
    recalls,
    results,
)
from xfer.study import Study

Row = Sequence[str | Cell]

_HEADING = "How well the networks recognise expressions"


def warnings(study: Study) -> Section | None:
    """The networks near chance and the expressions that networks rarely recognise, each in words."""
    if not is_trained(study):
        return None
    found = doubts(study)
    items = [(f"{model}:", _why(found, model)) for model in found.networks]
    for model in dict.fromkeys(m for m, _ in found.expressions):
        names = ", ".join(found.of(model))
        items.append((f"{model}", words.say("doubts", "rare", names=names, limit=_two(RARE))))
    items += [(f"{model}:", words.say("doubts", "coarse", why=why)) for model, why in found.coarse.items()]
    if found.networks or found.expressions:
        first = words.text("doubts", near=NEAR, seldom=SELDOM, rare=_two(RARE))
    else:
        first = words.text("doubts", "none", errors=ERRORS, rare=_two(RARE))
    return Section("doubts", "Heatmaps that explain nothing", [first, *([Items(items)] if items else [])])


def _why(found: Doubts, model: str) -> str:
    case = found.networks[model]
    return words.say(
        "doubts",
        case.kind,
        accuracy=number(case.accuracy).text,
        linear=number(case.linear).text,
        n=case.n,
        guess=number(case.guess).text,
        bar=number(case.bar).text,
        errors=ERRORS,
    )


def mark_notes(marks: str) -> dict[str, str]:
    """What the marks used in a table mean."""
    notes = {NEAR: words.say("doubts", "near_mark"), SELDOM: words.say("doubts", "seldom_mark", rare=_two(RARE))}
    return {mark: text for mark, text in notes.items() if mark in marks}


def recognition(study: Study) -> Section | None:
    """Accuracy, macro-F1 and confusion per network beside chance and the linear classifier; how each was made."""
    if not is_trained(study):
        return None
    table, found = results(study.networks), doubts(study)
    if table.empty:
        return Section(
            "recognition", _HEADING, [words.text("recognition", "absent", tone="note"), *_made(study, table)]
        )
    blocks: list[Block] = [words.text("recognition", disjoint=disjoint(study))]
    blocks += [_accuracy_plot(study, table, found), _accuracy_table(table, found), *_made(study, table)]
    if len(study.predictions):
        blocks += [_confusion_plot(study, table), _recall_table(study, table, found)]
    return Section("recognition", _HEADING, blocks)


def _accuracy_plot(study: Study, table: pd.DataFrame, found: Doubts) -> Block:
    names, folds = figure_names(study), int(table["folds"].max())
    shares = commonest(study.predictions)
    common, chance = finite_mean(shares), finite_mean(table["chance"])
    drawn = figures.accuracy_chart(table.rename(index=names), [names[m] for m in found.networks], common)
    alt = words.say("recognition", "alt", count=len(table), first=table.index[0], last=table.index[-1])
    n = finite_mean(table["n_test"])
    error = 2 * np.sqrt(0.25 / n) if n > 0 else np.nan
    above = common > chance + 0.005
    return words.plot(
        "recognition",
        [vector(drawn, alt)],
        folds=words.say("recognition", "mean_of_folds", folds=folds) if folds > 1 else "",
        chance=number(chance).text,
        common=words.say("recognition", "common", share=number(common).text) if above else "",
        doubt=words.say("recognition", "doubt") if found.networks else "",
        n=round(n) if np.isfinite(n) else 0,
        error=number(float(error), 2).text,
    )


def _accuracy_table(table: pd.DataFrame, found: Doubts) -> Table:
    folds = int(table["folds"].max())
    head = ["network", "accuracy", *(["lowest fold", "highest fold"] if folds > 1 else []), "macro-F1"]
    head += ["linear classifier", "chance", "validation accuracy", "test faces"]
    columns = ["accuracy", *(["low", "high"] if folds > 1 else []), "macro_f1", "linear", "chance"]
    rows: list[Row] = []
    for model, line in table.iterrows():
        cells = [number(float(line[c]), 3, found.mark(str(model)) if c == "accuracy" else "") for c in columns]
        rows.append([str(model), *cells, number(float(line["validation_accuracy"])), number(float(line["n_test"]), 0)])
    means = [number(finite_mean(table[c])) for c in [*columns, "validation_accuracy"]]
    over = words.say("recognition", "table_folds", folds=folds) if folds > 1 else ""
    title = words.say("recognition", "table", folds=over)
    return Table(title, head, rows, [["mean", *means, ""]], mark_notes("".join(map(found.mark, map(str, table.index)))))


def _made(study: Study, table: pd.DataFrame) -> list[Block]:
    """What the networks are and how they were trained: a row per network, what differs between folds side by side."""
    names = [*map(str, table.index), *(m for m in sorted(set(study.networks["model"])) if m not in table.index)]
    kinds: list[Row] = []
    training: list[Row] = []
    for name in names:
        own = study.networks[study.networks["model"] == name]
        start, layer = Cell(_each(own["start"]), "", "words"), Cell(_each(own["layer"]), "", "code")
        guide = [_each(own["guide"])] if guide_of(study) else []
        kinds.append([name, start, *guide, _number(own["size"]), layer, _each(own["grid"]), _number(own["parameters"])])
        numbers = [_number(own[c]) for c in ("epochs", "epoch", "batch", "n_train")]
        told: Row = [_each(own["precision"]), _time(own["train_seconds"]), Cell(_remarks(own), "", "words")]
        training.append([name, *numbers, *told])
    guided = ["guide"] if guide_of(study) else []
    head = ["network", "start", *guided, "size (px)", "heatmap layer", "grid", "parameters"]
    then = ["network", "epochs", "kept epoch", "batch", "training faces", "precision", "training time", "remarks"]
    return [
        Table(words.say("recognition", "made"), head, kinds),
        Table(words.say("recognition", "trained"), then, training),
    ]


def _each(values: pd.Series) -> str:
    """The different values of a network's folds, in their order."""
    return "; ".join(dict.fromkeys(str(v) for v in values if isinstance(v, str) and v))


def _number(values: pd.Series) -> Cell:
    kept = pd.to_numeric(values, errors="coerce").dropna()
    return Cell(", ".join(dict.fromkeys(f"{int(v):,}" for v in kept)) or "unknown", "", "number")


def _time(values: pd.Series) -> Cell:
    total = float(pd.to_numeric(values, errors="coerce").sum())
    if not total > 0:
        return Cell("unknown", "", "number")
    return Cell(f"{total:.0f} s" if total < 120 else f"{total / 60:.0f} min", "", "number")


def _remarks(own: pd.DataFrame) -> str:
    """Remarks and failures, the failed fold named where there are several."""
    told = [text for text in [_each(own["remarks"])] if text]
    for fold, why in own.loc[own["failed"] != "", ["fold", "failed"]].itertuples(index=False, name=None):
        place = f"fold {fold} " if len(own) > 1 else ""
        told.append(place + words.say("recognition", "remark_failed", why=why))
    return "; ".join(told)


def _confusion_plot(study: Study, table: pd.DataFrame) -> Block:
    counts, names = confusions(study.predictions), figure_names(study)
    shown = [m for m in map(str, table.index) if m in counts]
    notes = {names[m]: number(float(table["accuracy"][m]), 2).text for m in shown}
    drawn = figures.confusion_grid({names[m]: counts[m] for m in shown}, notes)
    alt = words.say("confusion", "alt", names=", ".join(shown))
    folds = words.say("recognition", "recall_folds") if table["folds"].max() > 1 else ""
    return words.plot("confusion", [vector(drawn, alt)], folds=folds)


def _recall_table(study: Study, table: pd.DataFrame, found: Doubts) -> Table:
    recall = recalls(study.predictions)
    recall = recall.reindex([m for m in map(str, table.index) if m in recall.index])
    rows: list[Row] = []
    marks = ""
    for model, line in recall.iterrows():
        cells = []
        for expression, value in line.items():
            rare = SELDOM if (str(model), str(expression)) in found.expressions else ""
            cells.append(number(float(value), 2, rare))
            marks += rare
        rows.append([str(model), *cells, number(finite_mean(line), 2)])
    means = [number(finite_mean(recall[e]), 2) for e in recall.columns]
    foot: list[Row] = [["mean", *means, number(finite_mean(recall), 2)]]
    folds = words.say("recognition", "recall_folds") if table["folds"].max() > 1 else ""
    head = ["network", *map(spoken, recall.columns), "mean"]
    return Table(words.say("recognition", "recall", folds=folds), head, rows, foot, mark_notes(marks))


def curves(study: Study) -> Section | None:
    """Loss and validation accuracy over epochs, with the epoch that was kept."""
    if not is_trained(study):
        return None
    heading = "How training went"
    if study.curves.empty:
        return Section("curves", heading, [words.text("curves", "none", tone="note")])
    table, names = results(study.networks), figure_names(study)
    order = [*map(str, table.index), *(m for m in sorted(set(study.curves["model"])) if m not in table.index)]
    drawn = study.curves.assign(model=study.curves["model"].map(names))
    kept = study.networks.assign(model=study.networks["model"].map(names))
    figure = figures.training_curves(drawn, [names[m] for m in order], kept, finite_mean(table["chance"]))
    epochs = [f"{m} {text}" for m in order if (text := _kept(study.networks, m))]
    chosen = words.say("curves", "chosen", epochs=", ".join(epochs)) if epochs else ""
    alt = words.say("curves", "alt", names=", ".join(order), chosen=chosen)
    lines = words.say("curves", "lines") if len(set(study.curves["fold"])) > 1 else ""
    plot = words.plot("curves", [vector(figure, alt)], folds=lines)
    return Section("curves", heading, [words.text("curves"), plot])


def _kept(networks: pd.DataFrame, model: str) -> str:
    chosen = networks.loc[networks["model"] == model, "epoch"].dropna()
    return " and ".join(dict.fromkeys(f"{int(e)}" for e in chosen))


def _two(value: float) -> str:
    return decimal(value, 2)
