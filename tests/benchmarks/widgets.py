"""How long a widget takes from a moved control to a new picture, on a study of 12 networks x 6 expressions.

python tests/benchmarks/widgets.py [MAPS_FOLDER] writes results/widgets.md. MAPS_FOLDER holds 72 heatmaps named
``{model}_{expression}_heatmap.png`` (those of the published study); without it random smooth ones of the same size are
made. Every control is moved several times; the median and the longest are told, of the wall clock and of the processor.
"""

import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from scipy.ndimage import gaussian_filter

import xfer
from xfer import geometry
from xfer.labels import BASIC
from xfer.report import widgets

RESULTS = Path(__file__).parent / "results" / "widgets.md"
PATTERN = "{model}_{expression}_heatmap.npy"
LIMIT = 200


def maps(folder: Path) -> Path:
    """Smooth random maps of 12 networks and 6 expressions on the canonical frame."""
    draw, frame = np.random.default_rng(1), geometry.load_frame()
    folder.mkdir()
    for network in range(12):
        for expression in BASIC:
            heatmap = gaussian_filter(draw.random((frame.height, frame.width)), 20)
            np.save(folder / f"net{network:02d}_{expression}_heatmap.npy", (heatmap - heatmap.min()).astype(np.float32))
    return folder


def moves(study: Any, faces: Any) -> Iterator[tuple[str, str, Callable[[Any], None], list[Any]]]:
    """Widget, control, what moves it, and where to."""
    explorer: Any = widgets.heatmap_explorer(study)
    models = [value for _, value in explorer.choices["model"].options]
    expressions = [value for _, value in explorer.choices["expression"].options]
    yield "heatmap explorer", "threshold", lambda v: setattr(explorer.threshold, "value", v), [0.2, 0.3, 0.5, 0.7, 0.8]
    yield "heatmap explorer", "network", lambda v: setattr(explorer.choices["model"], "value", v), models[1:6]
    yield (
        "heatmap explorer",
        "expression",
        lambda v: setattr(explorer.choices["expression"], "value", v),
        expressions[1:],
    )
    yield "heatmap explorer", "overlay strength", lambda v: setattr(explorer.strength, "value", v), [0.1, 0.3, 0.6, 0.9]
    units: Any = widgets.action_unit_explorer()
    yield (
        "AU explorer",
        "Action Unit on",
        lambda v: setattr(units.units[v], "value", True),
        ["AU1", "AU2", "AU4", "AU9"],
    )
    yield "AU explorer", "intensity", lambda v: setattr(units.intensities["AU12"], "value", v), [0.2, 0.4, 0.6, 0.8]
    yield "AU explorer", "regions", lambda v: setattr(units.regions, "value", v), ["mesh", "jaanet", "xfer"]
    tree: Any = widgets.dendrogram_explorer(study)
    yield "dendrogram explorer", "cut", lambda v: setattr(tree.cut, "value", v), [3, 4, 5, 6]
    yield "dendrogram explorer", "expressions", lambda v: setattr(tree.expressions, "value", v), [
        (expressions[1],), tuple(expressions[:3]), tuple(expressions)]  # fmt: skip
    yield (
        "dendrogram explorer",
        "linkage",
        lambda v: setattr(tree.linkage, "value", v),
        ["complete", "single", "average"],
    )
    yield (
        "dendrogram explorer",
        "metric",
        lambda v: setattr(tree.likeness, "value", v),
        ["cosine", "spearman", "pearson"],
    )
    browser: Any = widgets.face_browser(faces)
    yield (
        "face browser",
        "page",
        lambda v: setattr(browser.page, "value", v),
        list(range(2, min(6, browser.page.max + 1))),
    )
    yield "face browser", "overlay strength", lambda v: setattr(browser.strength, "value", v), [0.1, 0.3, 0.6, 0.9]
    yield "face browser", "landmarks", lambda v: setattr(browser.landmarks, "value", v), [True, False, True]
    view: Any = widgets.training_view(faces.folder)
    yield "training view", "refresh", lambda v: view.refresh.click(), [1, 2, 3]


def measured(move: Callable[[Any], None], values: list[Any]) -> tuple[list[float], list[float]]:
    """Milliseconds of the wall clock and of the processor."""
    wall, processor = [], []
    for value in values:
        started, worked = time.perf_counter(), time.process_time()
        move(value)
        wall.append(1000 * (time.perf_counter() - started))
        processor.append(1000 * (time.process_time() - worked))
    return wall, processor


def main() -> None:
    """Make two studies, move every control, write the table."""
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch)
        given = len(sys.argv) > 1
        folder = Path(sys.argv[1]) if given else maps(home / "maps")
        pattern = PATTERN.replace("npy", "png") if given else PATTERN
        study = xfer.compare(heatmaps=folder, pattern=pattern, draws=0, metrics="iou", out=home / "study")
        faces = xfer.compare(
            "songnet_bn", drawn=240, training={"epochs": 1}, pretrained="no", draws=0, metrics="iou", per_face=True,
            out=home / "faces",
        )  # fmt: skip
        rows = []
        for widget, control, move, values in moves(study, faces):
            wall, processor = measured(move, values)
            told = (median(wall), max(wall), median(processor), max(processor))
            rows.append(f"| {widget} | {control} | " + " | ".join(f"{value:.0f}" for value in told) + " |")
            print(rows[-1], flush=True)
    source = "the published study's" if given else "random"
    head = [
        "# Widgets: from a moved control to a new picture", "",
        f"12 networks x 6 expressions ({source} heatmaps, 275 x 224 px); faces: one network, 8 drawn faces a page. "
        f"Milliseconds, on one thread; the aim is under {LIMIT}. While it was measured {os.getloadavg()[0]:.0f} "
        f"processes wanted one of {os.cpu_count()} cores: where these are more, the clock on the wall waits for the "
        "others, and the processor's time is what the widget takes. The longest may hold one run of Python's garbage "
        f"collector, some 0.3 s where torch is loaded. Python {platform.python_version()}.", "",
        "| widget | control | median | longest | processor, median | processor, longest |", "|---|---|---|---|---|---|",
    ]  # fmt: skip
    RESULTS.write_text("\n".join([*head, *rows, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
