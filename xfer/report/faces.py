"""The page of `xfer data check`: an inspected data set's sections -> one offline HTML file as text."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

import xfer
from xfer.inspection import SAME, Agreement, Inspection
from xfer.report import page, portraits, words
from xfer.report.blocks import Block, Cell, Items, KeyFigures, Plot, Section, Table, raster, vector
from xfer.report.canvas import decimal, spoken
from xfer.report.findings import FEW, findings, kappa, share

_Row = Sequence[str | Cell]

_MOST = 60
"""Rows of a table that could grow without end; the rest is counted."""


def build(inspection: Inspection) -> str:
    """The whole page of a data set: pictures, style and words in one file that asks nothing of any network.

    Parameters
    ----------
    inspection : Inspection

    Returns
    -------
    str
        HTML with the Content-Security-Policy of `page.render`.
    """
    made = (section(inspection) for section in SECTIONS)
    html = page.render("xfer data check", inspection.name, [section for section in made if section is not None])
    return html.encode("utf-8", "backslashreplace").decode("utf-8")


def summary(found: Inspection) -> Section:
    """What the data are, who is on this page, and what needs attention."""
    faces = found.faces
    subjects = faces["subject"].nunique()
    lost = int((faces["reason"] != "").sum())
    blocks: list[Block] = []
    if found.drawn:
        blocks.append(words.text("faces_summary", "drawn", tone="note"))
    else:
        blocks.append(words.text("faces_summary", "privacy", tone="note"))
    names = [spoken(e) for e in found.expressions if e]
    told = words.text(
        "faces_summary", data=found.name, faces=_many(len(faces), "face"), subjects=_many(subjects, "subject"),
        expressions=_many(len(names), "expression"), landmarker=found.landmarker,
    )  # fmt: skip
    figures = [
        (f"{len(faces):,}", "faces"),
        (f"{subjects:,}", "subjects"),
        (f"{len(names)}", "expressions"),
        (f"{lost:,}", "faces without landmarks"),
        (f"{len(found.copies):,}", "pairs alike as one photograph"),
        (f"{int(found.copies['splits'].sum()):,}", "of them across splits"),
    ]
    return Section("summary", "What needs attention", [*blocks, told, KeyFigures(figures), Items(findings(found))])


def counts(found: Inspection) -> Section:
    """Faces and people by expression and split."""
    table = found.counts()
    splits = [c for c in table.columns if c not in ("faces", "subjects", "")]
    unsplit = [""] if "" in table.columns and splits else []
    columns = [*splits, *unsplit, "faces", "subjects"]
    head = ["expression", *splits, *(["no split"] if unsplit else []), "all faces", "subjects"]
    rows: list[_Row] = [[_label(str(e)), *(_count(table.loc[e, c]) for c in columns)] for e in table.index]
    total = [_count(table[c].sum()) for c in columns[:-1]] + [_count(found.faces["subject"].nunique())]
    each = found.faces["subject"].value_counts()
    blocks: list[Block] = [Table(words.say("faces_counts", "table"), head, rows, [["all", *total]])]
    if each.max() == each.min():
        blocks.append(words.text("faces_counts", "equal", n=len(each), most=_many(int(each.max()), "face")))
    else:
        facts: dict[str, Any] = {
            "most": int(each.max()),
            "median": f"{each.median():g}",
            "alone": int((each == 1).sum()),
        }
        blocks.append(words.text("faces_counts", n=len(each), **facts))
    if not splits:
        blocks.append(words.text("faces_counts", "nosplit"))
    return Section("counts", "Faces, people and splits", blocks)


def pictures(found: Inspection) -> Section:
    """How large pictures and faces are, and how heads are held."""
    faces = found.faces[found.faces["width"] > 0]
    sizes = Counter(zip(faces["width"], faces["height"], strict=True)).most_common()
    listed = ", ".join(f"{w} x {h} ({n})" for (w, h), n in sizes[:4]) + (", ..." if len(sizes) > 4 else "")
    if len(sizes) == 1:
        listed = "all {} x {}".format(*sizes[0][0])
    elif len(sizes) > 4:
        low, high = faces[["width", "height"]].min(), faces[["width", "height"]].max()
        listed = f"{low['width']} x {low['height']} to {high['width']} x {high['height']}, mostly {listed}"
    blocks: list[Block] = [words.text("faces_pictures", "sizes", sizes=listed or "unknown: none could be decoded")]
    shown = [name for name in portraits.MEASURES if np.isfinite(faces[name]).any()]
    if shown:
        rows: list[_Row] = [[portraits.MEASURES[name], *_quantiles(faces[name])] for name in shown]
        facts = ", ".join(f"{name}: median {decimal(float(faces[name].median()), 1)}" for name in shown).replace(
            "_", "-"
        )
        alt = words.say("faces_pictures", "alt", n=int(np.isfinite(faces[shown[0]]).sum()), facts=facts)
        unknown = "" if "yaw" in shown else words.say("faces_pictures", "unknown")
        blocks.append(words.plot("faces_pictures", [vector(portraits.distributions(faces), alt)], unknown=unknown))
        head = ["", "faces", "lowest", "5 %", "median", "95 %", "highest"]
        blocks.append(Table(words.say("faces_pictures", "table"), head, rows, folded=True))
    return Section("pictures", "Size and pose", blocks)


def _quantiles(values: pd.Series) -> list[Cell]:
    return [_count(values.notna().sum()), *(_number(values.quantile(q)) for q in (0, 0.05, 0.5, 0.95, 1))]


def lost(found: Inspection) -> Section:
    """Faces without landmarks, by expression and one by one."""
    faces = found.faces
    missing = faces[faces["reason"] != ""]
    facts: dict[str, Any] = {"n": len(missing), "total": len(faces), "share": share(len(missing) / len(faces))}
    blocks: list[Block] = [words.text("faces_lost", "text" if len(missing) else "none", **facts)]
    if len(missing):
        by = faces.assign(lost=faces["reason"] != "").groupby("expression")["lost"].agg(["sum", "size", "mean"])
        by = by.reindex(found.expressions)
        rows: list[_Row] = [
            [_label(str(e)), _count(r["sum"]), _count(r["size"]), share(r["mean"])] for e, r in by.iterrows()
        ]
        blocks.append(Table(words.say("faces_lost", "table"), ["expression", "without", "of", "share"], rows))
        each = missing[["id", "expression", "reason"]].itertuples(index=False, name=None)
        head = ["face", "expression", "reason"]
        blocks.append(_listed(words.say("faces_lost", "listed"), head, [[i, _label(e), why] for i, e, why in each]))
    if found.missed:
        labels = _tally([p.expression for p in found.missed])
        alt = words.say("faces_lost", "alt", n=len(found.missed), labels=labels)
        sheet = raster(portraits.contact_sheet(found.missed), alt)
        blocks.append(words.plot("faces_lost", [sheet], n=len(found.missed)))
    for why, n in Counter(faces.loc[faces["left_out"] != "", "left_out"]).most_common():
        blocks.append(words.text("faces_lost", "turned", n=n, why=why))
    return Section("without-landmarks", "Faces without landmarks", blocks)


def copies(found: Inspection) -> Section:
    """The same photograph twice."""
    pairs = found.copies
    blocks: list[Block] = [words.text("faces_copies", same=SAME)]
    if pairs.empty:
        return Section("copies", "The same photograph twice", [*blocks, words.text("faces_copies", "none")])
    kinds: dict[str, Any] = {kind: int((pairs["kind"] == kind).sum()) for kind in ("identical", "near", "mirrored")}
    blocks.append(words.text("faces_copies", "kinds", **kinds))
    harm = ["splits", "subjects", "expressions"]
    ordered = pairs.sort_values([*harm, "similarity"], ascending=False, kind="stable")
    head = ["first", "second", "similarity", "kind", "differ in"]
    rows: list[_Row] = [
        [
            str(r.first),
            str(r.second),
            _number(r.similarity, 3),
            str(r.kind),
            ", ".join(w for w in harm if getattr(r, w)) or "nothing",
        ]
        for r in ordered.itertuples()
    ]
    blocks.append(_listed(words.say("faces_copies", "table"), head, rows))
    if found.twins:
        labels = "; ".join(f"{_label(a.expression)} and {_label(b.expression)}" for a, b in found.twins)
        picture = raster(portraits.pairs(found.twins), words.say("faces_copies", "alt", labels=labels))
        blocks.append(words.plot("faces_copies", [picture], n=len(found.twins)))
    return Section("copies", "The same photograph twice", blocks)


def raters(found: Inspection) -> Section | None:
    """What further annotators say."""
    blocks = [block for agreement in found.agreements for block in _rater(agreement, len(found.faces))]
    return Section("annotators", "Do annotators agree?", blocks) if blocks else None


def _rater(agreement: Agreement, total: int) -> Iterator[Block]:
    unread = words.say("faces_raters", "unread", n=agreement.unread) if agreement.unread else ""
    facts: dict[str, Any] = {
        "n": agreement.n,
        "agreed": share(agreement.agreed),
        "unread": unread,
        **kappa(agreement),
    }
    yield words.text("faces_raters", "text" if np.isfinite(agreement.kappa) else "undefined", **facts)
    if agreement.n < total / 2:
        yield words.text("faces_raters", "few", tone="note", n=agreement.n, total=total)
    names = [spoken(str(e)) for e in agreement.table.index]
    picture = vector(portraits.counts_matrix(agreement.table), words.say("faces_raters", "alt", names=", ".join(names)))
    yield words.plot("faces_raters", [picture], column=agreement.column)
    rows: list[_Row] = [[name, *map(_count, row)] for name, row in zip(names, agreement.table.to_numpy(), strict=True)]
    yield Table(words.say("faces_raters", "table"), ["first \\ second", *names], rows, folded=True)


def means(found: Inspection) -> Section:
    """The mean face of each expression, its mask outlined."""
    order = [str(e) for e in found.means.coords["expression"].values]
    source = str(found.masks.name)
    if not order:
        return Section("means", "Mean faces and masks", [words.text("faces_means", "none")])
    held = found.in_mean()
    names = [spoken(e) for e in order]
    blocks: list[Block] = []
    few = [f"{spoken(e)} ({held[e]})" for e in order if held[e] < FEW]
    if few and not found.drawn:
        blocks.append(words.text("faces_means", "recognisable", tone="note", names=", ".join(few)))
    picture = raster(
        portraits.mean_faces(found.means, found.masks, held, found.frame.support),
        words.say("faces_means", "alt", names=", ".join(names)),
    )
    differs = words.say("faces_means", "differs") if portraits.differences(found.means) is not None else ""
    blocks.append(words.plot("faces_means", [picture], masks=source, differs=differs))
    bare = [spoken(e) for e in order if e not in found.masks.coords["expression"].values]
    if bare:
        blocks.append(words.text("faces_means", "unmasked", masks=source, names=", ".join(bare)))
    return Section("means", "Mean faces and masks", blocks)


def sheet(found: Inspection) -> Section | None:
    """A glance at the faces themselves."""
    if not found.sheet:
        return None
    alt = words.say("faces_sheet", "alt", n=len(found.sheet), labels=_tally([p.expression for p in found.sheet]))
    facts = {"n": len(found.sheet), "total": len(found.faces), "seed": found.seed}
    plot: Plot = words.plot("faces_sheet", [raster(portraits.contact_sheet(found.sheet), alt)], **facts)
    return Section("contact-sheet", "Contact sheet", [plot])


def left_out(found: Inspection) -> Section:
    """What was dropped when the data were opened, and the data set's own remarks."""
    reasons = Counter(d.reason for d in found.dropped)
    first = {d.reason: d.id for d in reversed(found.dropped)}
    rows: list[_Row] = [[why, _count(n), first[why]] for why, n in reasons.most_common()]
    blocks: list[Block] = [Items([("", note) for note in found.notes])] if found.notes else []
    if rows:
        blocks.append(_listed(words.say("faces_left_out", "table"), ["reason", "faces", "such as"], rows))
    else:
        blocks.append(words.text("faces_left_out", "none"))
    return Section("left-out", "What was left out, and why", blocks)


def limits(_: Inspection) -> Section:
    """What no number on this page can carry."""
    return Section("limits", "What this page cannot say", [words.items("faces_limits")])


def provenance(found: Inspection) -> Section:
    """Versions and digests."""
    rows = [
        ("xfer", xfer.__version__),
        ("landmarks", found.landmarker),
        ("frame", found.frame.name),
        ("frame digest", found.frame.digest),
        ("masks", str(found.masks.name)),
        ("masks digest", str(found.masks.attrs.get("digest", "none"))),
        ("seed of the contact sheet", str(found.seed)),
    ]
    table = Table(words.say("faces_provenance", "table"), ["", ""], [[k, Cell(v, style="code")] for k, v in rows])
    return Section("provenance", "Provenance", [words.text("faces_provenance"), table])


SECTIONS: tuple[Callable[[Inspection], Section | None], ...] = (
    summary, counts, means, sheet, copies, raters, lost, pictures, left_out, limits, provenance,
)  # fmt: skip
"""The page from top to bottom. A new section is one function here; one that returns None is left out."""


def _listed(title: str, head: Sequence[str], rows: Sequence[_Row]) -> Table:
    more = [[f"and {len(rows) - _MOST} more", *[""] * (len(head) - 1)]] if len(rows) > _MOST else []
    return Table(title, head, [*rows[:_MOST], *more])


def _label(expression: str) -> str:
    return spoken(expression) or "no label"


def _tally(expressions: Sequence[str]) -> str:
    return ", ".join(f"{_label(e)} {n}" for e, n in Counter(expressions).items())


def _many(n: int, what: str) -> str:
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def _count(n: Any) -> Cell:
    return Cell(f"{int(n):,}", style="number")


def _number(value: Any, digits: int = 1) -> Cell:
    return Cell(decimal(float(value), digits), style="number")
