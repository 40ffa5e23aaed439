"""CAMs x seven classes on four networks against the library grad-cam; writes ``results/cams.md``.

Run: ``python tests/benchmarks/cams.py [--networks NAME,..] [--rounds N] [--seconds N] [--threads N] [--batch N]
[--device cpu|cuda]``. Needs grad-cam, timm and torchvision. Networks measured before stay in the table, so that it can
be run in parts. Peer, plain forward and xfer take turns in one process, so that a busy machine slows all three.
grad-cam stops early when its time is up and is then extrapolated from the methods x classes it finished, which the
table says.
"""

import argparse
import json
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

from xfer.explainers import attribute
from xfer.models.layers import Layer, heatmap_layer

RESULTS = Path(__file__).parent / "results" / "cams.md"
SIX = {
    "grad_cam": "GradCAM",
    "grad_cam_plus_plus": "GradCAMPlusPlus",
    "hires_cam": "HiResCAM",
    "xgrad_cam": "XGradCAM",
    "layer_cam": "LayerCAM",
    "element_wise_grad_cam": "GradCAMElementWise",
}
FURTHER = {
    "eigen_cam": "EigenCAM",
    "eigen_grad_cam": "EigenGradCAM",
    "kpca_cam": "KPCA_CAM",
    "shapley_cam": "ShapleyCAM",
    "finer_cam": "FinerCAM",
}
EIGEN = ("eigen_cam", "eigen_grad_cam", "kpca_cam")
TWELVE = [*SIX, *FURTHER, "cam"]
ASKED = {
    "resnet50": (100, 1.25, 2.0),
    "convnext_tiny": (100, 1.25, 2.0),
    "vit_small_patch16_224": (50, 2.2, 3.5),
    "swin_tiny_patch4_window7_224": (50, 2.2, 3.5),
}
"""Times as fast as grad-cam, plain forwards of the six, plain forwards of the twelve."""
CLASSES, SIZE = 7, 224
FLAT = 1e-3
"""Maps whose range is this share of their largest value are constant up to float32 rounding, and left out."""

HEAD = """# CAMs x seven classes: the shared pass against grad-cam

Random weights, 224 px, float32, at the heatmap layer of `xfer.models.layers`. Six methods: {six}. Twelve: those and
{twelve}; plain CAM where the head allows. Medians of rounds in which the plain forward and xfer take turns; grad-cam
once, in the middle of them, its six methods x seven classes, one call each. Other work on the machine stretches wall
time; with several threads processor time too, since they wait for each other by spinning. Differences after
grad-cam's normalisation, eigen methods up to sign; maps that are nowhere positive, or constant up to rounding, and
Finer-CAM where the nearest class has a probability under 1e-4, are left out. grad-cam has no Shapley-CAM for tokens.
Asked (times as fast, six and twelve in plain forwards): ResNet-50 and ConvNeXt-T 100, 1.25, 2; ViT-S and Swin-T 50, 2.2,
3.5; differences at most 1e-5.

| network | layer | run | time | plain forward (s) | six (s) | six in plain forwards | twelve in plain forwards | grad-cam, six (s) | times as fast | of grad-cam measured | largest difference |
|---|---|---|---|---:|---:|---:|---:|---:|---:|---:|---|"""  # noqa: E501


def run_facts(batch: int, rounds: int, device: str) -> str:
    """What a line of the table says of its run."""
    where = torch.cuda.get_device_name() if device == "cuda" else f"{platform.machine()}, {os.cpu_count()} cores"
    return (
        f"{where}, {torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}, batch {batch}, {rounds} rounds, "
        f"torch {torch.__version__}, timm {version('timm')}, grad-cam {version('grad-cam')}"
    )


def seconds(work: Callable[[], Any]) -> tuple[np.ndarray, Any]:
    """Wall and processor time of one call, the device waited for."""
    start = np.array([time.perf_counter(), time.process_time()])
    result = work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return np.array([time.perf_counter(), time.process_time()]) - start, result


def network(name: str, device: str, batch: int) -> tuple[nn.Module, torch.Tensor]:
    """A network with random weights, and random images."""
    import timm
    from torchvision.models import resnet50

    torch.manual_seed(0)
    model = resnet50(num_classes=CLASSES) if name == "resnet50" else timm.create_model(name, num_classes=CLASSES)
    return model.eval().to(device), torch.randn(batch, 3, SIZE, SIZE).to(device)


class Peer:
    """grad-cam at one layer of a network."""

    def __init__(self, model: nn.Module, images: torch.Tensor, layer: Layer) -> None:
        self.model, self.images, self.layer = model, images, layer

    def maps(self, name: str, target: int) -> np.ndarray:
        """One method's maps of one class (face, y, x)."""
        import pytorch_grad_cam
        from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget

        kind = getattr(pytorch_grad_cam, {**SIX, **FURTHER}[name])
        tokens = None if self.layer.kind == "map" else self.layer.maps
        with kind(self.model, [self.model.get_submodule(self.layer.name)], reshape_transform=tokens) as cam:
            if name == "finer_cam":
                return cam(self.images, comparison_categories=[1], target_idx=target)
            return cam(self.images, [ClassifierOutputTarget(target)] * len(self.images))

    def all_maps(self, limit: float) -> tuple[np.ndarray, dict[tuple[str, int], np.ndarray]]:
        """Seconds of the six methods for all classes, and the maps finished within the limit."""
        spent, maps = np.zeros(2), {}
        for target in range(CLASSES):
            for name in SIX:
                if spent[0] <= limit:
                    took, maps[name, target] = seconds(lambda name=name, target=target: self.maps(name, target))
                    spent += took
        self.model.zero_grad(set_to_none=True)
        return spent / len(maps) * len(SIX) * CLASSES, maps


def largest_difference(
    ours: dict[str, torch.Tensor], theirs: dict[tuple[str, int], np.ndarray], likely: np.ndarray
) -> tuple[float, int]:
    """The largest difference of normalised maps, and how many were compared."""
    from pytorch_grad_cam.utils.image import scale_cam_image

    worst, compared = 0.0, 0
    for (name, target), expected in theirs.items():
        maps, gaps, varied = ours[name][:, target].cpu().numpy(), [], np.ones(len(expected), bool)
        for sign in (1, -1) if name in EIGEN else (1,):
            raw = np.maximum(sign * maps, 0)
            varied &= np.ptp(raw, axis=(1, 2)) > FLAT * raw.max((1, 2))
            gaps.append(np.abs(scale_cam_image(scale_cam_image(raw, (SIZE, SIZE))) - expected).max((1, 2)))
        if name == "finer_cam":
            varied &= likely[:, target]
        if varied.any():
            worst = max(worst, float(np.min(gaps, axis=0)[varied].max()))
        compared += int(varied.sum())
    return worst, compared


def likely_rivals(logits: torch.Tensor) -> np.ndarray:
    """Whether the class nearest to each class (face, class) is likely enough for grad-cam's Finer-CAM."""
    from xfer.explainers.shared_pass import nearest_classes

    every = torch.arange(CLASSES, device=logits.device).expand(len(logits), CLASSES)
    return (logits.softmax(1).gather(1, nearest_classes(logits, every)) > 1e-4).cpu().numpy()


def measure(name: str, device: str, batch: int, rounds: int, limit: float) -> list[str]:
    """A network's lines of the table: wall and processor time."""
    model, images = network(name, device, batch)
    layer = heatmap_layer(model, SIZE)
    peer = Peer(model, images, layer)

    def plain() -> torch.Tensor:
        with torch.no_grad():
            return model(images)

    def shared(names: list[str]) -> dict[str, torch.Tensor]:
        return attribute(model, images, names, layer=layer, batch_size=batch)

    fitting = [each for each in shared("layer") if each in TWELVE]
    seconds(plain), seconds(lambda: shared(list(SIX)))
    forwards, six, twelve = [], [], []
    for turn in range(rounds):
        if turn == rounds // 2:
            whole, theirs = peer.all_maps(limit)
        forwards.append(seconds(plain)[0])
        six.append(seconds(lambda: shared(list(SIX)))[0])
        took, ours = seconds(lambda: shared(fitting))
        twelve.append(took)
    measured = len(theirs)
    further = [each for each in FURTHER if each != "shapley_cam" or layer.kind == "map"]
    theirs |= {(each, 0): peer.maps(each, 0) for each in further}
    worst, compared = largest_difference(ours, theirs, likely_rivals(plain()))
    facts = f"{run_facts(batch, rounds, device)}, {len(fitting)} of twelve"
    return [
        f"| {name} | {layer.name} | {facts} | {clock} | {forward:.4f} | {some:.4f} | {some / forward:.2f} "
        f"| {every / forward:.2f} | {took:.2f} | {took / some:.0f} | {measured} of {len(SIX) * CLASSES} "
        f"| {worst:.1e} ({compared} of {len(theirs) * batch} maps) |"
        for clock, forward, some, every, took in zip(
            ("wall", "processor"), np.median(forwards, 0), np.median(six, 0), np.median(twelve, 0), whole, strict=True
        )
    ]


def write(lines: dict[str, list[str]]) -> None:
    """The table, with the lines of other networks as they were."""
    kept = RESULTS.with_suffix(".json")
    known = json.loads(kept.read_text()) if kept.exists() else {}
    known |= lines
    kept.write_text(json.dumps(known, indent=1) + "\n")
    rows = [line for name in sorted(known) for line in known[name]]
    head = HEAD.format(six=", ".join(SIX.values()), twelve=", ".join(FURTHER.values()))
    RESULTS.write_text("\n".join([head, *rows]) + "\n")


def main() -> None:
    """Measure networks one after the other and write the table after each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--networks", default=",".join(ASKED))
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    asked = parser.parse_args()
    torch.set_num_threads(asked.threads)
    for name in asked.networks.split(","):
        lines = measure(name, asked.device, asked.batch, asked.rounds, asked.seconds)
        print("\n".join(lines), flush=True)
        write({f"{asked.device} {name}": lines})


if __name__ == "__main__":
    main()
