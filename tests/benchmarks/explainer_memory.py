"""Peak memory of every explainer on ResNet-50; writes ``results/explainer_memory.md``.

Run: ``python tests/benchmarks/explainer_memory.py every memory score_cam [--device cuda] [sizes]``. Each case is a
process of its own, whose peak beyond the loaded network is read from the system, or from CUDA.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from perturbation import SIZE, arguments, network, run, seconds

CHILD = """
import sys
sys.path.insert(0, {folder!r})
import explainer_memory as benchmark
benchmark.peak({method!r}, {batch}, {samples}, {faces}, {size}, {targets!r}, {device!r})
"""


def peak(method: str, batch: int, samples: int, faces: int, size: int, targets: str, device: str) -> None:
    """Print how much memory one call takes beyond the network, bytes; run in a process of its own."""
    import resource

    from xfer.explainers import attribute

    torch.manual_seed(0)
    model = network("resnet50", device)
    images = torch.rand(faces, 3, size, size, device=device)
    settings = {"samples": samples, "segments": "grid", "pieces": 30}
    with torch.no_grad():
        model(images[:1])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    took, _ = seconds(
        lambda: attribute(
            model, images, method, targets, batch_size=batch, layer="layer4", settings={"perturbation": settings}
        )
    )
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps([(torch.cuda.max_memory_allocated() if device == "cuda" else after) - before, *took]))


def measured(method: str, batch: int, samples: int, asked: argparse.Namespace, **changes: int | str) -> dict[str, Any]:
    """`peak` in a process of its own."""
    where = {"folder": str(Path(__file__).parent), "device": asked.device, "faces": asked.faces}
    where |= {"size": SIZE, "targets": "all"} | changes
    code = CHILD.format(method=method, batch=batch, samples=samples, **where)
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    size, wall, processor = json.loads(told.stdout.splitlines()[-1])
    return {"method": method, "batch": batch, "samples": samples, "peak": size, "wall": wall, "processor": processor}


def memory(asked: argparse.Namespace) -> list[dict[str, Any]]:
    """Peak memory beyond the network against the batch size and the number of samples."""
    cases = [(batch, samples) for batch in asked.batches for samples in (64, 256)]
    return [
        measured(method, batch, samples, asked)
        for method in asked.methods
        for batch, samples in cases
        if samples == 256 or method in ("lime", "kernel_shap", "rise")
    ]


def score_cam(asked: argparse.Namespace) -> list[dict[str, Any]]:
    """Score-CAM and Ablation-CAM of the 2,048 channels of ResNet-50, two faces."""
    return [measured(name, asked.batch, 2, asked) for name in ("score_cam", "ablation_cam")]


def every(asked: argparse.Namespace) -> list[dict[str, Any]]:
    """Every explainer that applies to ResNet-50, one class, four times the faces: the peak must not follow them."""
    from xfer.explainers import EXPLAINERS, misfits

    left_out = misfits(network("resnet50", "cpu"), torch.rand(1, 3, 64, 64), layer="layer4")
    found = []
    for method in EXPLAINERS:
        if method in left_out or method in ("score_cam", "ablation_cam"):
            continue
        changes = {"size": asked.small, "targets": "predicted"}
        few, many = (measured(method, 4, 16, asked, faces=faces, **changes) for faces in (4, 16))
        found.append({"method": method, "4 faces": few["peak"], "16 faces": many["peak"], "wall": many["wall"]})
    return found


PARTS = {"every": every, "memory": memory, "score_cam": score_cam}
ASKED = {
    "every": "Batch 4, the predicted class; the peak beyond the loaded network must not follow the number of faces. "
    "`score_cam` and `ablation_cam` have a table of their own.",
    "memory": "Peak beyond the loaded network. Asked: bounded by the batch size.",
    "score_cam": "All 2,048 channels of layer4, seven classes. Asked: bounded by the batch size.",
}


def main() -> None:
    """Run some parts and write what is known."""
    parser = arguments(PARTS)
    parser.add_argument("--faces", type=int, default=1)
    parser.add_argument(
        "--methods", nargs="+", default=["lime", "kernel_shap", "rise", "occlusion", "feature_ablation"]
    )
    parser.add_argument("--batches", type=int, nargs="+", default=[4, 16])
    parser.add_argument("--small", type=int, default=112, help="side of the faces of part every, px")
    run(PARTS, ASKED, parser.parse_args(), "explainer_memory")


if __name__ == "__main__":
    main()
