"""Six CAMs x seven classes on ResNet-50 against the library grad-cam; writes ``results/cams.md``.

Run: ``python tests/benchmarks/cams.py [--rounds N] [--seconds N] [--threads N]``. Needs grad-cam and torchvision.
On the CPU, and on CUDA where there is one. Peer, plain forward and xfer take turns in one process, so that a busy
machine slows all three. grad-cam stops early when its time is up and is then extrapolated from the methods x classes
it finished, which the table says.
"""

import argparse
import os
import platform
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

RESULTS = Path(__file__).parent / "results" / "cams.md"
PEERS = {
    "grad_cam": "GradCAM",
    "grad_cam_plus_plus": "GradCAMPlusPlus",
    "hires_cam": "HiResCAM",
    "xgrad_cam": "XGradCAM",
    "layer_cam": "LayerCAM",
    "element_wise_grad_cam": "GradCAMElementWise",
}
CLASSES, BATCH, SIZE, LAYER = 7, 8, 224, "layer4"
FLAT = 1e-3
"""Maps whose range is this share of their largest value are constant up to float32 rounding, and left out."""

HEAD = """# Six CAMs x seven classes: the shared pass against grad-cam

ResNet-50 (random weights), 224 px, batch 8, layer `layer4`, float32. {machine}, {cores} cores, threads used: {threads}, load {load:.1f},
{gpu}, torch {torch}, Python {python}. Medians of {rounds} rounds in which the plain forward and xfer take turns;
grad-cam {peer} once, in the middle of them. Other work on the machine stretches wall time, and with
several threads processor time too, since they wait for each other by spinning.
Asked: at least 100 times as fast, at most 1.15 plain forwards, at most 1e-5 off after grad-cam's normalisation (maps
that are nowhere positive, or constant up to rounding, are left out).

| device | time | plain forward (s) | xfer, all maps (s) | in plain forwards | grad-cam, all maps (s) | times as fast | of grad-cam measured | largest difference |
|---|---|---:|---:|---:|---:|---:|---:|---|"""  # noqa: E501


def conditions(rounds: int) -> dict[str, Any]:
    """What the table's head says of the machine."""
    return {
        "machine": platform.machine(),
        "threads": torch.get_num_threads(),
        "cores": os.cpu_count(),
        "load": os.getloadavg()[0],
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU",
        "torch": torch.__version__,
        "python": platform.python_version(),
        "peer": version("grad-cam"),
        "rounds": rounds,
    }


def seconds(work: Callable[[], Any]) -> tuple[np.ndarray, Any]:
    """Wall and processor time of one call, the device waited for."""
    start = np.array([time.perf_counter(), time.process_time()])
    result = work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return np.array([time.perf_counter(), time.process_time()]) - start, result


def network(device: str) -> tuple[nn.Module, torch.Tensor]:
    """ResNet-50 with random weights, and random images."""
    from torchvision.models import resnet50

    torch.manual_seed(0)
    model = resnet50(num_classes=CLASSES).eval().to(device)
    return model, torch.randn(BATCH, 3, SIZE, SIZE).to(device)


def peer_maps(
    model: nn.Module, images: torch.Tensor, limit: float
) -> tuple[np.ndarray, dict[tuple[str, int], np.ndarray]]:
    """Seconds of grad-cam for all maps, and those it finished within the limit."""
    import pytorch_grad_cam
    from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

    spent, maps = np.zeros(2), {}
    for target in range(CLASSES):
        for name, peer in PEERS.items():
            if spent[0] > limit:
                continue
            with getattr(pytorch_grad_cam, peer)(model=model, target_layers=[model.get_submodule(LAYER)]) as cam:
                took, maps[name, target] = seconds(
                    lambda cam=cam, target=target: cam(images, [ClassifierOutputTarget(target)] * len(images))
                )
            spent += took
    model.zero_grad(set_to_none=True)
    return spent / len(maps) * len(PEERS) * CLASSES, maps


def largest_difference(ours: dict[str, torch.Tensor], theirs: dict[tuple[str, int], np.ndarray]) -> tuple[float, int]:
    """The largest difference of normalised maps, and how many were compared."""
    from pytorch_grad_cam.utils.image import scale_cam_image

    worst, compared = 0.0, 0
    for (name, target), expected in theirs.items():
        raw = np.maximum(ours[name][:, target].cpu().numpy(), 0)
        varied = np.ptp(raw, axis=(1, 2)) > FLAT * raw.max((1, 2))
        found = scale_cam_image(scale_cam_image(raw, (SIZE, SIZE)))
        if varied.any():
            worst = max(worst, float(np.abs(found - expected)[varied].max()))
        compared += int(varied.sum())
    return worst, compared


def measure(device: str, rounds: int, limit: float) -> list[str]:
    """A device's lines of the table: wall and processor time."""
    from xfer.explainers import attribute

    model, images = network(device)

    def plain() -> torch.Tensor:
        with torch.no_grad():
            return model(images)

    def shared() -> dict[str, torch.Tensor]:
        return attribute(model, images, list(PEERS), layer=LAYER, batch_size=BATCH)

    seconds(plain), seconds(shared)
    forwards, passes = [], []
    for turn in range(rounds):
        if turn == rounds // 2:
            peer, theirs = peer_maps(model, images, limit)
        forwards.append(seconds(plain)[0])
        took, ours = seconds(shared)
        passes.append(took)
    worst, compared = largest_difference(ours, theirs)
    found = [
        f"| {device} | {clock} | {forward:.3f} | {mine:.3f} | {mine / forward:.2f} "
        f"| {theirs_took:.1f} | {theirs_took / mine:.0f} |"
        for clock, forward, mine, theirs_took in zip(
            ("wall", "processor"), np.median(forwards, 0), np.median(passes, 0), peer, strict=True
        )
    ]
    return [
        f"{line} {len(theirs)} of {len(PEERS) * CLASSES} | {worst:.1e} ({compared} of {len(theirs) * BATCH} maps) |"
        for line in found
    ]


def main() -> None:
    """Measure every device and write the table."""
    version("grad-cam")
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=240.0)
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    lines = [line for device in devices for line in measure(device, asked.rounds, asked.seconds)]
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("\n".join([HEAD.format(**conditions(asked.rounds)), *lines]) + "\n")
    print(RESULTS.read_text())


if __name__ == "__main__":
    main()
