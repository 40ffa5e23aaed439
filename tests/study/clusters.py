"""Ray clusters on 127.0.0.1, and a small study that has every kind of unit: for tests and benchmarks."""

import json
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from xfer import datasets
from xfer.landmarkers.points import COLUMNS
from xfer.study import landmark_shards, parts

STUDY: dict[str, Any] = {
    "models": "songnet_bn,songnet",
    "folds": 2,
    "pretrained": "no",
    "metrics": "iou,pearson",
    "draws": 20,
    "randomised": 0,
    "min_faces": 1,
    "training": {"epochs": 1, "size": 64, "precision": "32"},
}
FACES, SHARD, PART = 72, 24, 16
"""Pictures in all, and in a shard of landmarks and a part of explaining: three and three a fold."""
QUICK = {"folds": 1, "metrics": "iou"}
QUICK_FACES, QUICK_TEST, QUICK_PART = 96, 18, 6
"""Of the same on one fold, pictures in all, those that test, and those of a part: three a network."""
HOME: dict[str, Any] = {"node_ip_address": "127.0.0.1", "include_dashboard": False}
HEAD: dict[str, Any] = {
    "no_monitor": True,
    "include_log_monitor": False,
    "_system_config": {"health_check_initial_delay_ms": 1000, "health_check_period_ms": 500},
}
"""Nothing that scales a cluster or copies logs; and a lost node is known after three seconds, not after fifteen."""


def add(cluster: Any, cores: int = 1, **options: Any) -> Any:
    """One more node; Ray gives up starting one after 30 s, which a busy machine may need."""
    before = {cluster.head_node, *cluster.worker_nodes}
    asked = {**HOME, **({} if cluster.head_node else HEAD), **options}
    with suppress(Exception):
        return cluster.add_node(num_cpus=cores, **asked)
    for late in {cluster.head_node, *cluster.worker_nodes} - before:
        cluster.remove_node(late, allow_graceful=False)
    return cluster.add_node(num_cpus=cores, **asked)


@contextmanager
def small(part: int = PART) -> Iterator[None]:
    """Shards and parts of few faces."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(landmark_shards, "FACES", SHARD)
        patch.setattr(parts, "FACES", part)
        yield


def study_of(place: Path, faces: int = FACES) -> dict[str, Any]:
    """What is asked of every engine: drawn faces, written to a folder, whose landmarks are looked up."""
    samples = datasets.open("synthetic", faces=faces, size=64).samples
    lines = ["file,expression,subject"]
    for i, sample in enumerate(samples):
        Image.fromarray(sample.load()).save(place / f"{i}.png")
        lines.append(f"{i}.png,{sample.expression},{sample.subject}")
    (place / "labels.csv").write_text("\n".join(lines))
    points = np.array([sample.landmarks for sample in samples], np.float32).reshape(faces, -1)
    table = pd.DataFrame(points, columns=list(COLUMNS))
    table.assign(file=[f"{i}.png" for i in range(faces)]).to_parquet(place / "points.parquet")
    return {**STUDY, "data": f"csv:{place / 'labels.csv'}", "landmarker": f"points:{place / 'points.parquet'}"}


def bytes_of(study: Path) -> dict[str, bytes]:
    """What must be the same."""
    tables = [study / name for name in ("scores.csv", "nulls.parquet", "comparisons.parquet")]
    files = [*tables, *(study / "shards").iterdir(), *(study / "heatmaps.zarr").rglob("*")]
    return {str(path.relative_to(study)): path.read_bytes() for path in files if path.is_file()}


def computed(study: Path) -> Counter[tuple[str, str, int | None]]:
    """How often each network was trained on a fold, each of its parts explained, and these merged."""
    lines = map(json.loads, (study / "units.jsonl").read_text().splitlines())
    return Counter((line["unit"], line["until"], line.get("part")) for line in lines)


def once(study: Path) -> bool:
    """Whether everything was computed, nothing of it twice, and nothing is left of what was merged."""
    found = computed(study)
    kinds = Counter(until for _, until, _ in found)
    assert kinds == {"weights": 2, "part": 2 * 3, "heatmaps": 2}
    return set(found.values()) == {1} and not (study / "partials").exists()


class Told:
    """A progress that remembers, and does something at the first stage of a kind."""

    def __init__(self, first: Callable[[str], None] = lambda stage: None, kind: str = " on ") -> None:
        self.steps: Counter[str] = Counter()
        self._first: Callable[[str], None] | None = first
        self._kind = kind

    def __call__(self, stage: str, steps: int) -> Callable[[], None]:
        act, on = self._first, self._kind in stage
        if act and on:
            self._first = None
            act(stage)
        return lambda: self.steps.update([stage.partition(" on ")[0]])


def wait(done: Callable[[], bool], seconds: float = 300) -> None:
    """Until something is done."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end
        time.sleep(0.2)
