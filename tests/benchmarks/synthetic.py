"""Speed and difficulty of the drawn faces; writes ``results/synthetic.md``.

Run: ``OMP_NUM_THREADS=1 python tests/benchmarks/synthetic.py``. Needs scikit-learn and torch.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import platform
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import nn

from xfer.datasets.synthetic import draw, faces
from xfer.labels import BASIC

RESULTS = Path(__file__).parent / "results" / "synthetic.md"
TRAIN, VALIDATION, TEST, SIZE, EPOCHS = 3000, 600, 1000, 48, 10
STRENGTHS = (1e-3, 1e-2, 1e-1, 1.0)


def speed() -> list[str]:
    """Faces a second on one core, the best of five runs, in processor and wall time."""
    lines = ["| side (px) | faces a second, wall | faces a second, processor |", "|---|---|---|"]
    for size, n in ((48, 200), (96, 200), (224, 60)):
        sample = faces(n, seed=1)
        wall, processor = [], []
        for _ in range(5):
            start = time.perf_counter(), time.process_time()
            for face in sample:
                draw(face, size)
            wall.append(time.perf_counter() - start[0])
            processor.append(time.process_time() - start[1])
        lines.append(f"| {size} | {n / min(wall):.0f} | {n / min(processor):.0f} |")
    return lines


def pictures(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures and labels; subjects of the first, the next and the last faces are disjoint."""
    sample = faces(TRAIN + TEST, seed)
    assert not {f.subject for f in sample[:TRAIN]} & {f.subject for f in sample[TRAIN:]}
    drawn = np.stack([draw(face, SIZE) for face in sample])
    return drawn, np.array([BASIC.index(face.expression) for face in sample])


def linear(drawn: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Test accuracy of a logistic regression on 24 x 24 grey pixels, and its C chosen on validation subjects."""
    step = SIZE // 24
    grey = drawn.astype(np.float32).mean(-1).reshape(-1, 24, step, 24, step).mean((2, 4)).reshape(len(drawn), -1)
    fitted, held = slice(0, TRAIN - VALIDATION), slice(TRAIN - VALIDATION, TRAIN)

    def fit(part: slice, strength: float) -> object:
        model = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=1000, tol=1e-3))
        return model.fit(grey[part], labels[part])

    best = max(STRENGTHS, key=lambda strength: fit(fitted, strength).score(grey[held], labels[held]))
    return fit(slice(0, TRAIN), best).score(grey[TRAIN:], labels[TRAIN:]), best


def small_network() -> nn.Module:
    """Seven convolutions, 0.4 million weights."""

    def block(inputs: int, outputs: int) -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU())

    layers = [block(3, 24), block(24, 24), nn.MaxPool2d(2), block(24, 48), block(48, 48), nn.MaxPool2d(2)]
    layers += [block(48, 96), block(96, 96), nn.MaxPool2d(2), block(96, 128), nn.AdaptiveAvgPool2d(3), nn.Flatten()]
    return nn.Sequential(*layers, nn.Dropout(0.3), nn.Linear(128 * 9, len(BASIC)))


def convolutional(drawn: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Test accuracy of the small network after the last epoch, and its seconds of training on one core."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    inputs = torch.tensor(drawn).permute(0, 3, 1, 2).float().div(255).sub(0.5)
    inputs, targets = inputs.contiguous(memory_format=torch.channels_last), torch.tensor(labels)
    network = small_network().to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(network.parameters(), 3e-3, weight_decay=0.02)
    steps = EPOCHS * -(-TRAIN // 32)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=steps)
    start = time.perf_counter()
    for _ in range(EPOCHS):
        for rows in torch.randperm(TRAIN).split(32):
            batch = inputs[rows].flip(-1) if torch.rand(()) < 0.5 else inputs[rows]
            loss = nn.functional.cross_entropy(network(batch), targets[rows], label_smoothing=0.05)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    seconds = time.perf_counter() - start
    network.eval()
    with torch.no_grad():
        chosen = torch.cat([network(part) for part in inputs[TRAIN:].split(200)]).argmax(1)
    return float((chosen == targets[TRAIN:]).float().mean()), seconds


def main() -> None:
    where = f"{platform.machine()}, Python {platform.python_version()}, numpy {version('numpy')}"
    lines = ["# Drawn faces: speed and difficulty", ""]
    lines += [f"{where}, one thread, on a machine that others used at the same time.", "", *speed(), ""]
    lines += [f"Six expressions (chance 0.17), {TRAIN} faces to train, {TEST} of other subjects to test.", ""]
    lines += [f"| seed | linear, 24 x 24 grey | C | small CNN, {SIZE} px, {EPOCHS} epochs | its training (s) |"]
    lines += ["|---|---|---|---|---|"]
    for seed in (0, 1):
        drawn, labels = pictures(seed)
        accuracy, strength = linear(drawn, labels)
        network, seconds = convolutional(drawn, labels)
        lines.append(f"| {seed} | {accuracy:.3f} | {strength:g} | {network:.3f} | {seconds:.0f} |")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
