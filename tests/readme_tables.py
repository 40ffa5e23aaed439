"""The README's tables, from the registries: ``python tests/readme_tables.py`` writes them where they have changed."""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import torch

from xfer import masks
from xfer.datasets import DATASETS
from xfer.explainers import EXPLAINERS
from xfer.metrics import METRICS
from xfer.models import MODELS, build, parameter_count

README = Path(__file__).parents[1] / "README.md"
COMMAND = "python tests/readme_tables.py"

_SHAPE = re.compile(r" \((?:face|heatmap)[^()]*\)")
_COUNT = re.compile(r": [\d,]+ parameters .*")


def networks() -> Iterator[str]:
    """Every network of ``xfer models list``."""
    rows = []
    for name, spec in MODELS.items():
        with torch.device("meta"):
            count = parameter_count(build(name, 6))
        start = "ImageNet" if spec.pretrained else "scratch"
        size = f"{spec.input_size} ({spec.min_input})"
        rows.append(
            [_code(name), _first(spec.function), _millions(count), size, start, " ".join(spec.tags), spec.reference]
        )
    yield from table(("network", "what it is", "parameters", "px (least)", "starts from", "tags", "source"), rows)


def explainers() -> Iterator[str]:
    """Every explainer of ``xfer explainers list``."""
    rows = [
        [_code(name), e.family, _first(e.function), "yes" if e.signed else "no", e.reference]
        for name, e in EXPLAINERS.items()
    ]
    yield from table(("explainer", "family", "what its map is", "signed", "source"), rows)


def metrics() -> Iterator[str]:
    """Every metric of ``xfer metrics list``."""
    rows = [
        [_code(name), _first(m.function), f"{m.worst:.3g} to {m.best:.3g}", m.chance, m.mask, m.reference]
        for name, m in METRICS.items()
    ]
    yield from table(("metric", "what it measures", "worst to best", "chance", "reads the mask as", "source"), rows)


def mask_sources() -> Iterator[str]:
    """Every mask source of ``xfer masks list``."""
    rows = [
        [_code(row["name"]), row["kind"], row["title"], str(row["expressions"]), str(row["action_units"]),
         " ".join(_code(name) for name in row["regions"].split()), row["reference"]]
        for row in masks.sources()
    ]  # fmt: skip
    heads = ("source", "kind", "what it says", "expressions", "Action Units", "drawn with regions", "reference")
    yield from table(heads, rows)


def data() -> Iterator[str]:
    """Every data set of ``xfer data list``."""
    rows = [[_code(row["name"]), row["layout"], row["licence"], row["reference"]] for row in DATASETS.table()]
    yield from table(("data set", "what lies there", "licence", "reference"), rows)


TABLES: dict[str, Callable[[], Iterator[str]]] = {
    "networks": networks, "explainers": explainers, "metrics": metrics, "masks": mask_sources, "data": data,
}  # fmt: skip
"""What stands between ``<!-- NAME -->`` and ``<!-- /NAME -->``."""


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    """A table in Markdown, its DOIs linked.

    >>> print(*table(("name", "source"), [["iou", "doi:10.1/x"]]), sep="\\n")
    | name | source |
    | --- | --- |
    | iou | [doi:10.1/x](https://doi.org/10.1/x) |
    """
    yield f"| {' | '.join(heads)} |"
    yield f"| {' | '.join('---' for _ in heads)} |"
    for row in rows:
        yield f"| {' | '.join(_cell(cell) for cell in row)} |"


def written(readme: str) -> str:
    """The README with its tables as the registries have them."""
    for name, rows in TABLES.items():
        opening, closing = f"<!-- {name} -->\n", f"<!-- /{name} -->"
        before, found, rest = readme.partition(opening)
        _, end, after = rest.partition(closing)
        if not found or not end:
            raise ValueError(f"README.md: the lines {opening.strip()} and {closing} are missing")
        readme = before + opening + "\n" + "\n".join(rows()) + "\n\n" + closing + after
    return readme


def _first(function: Callable[..., object]) -> str:
    """The first line of what its docstring says, without the shape of arrays."""
    line = (function.__doc__ or "").strip().splitlines()[0]
    return _COUNT.sub("", _SHAPE.sub("", line)).rstrip(".")


def _cell(text: str) -> str:
    text = re.sub(r"doi:(10\.[^\s,;()]+)", r"[doi:\1](https://doi.org/\1)", text)
    return text.replace("|", r"\|").replace("*", r"\*").replace("``", "`")


def _code(name: str) -> str:
    return f"`{name}`"


def _millions(count: int) -> str:
    return f"{count / 1e6:.1f} M" if count >= 1e6 else f"{count / 1e3:.0f} k"


if __name__ == "__main__":
    text = README.read_text(encoding="utf-8")
    README.write_text(written(text), encoding="utf-8")
