"""The page: a study's sections -> one offline HTML file as text. Writing it is `xfer.study`'s part."""

import base64
import dataclasses
import hashlib
import re
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files
from itertools import count

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

import xfer
from xfer.errors import InputError
from xfer.report import (
    agreement,
    chance,
    controls,
    differences,
    families,
    methods,
    nulls,
    outcomes,
    people,
    rankings,
    recognition,
    record,
    supports,
    twins,
    variance,
)
from xfer.report.blocks import Plot, Section, Table
from xfer.study import Study
from xfer.study.twin_study import as_twins

_DOI = re.compile(r"\b(?:doi:|https://doi\.org/)(10\.\d{4,9}/[^\s,;]*[^\s,;.)])")

_COMPARED = ("heatmaps", "models")
"""Kinds of studies that can be set against each other."""

_SCRIPTS = ("elements.js", "theme.js", "tables.js", "charts.js", "maps.js", "cell.js", "heatmaps.js", "trees.js")


def sections(study: Study, faces: str = "mean") -> list[Section]:
    """The page from top to bottom. A new section is one function here; one that returns None is left out.

    Parameters
    ----------
    study : Study
    faces : {"mean", "none", "all"}
        See `people.FACES`.

    Raises
    ------
    InputError
        If `faces` is another word.
    """
    face = people.mean_face(study, faces)
    made = (
        agreement.headline(study),
        people.reminder(study, faces),
        recognition.warnings(study),
        agreement.how_to_read(study),
        recognition.recognition(study),
        recognition.curves(study),
        agreement.masks(study),
        agreement.heatmaps(study, face, faces),
        agreement.scores(study),
        chance.headline(study),
        chance.cells(study),
        nulls.nulls(study),
        rankings.comparisons(study),
        variance.variance(study),
        outcomes.outcomes(study, face),
        outcomes.explainers(study, face),
        controls.further_metrics(study),
        controls.specificity(study),
        controls.sources(study),
        controls.pooling(study),
        families.networks(study),
        supports.supports(study),
        families.tags(study),
        families.expressions(study),
        record.left_out(study),
        record.limits(study),
        methods.section(study),
        record.provenance(study),
    )
    return [section for section in made if section is not None]


def build(study: Study, faces: str = "mean") -> str:
    """The whole page of a study: figures, style and words in one file that asks nothing of any network.

    Parameters
    ----------
    study : Study
    faces : {"mean", "none", "all"}
        Whose pictures the page may show: the mean face beneath the heatmaps, nobody's, or single people's too, where
        the study kept them.

    Returns
    -------
    str
        HTML with a Content-Security-Policy that forbids every load but inlined images and every script but its own.

    Raises
    ------
    InputError
        If `faces` is another word.
    """
    if (twin := as_twins(study)) is not None:
        return render("xfer guide", study.name, twins.sections(twin, faces))
    return render("xfer report", study.name, sections(study, faces))


def build_differences(first: Study, second: Study) -> str:
    """The page that sets a study against another.

    Parameters
    ----------
    first, second : Study

    Returns
    -------
    str
        As `build`.

    Raises
    ------
    InputError
        If one of them is of another kind than `xfer.compare` makes.
    """
    for study in (first, second):
        if study.config["kind"] not in _COMPARED:
            raise InputError(
                f"{study.place}: is of kind {study.config['kind']!r}; --diff is for studies of 'xfer compare'; "
                "what twins differ by stands in their own page and with --tables"
            )
    name = f"{first.name} against {second.name}"
    return render("xfer report --diff", name, differences.sections(first, second))


def render(kind: str, name: str, parts: Sequence[Section]) -> str:
    """A page of any sections.

    Parameters
    ----------
    kind : str
        What the page is, such as "xfer report".
    name : str
        What it is about: its heading.
    parts : sequence of Section

    Returns
    -------
    str
        As `build`.
    """
    style, script = _style(), _script()
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            kind=kind,
            name=name,
            sections=_numbered(parts),
            style=Markup(style),
            script=Markup(script),
            policy=policy(style, script),
            version=xfer.__version__,
        )
    )


def policy(style: str, script: str) -> str:
    """The Content-Security-Policy of a page whose only style is `style` and whose only script is `script`."""
    return (
        f"default-src 'none'; img-src data:; style-src '{_digest(style)}'; script-src '{_digest(script)}'; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode("ascii")


def linked(text: str) -> Markup:
    """Text, escaped, in which a DOI is a link.

    >>> str(linked("<b> doi:10.1000/x1."))
    '&lt;b&gt; <a href="https://doi.org/10.1000/x1" rel="noreferrer">doi:10.1000/x1</a>.'
    """
    parts, end = [], 0
    for found in _DOI.finditer(text):
        link = Markup('<a href="https://doi.org/{0}" rel="noreferrer">doi:{0}</a>').format(found[1])
        parts += [escape(text[end : found.start()]), link]
        end = found.end()
    return Markup("").join([*parts, escape(text[end:])])


def _numbered(parts: Iterable[Section]) -> list[Section]:
    """The sections with their figures and tables counted through the page."""
    plots, tables = count(1), count(1)
    made = []
    for section in parts:
        blocks = []
        for block in section.blocks:
            if isinstance(block, Plot):
                block = dataclasses.replace(block, number=next(plots))
            elif isinstance(block, Table):
                block = dataclasses.replace(block, number=next(tables))
            blocks.append(block)
        made.append(dataclasses.replace(section, blocks=blocks))
    return made


@cache
def _environment() -> Environment:
    loader = PackageLoader("xfer.report")
    environment = Environment(
        loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["linked"] = linked
    return environment


def _style() -> str:
    return _template("style.css") + _template("live.css")


def _script() -> str:
    """The page's scripts, one after another, in a scope of their own."""
    return "(() => {\n'use strict';\n" + "".join(map(_template, _SCRIPTS)) + "})();\n"


def _template(name: str) -> str:
    text = files("xfer.report").joinpath("templates", name).read_text(encoding="utf-8")
    return text.replace("\r\n", "\n")
