"""What guided training costs beside plain training; writes ``results/guidance_cost.md``.

Run: ``python tests/benchmarks/guidance_cost.py [--rounds 5] [--batch 4] [--small]``. One thread. Maps: 64 faces at
224 px and on the grids of layers. Steps: forward, loss, backward and SGD of ResNet-50 at 224 px on one fixed batch;
plain and guided ones take turns, round after round, and the medians of wall and of processor time are compared.
Memory: the highest resident size of a process of its own that builds the network and makes two steps, less that before
(Linux).
"""

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import argparse  # noqa: E402
import platform  # noqa: E402
import statistics  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable, Sequence  # noqa: E402
from pathlib import Path  # noqa: E402

import torch  # noqa: E402
from torch import Tensor  # noqa: E402
from torch.nn.functional import cross_entropy  # noqa: E402

from xfer import geometry, models  # noqa: E402
from xfer.guidance import Guidance, Guide, Maps  # noqa: E402
from xfer.labels import BASIC  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "guidance_cost.md"
SIZE, FACES, MAP_ROUNDS = 224, 64, 9

STEPS: dict[str, Guide] = {
    "plain": Guide(control="none"),
    "au_cosine": Guide(),
    "au_region": Guide(loss="au_region"),
    "cam": Guide(loss="cam"),
    "harmonize": Guide(loss="harmonize"),
    "plain, stride 8": Guide(control="none", output_stride=8),
    "au_cosine, stride 8": Guide(output_stride=8),
}
"""Name to guide; each is compared with the plain step before it of the same stride, and of the network's own."""


def faces(count: int, size: int) -> Tensor:
    """Canonical faces on square images, each moved by a few px."""
    frame = geometry.load_frame("xfer")
    points = torch.tensor(frame.points[:68]) * (size / frame.height) + torch.tensor([size * 0.09, 0.0])
    moved = torch.randn(count, 1, 2, generator=torch.Generator().manual_seed(0)) * size / 60
    return (points + moved).float()


def maps_table() -> list[str]:
    """Milliseconds a batch of 64 faces, the least and the median of some rounds."""
    rows = ["| control | 224 x 224 (ms) | 28 x 28 (ms) | 14 x 14 (ms) |", "|---|---:|---:|---:|"]
    labels, landmarks = torch.arange(FACES) % len(BASIC), faces(FACES, SIZE)
    for control in ("au", "template", "shuffled", "random"):
        maps, cells = Maps(Guide(control=control), BASIC), []
        for grid in (SIZE, 28, 14):
            seconds = []
            for _ in range(MAP_ROUNDS):
                start = time.perf_counter()
                maps.maps(landmarks, labels, SIZE, grid, grid)
                seconds.append(time.perf_counter() - start)
            cells.append(f"{1000 * min(seconds):.1f} ({1000 * statistics.median(seconds):.1f})")
        rows.append(f"| {control} | {' | '.join(cells)} |")
    return rows


def step_of(name: str, batch: int, size: int) -> Callable[[], None]:
    """A training step of a fresh network under a guide."""
    guide = STEPS[name]
    model = models.build("resnet50", len(BASIC), size=size, output_stride=guide.output_stride)
    guidance = Guidance(model, guide, BASIC, size)
    optimiser = torch.optim.SGD(model.parameters(), 0.002, momentum=0.9)
    images = torch.rand(batch, 3, size, size, generator=torch.Generator().manual_seed(1))
    labels, landmarks = torch.arange(batch) % len(BASIC), faces(batch, size)

    def step() -> None:
        logits, terms = guidance(model, images, labels, landmarks)
        loss = cross_entropy(logits, labels)
        if guide.control != "none":
            loss = loss + guide.weight * terms.mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    return step


def times(names: Sequence[str], rounds: int, batch: int, size: int) -> dict[str, list[tuple[float, float]]]:
    """Wall and processor seconds of each step, in rounds in which all take turns."""
    steps = {name: step_of(name, batch, size) for name in names}
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for turn in range(rounds + 1):
        for name in names if turn % 2 else names[::-1]:
            start = time.perf_counter(), time.process_time()
            steps[name]()
            if turn:
                found[name].append((time.perf_counter() - start[0], time.process_time() - start[1]))
    return found


def memory(name: str, batch: int, size: int) -> float:
    """MiB that the network and two steps of it add at most to what the process held before."""
    before = resident("VmRSS")
    step = step_of(name, batch, size)
    step()
    step()
    return (resident("VmHWM") - before) / 1024


def resident(field: str) -> int:
    """KiB of a line of the process' status."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(field))


def memory_apart(name: str, batch: int, size: int) -> float:
    """The same in a process of its own."""
    line = [sys.executable, __file__, "--memory-of", name, "--batch", str(batch), "--size", str(size)]
    return float(subprocess.run(line, check=True, capture_output=True, text=True).stdout)


def steps_table(rounds: int, batch: int, size: int) -> list[str]:
    """One row a step."""
    own = [name for name, guide in STEPS.items() if not guide.output_stride]
    strided = [name for name in STEPS if name not in own]
    found = times(own, rounds, batch, size) | times(strided, max(2, rounds // 2), batch, size)
    held = {name: memory_apart(name, batch, size) for name in STEPS}
    rows = [
        "| step | wall (s) | processor (s) | wall, of plain | processor, of plain | memory (MiB) | of plain |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for names, plain in ((own, "plain"), (strided, "plain, stride 8")):
        for name in names:
            wall, processor = ([pair[i] for pair in found[name]] for i in (0, 1))
            ratios = [
                statistics.median(mine[i] / base[i] for mine, base in zip(found[name], found[plain], strict=True))
                for i in (0, 1)
            ]
            rows.append(
                f"| {name} | {statistics.median(wall):.2f} | {statistics.median(processor):.2f} | {ratios[0]:.3f} | "
                f"{ratios[1]:.3f} | {held[name]:.0f} | {held[name] / held[plain]:.3f} |"
            )
    stride = [statistics.median(pair[1] for pair in found[name]) for name in ("plain, stride 8", "plain")]
    rows.append("")
    rows.append(
        f"Output stride 8 alone: {stride[0] / stride[1]:.2f} times the processor time and "
        f"{held['plain, stride 8'] / held['plain']:.2f} times the memory of the plain step."
    )
    return rows


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--size", type=int, default=SIZE)
    parser.add_argument("--small", action="store_true", help="one round of two faces at 64 px; nothing is written")
    parser.add_argument("--memory-of", choices=list(STEPS), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.memory_of:
        print(memory(asked.memory_of, asked.batch, asked.size))
        return
    if asked.small:
        asked.rounds, asked.batch, asked.size = 1, 2, 64
    lines = [
        "# The cost of guiding",
        "",
        f"ResNet-50 at {asked.size} px, batches of {asked.batch}, one thread ({platform.machine()}, "
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}), no GPU, torch {torch.__version__}, Python "
        f"{platform.python_version()}. Medians of {asked.rounds} rounds in which the steps take turns "
        f"({max(2, asked.rounds // 2)} at stride 8); ratios are medians of those within a round. Memory is what the "
        "network and two steps add to a process of their own. Asked: `au_cosine` at most 1.05 of the plain step of "
        "equal stride in time and memory; maps of 64 faces at 224 px within 40 ms.",
        "",
        *steps_table(asked.rounds, asked.batch, asked.size),
        "",
        f"Maps of {FACES} faces of {SIZE} px, six expressions, `belharbi2024`: the least of {MAP_ROUNDS} rounds (and "
        "the median).",
        "",
        *maps_table(),
    ]
    text = "\n".join(lines) + "\n"
    print(text)
    if not asked.small:
        RESULTS.write_text(text)


if __name__ == "__main__":
    main()
