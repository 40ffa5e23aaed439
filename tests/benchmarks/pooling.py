"""Pooled LIME against the full recipe on drawn faces; writes ``results/pooling.md``.

Run: ``python tests/benchmarks/pooling.py train`` once, then ``.. pooled [--pool FACES] [--full SAMPLES]``.
The network is SongNet with BatchNorm, trained here for a minute or two and kept under ``--scratch``.
"""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import torch
from perturbation import arguments, run, seconds
from torch import Tensor, nn


def trained(asked: argparse.Namespace) -> tuple[nn.Module, Tensor, np.ndarray, Any]:
    """SongNet trained on drawn faces of 64 px, and unseen faces that it takes for one expression, with landmarks."""
    from xfer import models
    from xfer.datasets.synthetic import synthetic
    from xfer.training import fit, inputs, preset
    from xfer.training.pixels import hold_out, read

    data = synthetic(asked.train + 12 * asked.pool, size=96, seed=0)
    settings = preset("quick", "songnet_bn").change(size=64)
    pixels = read(data, settings.size)
    model = models.build("songnet_bn", classes=len(pixels.classes), size=settings.size)
    parts = hold_out(data, np.arange(asked.train), settings.validation, 0)
    fitted = fit(model, pixels, *parts, settings, folder=asked.scratch)
    print(f"validation accuracy {fitted.accuracy:.2f}")
    unseen = np.arange(asked.train, len(data.samples))
    images = inputs(pixels, unseen, settings)
    with torch.no_grad():
        sees = model.eval()(images).argmax(1).numpy()
    chosen = np.flatnonzero(sees == list(pixels.classes).index("happiness"))[: asked.pool]
    points = pixels.landmarks[pixels.rows(unseen[chosen])]
    options = {"mean": 0.5, "std": 0.25}
    return model.to(asked.device), images[chosen].to(asked.device), points, options


def pooled_lime(asked: argparse.Namespace) -> list[dict[str, Any]]:
    """The full recipe's signed global map against few coalitions a face; the positive part, published and corrected."""
    from xfer.explainers import attribute
    from xfer.explainers.pooling import pooled
    from xfer.geometry import load_frame
    from xfer.warping import to_frame

    model, images, points, options = trained(asked)
    frame = load_frame()
    support = torch.from_numpy(np.array(frame.support))
    common = {"batch_size": asked.batch, "settings": {"perturbation": {**options, "samples": asked.full}}}

    def recipe() -> Tensor:
        return attribute(model, images, "lime", "predicted", **common)["lime"].float()

    def in_frame(maps: Tensor) -> Tensor:
        size = (images.shape[-2], images.shape[-1])
        return to_frame(maps, torch.from_numpy(points).to(maps), frame, size=size).values.nanmean(0)[0].cpu()

    took, full = seconds(recipe)
    signed, positive = in_frame(full), in_frame(full.clamp_min(0))
    found = [{"samples": asked.full, "forwards": asked.full * len(images), "wall": took[0], "processor": took[1]}]
    for samples in asked.pooled:
        settings = {**options, "samples": asked.full}
        budget = (samples + 1) * len(images)
        call = {"start": samples, "budget": budget, "tolerance": 0.0, "batch_size": asked.batch}
        took, few = seconds(
            lambda settings=settings, call=call: pooled(model, images, points, settings=settings, **call)
        )
        last = few.rounds[-1]
        found.append(
            {
                "samples": last.samples,
                "forwards": last.forwards,
                "wall": took[0],
                "processor": took[1],
                "signed": _correlation(few.signed[0].cpu(), signed, support),
                "positive": _correlation(few.positive[0].cpu(), positive, support),
                "corrected": _correlation(few.corrected[0].cpu(), positive, support),
                "error": last.error,
                "mass": {
                    "positive": last.positive / float(positive[support].mean()),
                    "corrected": last.corrected / float(positive[support].mean()),
                },
            }
        )
    return found


def _correlation(one: Tensor, other: Tensor, support: Tensor) -> float:
    known = support & one.isfinite() & other.isfinite()
    return float(np.corrcoef(one[known], other[known])[0, 1])


def prepared(asked: argparse.Namespace) -> list[dict[str, Any]]:
    """Train the network, so that the other part finds it."""
    return [{"faces": len(trained(asked)[1])}]


PARTS = {"train": prepared, "pooled": pooled_lime}
ASKED = {
    "train": "Unseen faces that the network takes for happiness.",
    "pooled": "Asked: Pearson of at least .98 with the full recipe's signed global map at 20 times fewer forwards. "
    "Mass is the mean of the positive part over the full recipe's.",
}


def main() -> None:
    """Run some parts and write what is known."""
    parser = arguments(PARTS, batch=64)
    parser.add_argument("--train", type=int, default=1200)
    parser.add_argument("--pool", type=int, default=24)
    parser.add_argument("--full", type=int, default=1000)
    parser.add_argument("--pooled", type=int, nargs="+", default=[8, 16, 32, 48])
    parser.add_argument("--scratch", type=Path, default=Path("reports/pooling"))
    run(PARTS, ASKED, parser.parse_args(), "pooling")


if __name__ == "__main__":
    main()
