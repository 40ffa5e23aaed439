"""What a reader of a data set's page should act on, gravest first."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from xfer.inspection import Agreement, Inspection
from xfer.report import words
from xfer.report.canvas import decimal, spoken

FEW, SMALL, TURNED = 30, 40.0, 30.0
"""Faces of an expression, px between the eyes and degrees of yaw or pitch that deserve a remark."""


def findings(found: Inspection) -> list[tuple[str, str]]:
    """What a reader should act on, the gravest first: a lead and its sentence each."""
    rows = [_say(name, **values) for name, values in _findings(found)]
    return rows or [_say("none")]


def _say(name: str, **values: object) -> tuple[str, str]:
    lead, text = words.entries()["faces_findings"][name]
    return lead.format(**values), text.format(**values)


def _findings(found: Inspection) -> Iterator[tuple[str, dict[str, object]]]:
    copies, faces = found.copies, found.faces
    shared = found.shared_subjects()
    if n := int(copies["splits"].sum()):
        yield "leak", {"n": n}
    if shared:
        yield "people", {"n": len(shared), "names": ", ".join(list(shared)[:3])}
    if n := int((copies["subjects"] & ~copies["splits"]).sum()):
        yield "names", {"n": n}
    if n := int(copies["expressions"].sum()):
        yield "contradiction", {"n": n}
    if n := int((~copies[["splits", "subjects", "expressions"]].any(axis=1)).sum()):
        yield "copies", {"n": n}
    for agreement in found.agreements:
        if np.isfinite(agreement.kappa):
            yield "raters", {"n": agreement.n, "total": len(faces), "column": agreement.column, **kappa(agreement)}
    if len(faces) > 1 and faces["subject"].nunique() == len(faces) and (faces["subject"] == faces["id"]).all():
        yield "subjects", {}
    yield from _class_findings(found)
    yield from _picture_findings(faces)


def _class_findings(found: Inspection) -> Iterator[tuple[str, dict[str, object]]]:
    counts = found.counts()["faces"].drop("", errors="ignore")
    few = [f"{spoken(str(e))} {n}" for e, n in counts.items() if n < FEW]
    if few:
        yield "small", {"names": ", ".join(few), "limit": FEW}
    if len(counts) > 1 and (ratio := counts.max() / counts.min()) >= 3:
        most, least = spoken(str(counts.idxmax())), spoken(str(counts.idxmin()))
        yield "uneven", {"most": most, "least": least, "ratio": f"{ratio:.1f}"}


def _picture_findings(faces: pd.DataFrame) -> Iterator[tuple[str, dict[str, object]]]:
    lost = int((faces["reason"] != "").sum())
    if lost:
        yield "lost", {"n": lost, "total": len(faces), "share": share(lost / len(faces))}
    turned = float((faces[["yaw", "pitch"]].abs() > TURNED).any(axis=1).mean())
    if turned >= 0.01:
        yield "turned", {"share": share(turned)}
    tiny = float((faces["inter_ocular"] < SMALL).mean())
    if tiny >= 0.01:
        yield "tiny", {"share": share(tiny), "limit": f"{SMALL:.0f}"}
    if several := int(faces["several"].sum()):
        yield "several", {"n": several}


def kappa(agreement: Agreement) -> dict[str, str]:
    """Cohen's kappa and the ends of its interval, in words."""
    return {name: decimal(getattr(agreement, name), 2) for name in ("kappa", "low", "high")}


def share(value: float) -> str:
    """A share in [0, 1] as a percentage, with a digit where it is small."""
    return f"{value:.1%}" if value < 0.1 else f"{value:.0%}"
