"""Speed of drawing soft Action Unit maps; writes ``results/rasteriser.md``.

Run: ``python tests/benchmarks/rasteriser.py``. One map is one face x one Action Unit (the union of its shapes) at
224 x 224, on one core, numpy and torch. The peers, measured in the same run on the same shapes: the same soft
maps by plain numpy over the whole canvas, and hard-edged ones by scikit-image.
"""

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import platform  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402
from importlib.metadata import version  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
import skimage.draw  # noqa: E402
import torch  # noqa: E402

from xfer import geometry  # noqa: E402
from xfer.masks import regions  # noqa: E402
from xfer.rasteriser import coverage, draw  # noqa: E402
from xfer.rasteriser.faces import Faces  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "rasteriser.md"
SIZE, FACES, PEER_FACES, ROUNDS, FLOOR = 224, 64, 4, 5, 2000


def faces(points: int, count: int) -> np.ndarray:
    """Canonical faces on a 224 px canvas, each moved by a few px."""
    frame = geometry.load_frame("xfer")
    base = {68: frame.points[:68], 89: frame.points, 468: frame.mesh}[points]
    assert base is not None
    rng = np.random.default_rng(0)
    return base * (SIZE / 275) + [20, 0] + rng.normal(0, 4, (count, 1, 2)) + rng.normal(0, 1, (count, points, 2))


def best(action: Callable[[], object]) -> float:
    """The least seconds of some rounds, after one to warm up."""
    action()
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        action()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def whole_canvas(source: regions.Regions, points: np.ndarray) -> None:
    """The same soft maps: every pixel against every shape, face by face."""
    y, x = np.arange(SIZE, dtype=np.float32)[:, None], np.arange(SIZE, dtype=np.float32)
    placed = Faces(points, source.drawing.unit, source.drawing.axes)
    for region in source.action_units.values():
        shapes = [placed.placed(shape, source.drawing.softness) for shape in region.shapes]
        for i in range(len(points)):
            canvas = np.zeros((SIZE, SIZE), np.float32)
            for shape in shapes:
                px, py = x - np.float32(shape.origin[i, 0]), y - np.float32(shape.origin[i, 1])
                canvas = np.maximum(canvas, shape.cover(np, px, py, *shape.numbers[i].tolist()))


def scikit_image(source: regions.Regions, points: np.ndarray) -> None:
    """Hard maps of the same outlines; a diamond becomes its square."""
    placed = Faces(points, source.drawing.unit, source.drawing.axes)
    for region in source.action_units.values():
        shapes = [placed.placed(shape, 0.0) for shape in region.shapes]
        for i in range(len(points)):
            canvas = np.zeros((SIZE, SIZE), np.float32)
            for shape in shapes:
                canvas[_pixels(shape, i)] = 1


def _pixels(shape: object, i: int) -> tuple[np.ndarray, np.ndarray]:
    column, row = shape.origin[i]
    numbers = shape.numbers[i]
    if shape.cover is coverage.ellipse:
        turn = -np.arctan2(numbers[2], numbers[1])
        return skimage.draw.ellipse(row, column, numbers[4], numbers[3], (SIZE, SIZE), rotation=turn)
    if shape.cover is coverage.diamond:
        corners = numbers[3] * np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]])
    else:
        corners = numbers[1:].reshape(-1, 2)
    return skimage.draw.polygon(row + corners[:, 1], column + corners[:, 0], (SIZE, SIZE))


def measure(name: str) -> dict[str, float]:
    """Maps a second of one source by each way."""
    source = regions.load(name)
    points = faces(source.drawing.points, FACES)
    options = {"height": SIZE, "width": SIZE, "unit": source.drawing.unit, "axes": source.drawing.axes}

    def ours(landmarks: object) -> None:
        for region in source.action_units.values():
            draw(region.shapes, landmarks, softness=source.drawing.softness, **options)

    units = len(source.action_units)
    few = points[:PEER_FACES]
    return {
        "units": units,
        "numpy": FACES * units / best(lambda: ours(points)),
        "torch": FACES * units / best(lambda: ours(torch.tensor(points))),
        "one face": units / best(lambda: ours(points[:1])),
        "whole canvas": PEER_FACES * units / best(lambda: whole_canvas(source, few)),
        "scikit-image": PEER_FACES * units / best(lambda: scikit_image(source, few)),
    }


def main() -> None:
    """Measure every region source and write the table."""
    torch.set_num_threads(1)
    lines = [
        "# Drawing Action Unit maps",
        "",
        f"Maps a second at {SIZE} x {SIZE}, one thread (the machine has {os.cpu_count()} cores), batches of {FACES} "
        f"faces, best of {ROUNDS} rounds; at least {FLOOR:,} are asked for. `whole canvas`: the same soft maps by "
        "plain numpy, every pixel against every shape. `scikit-image`: hard-edged maps of the same outlines. In "
        "brackets: how many times as fast our numpy maps are.",
        "",
        f"Python {platform.python_version()}, numpy {np.__version__}, torch {torch.__version__.split('+')[0]}, "
        f"scikit-image {version('scikit-image')}.",
        "",
        "| source | units | numpy | torch | numpy, one face at a time | whole canvas | scikit-image (hard) |",
        "|---|---|---|---|---|---|---|",
    ]
    slow = []
    for name in regions.names():
        found = measure(name)
        cells = [f"{found[key]:,.0f}" for key in ("numpy", "torch", "one face")]
        cells += [f"{found[key]:,.0f} ({found['numpy'] / found[key]:.1f}x)" for key in ("whole canvas", "scikit-image")]
        lines.append(f"| {name} | {found['units']} | " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)
        slow += [name] if min(found["numpy"], found["torch"]) < FLOOR else []
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("\n".join([*lines, ""]))
    if slow:
        raise SystemExit(f"below {FLOOR:,} maps a second: {', '.join(slow)}")


if __name__ == "__main__":
    main()
