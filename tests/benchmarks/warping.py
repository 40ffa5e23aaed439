"""Speed, exactness and memory of warping beside scikit-image; writes ``results/warping.md``.

Run: ``python tests/benchmarks/warping.py``. The faces are the template with moved landmarks, the photographs
smooth. Scikit-image's piecewise affine transform triangulates the frame by itself; on the frame used here its
triangles are the frame's, so that both compute the same.
"""

import functools
import os
import platform
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import skimage
import torch
from skimage.transform import PiecewiseAffineTransform, warp

from xfer import geometry, warping
from xfer.geometry import CanonicalFrame

RESULTS = Path(__file__).parent / "results" / "warping.md"
FACES = 32


def delaunay_frame() -> CanonicalFrame:
    """The template as the published study's kind of frame, whose triangulation is plain Delaunay."""
    template = geometry.load_frame("xfer").points[:68]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "template.csv"
        rows = [f"{i + 1},{x},{y}" for i, (x, y) in enumerate(template)]
        file.write_text("\n".join(["point,x,y", *rows]))
        return geometry.load_frame(file)


def photographs(size: int, faces: int = FACES) -> tuple[torch.Tensor, torch.Tensor]:
    """Smooth images (faces, 3, size, size) in [0, 1] and landmarks (faces, 68, 2) on them, in px."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:size, :size] / size
    waves = np.stack([np.sin(3 * x + 2 * y), np.cos(4 * y - x), np.sin(3 * x * y + 1)])
    template = geometry.load_frame("xfer").points[:68]
    points = (template + rng.normal(0, 1, (faces, 68, 2))) * 0.6 * size / 224 + 0.15 * size
    images = torch.tensor((waves + 1) / 2, dtype=torch.float32).expand(faces, -1, -1, -1).contiguous()
    return images, torch.tensor(points, dtype=torch.float32)


def seconds(work: Callable[[], object], device: str, clock: Callable[[], float], repeats: int = 7) -> float:
    """The shortest of some runs after one to warm up."""
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    work()
    times = []
    for _ in range(repeats):
        wait()
        start = clock()
        work()
        wait()
        times.append(clock() - start)
    return min(times)


def scikit_image(image: torch.Tensor, points: torch.Tensor, frame: CanonicalFrame) -> np.ndarray:
    """One face by scikit-image: (height, width, 3)."""
    placed = warping.frame_points(points.double(), frame, tuple(image.shape[1:])).numpy()
    transform = PiecewiseAffineTransform.from_estimate(frame.points, placed)
    canvas = (frame.height, frame.width)
    return warp(image.permute(1, 2, 0).numpy(), transform, output_shape=canvas, order=1, mode="edge")


def speed() -> list[str]:
    """Rows of the table of speeds, scikit-image measured right before and after each of ours."""
    frame = delaunay_frame()
    devices = [("cpu", threads) for threads in (1, 2)] + [("cuda", 1)] * torch.cuda.is_available()
    rows = []
    for size in (224, 96):
        images, points = photographs(size)
        reference = functools.partial(scikit_image, images[0], points[0], frame)
        for device, threads in devices:
            torch.set_num_threads(threads)
            clock = time.process_time if (device, threads) == ("cpu", 1) else time.perf_counter
            name = torch.cuda.get_device_name() if device == "cuda" else f"CPU, {threads} thread{'s' * (threads > 1)}"
            for what, run in ours(images.to(device), points.to(device), size, frame):
                before = seconds(reference, "cpu", clock, 3)
                spent = seconds(run, device, clock) / FACES
                peer = min(before, seconds(reference, "cpu", clock, 3))
                rows.append(f"| {name} | {what} | {1 / spent:,.0f} | {1 / peer:.1f} | {peer / spent:,.0f} |")
    torch.set_num_threads(1)
    return rows


def ours(
    images: torch.Tensor, points: torch.Tensor, size: int, frame: CanonicalFrame
) -> list[tuple[str, Callable[[], object]]]:
    """What is timed, by description."""
    on_frame = warping.to_frame(images, points, frame, tolerance=1).values
    maps = torch.rand(FACES, 1, 7, 7, device=images.device)
    return [
        (f"{size} px, RGB, to the frame", lambda: warping.to_frame(images, points, frame, tolerance=1)),
        (
            f"7 x 7 map on {size} px, to the frame",
            lambda: warping.to_frame(maps, points, frame, size=(size, size), tolerance=1),
        ),
        (
            f"{size} px, RGB, from the frame",
            lambda: warping.from_frame(on_frame, points, (size, size), frame),
        ),
    ]


def exactness() -> list[str]:
    """Sentences on the difference from scikit-image and on the way there and back."""
    frame, shown = delaunay_frame(), geometry.load_frame("xfer")
    images, points = photographs(224, 4)
    warped = warping.to_frame(images, points, frame, tolerance=1).values
    reference = np.stack([scikit_image(*face, frame) for face in zip(images, points, strict=True)])
    difference = (warped - torch.tensor(reference).permute(0, 3, 1, 2)).abs()
    there = warping.to_frame(images, points, shown, tolerance=1).values
    returned = (warping.from_frame(there, points, (224, 224), shown) - images).abs()
    seen, back = (100 * (~error.isnan()).double().mean() for error in (difference, returned))
    return [
        "Greatest difference from scikit-image, of values in [0, 1]: "
        f"{difference.nan_to_num().max():.1e} over {seen:.1f} % of the canvas "
        "(the rest NaN, in turned-over triangles).",
        "There and back on the frame xfer, a smooth image changes by at most "
        f"{returned.nan_to_num().max():.1e} where it has a value ({back:.1f} % of its pixels).",
    ]


def memory() -> list[str]:
    """Rows of peak memory of this process after warping 7 x 7 maps of more and more faces, one sum kept."""
    frame = geometry.load_frame("xfer")
    _, points = photographs(224, 256)
    rows, total = [], torch.zeros(frame.height, frame.width)
    done = 0
    for faces in (1_000, 4_000):
        start = time.perf_counter()
        while done < faces:
            maps = torch.rand(256, 1, 7, 7, generator=torch.Generator().manual_seed(done))
            total += warping.to_frame(maps, points, frame, size=(224, 224)).values.nan_to_num().sum(dim=(0, 1))
            done += 256
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        rows.append(f"| {done:,} | {peak:,.0f} | {time.perf_counter() - start:.1f} |")
    return rows


def main() -> None:
    """Measure, write the page and print it."""
    torch.set_num_threads(1)
    sums = memory()
    lines = [
        "# Warping",
        "",
        f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}, "
        f"torch {torch.__version__}, scikit-image {skimage.__version__}. Batches of {FACES} faces, "
        f"canvas 275 x 224, float32; the shortest of several runs. Rows of one thread count processor "
        f"time, the others time on the wall (load average {os.getloadavg()[0]:.1f} at the start).",
        "",
        "| on | what | images/s | scikit-image, RGB to the frame, images/s | ratio |",
        "|---|---|---|---|---|",
        *speed(),
        "",
        *exactness(),
        "",
        "7 x 7 maps to the frame in batches of 256, summed:",
        "",
        "| faces so far | peak MB of the process | seconds since the row above |",
        "|---|---|---|",
        *sums,
    ]
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("\n".join(lines) + "\n")
    print(RESULTS.read_text())


if __name__ == "__main__":
    main()
