"""LIME and KernelSHAP against captum, lime and plain inference; every method by precision.

Run in parts, each replaces its own section of ``results/perturbation.md``:
``python tests/benchmarks/perturbation.py captum lime plain precision [--device cuda] [sizes]``. Needs captum, lime and
torchvision. Within a part the candidates take turns in one process and the median of the rounds counts; processor time
stands beside wall time, since other work stretches the latter.
"""

import argparse
import json
import os
import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

FOLDER = Path(__file__).parent / "results"
CLASSES, SIZE = 7, 224


def network(name: str, device: str) -> nn.Module:
    """One of the published networks for seven classes, random weights."""
    from xfer import models

    torch.manual_seed(0)
    return models.build(name, classes=CLASSES, size=SIZE).eval().to(device)


def faces(count: int, device: str) -> tuple[Tensor, np.ndarray]:
    """Drawn faces as the network takes them (face, 3, y, x), and as photographs (face, y, x, 3), uint8."""
    from xfer.datasets.synthetic import synthetic
    from xfer.training.pixels import read

    pictures = read(synthetic(count, size=SIZE, seed=3), SIZE).images(np.arange(count))
    return (pictures.float() / 255).to(device), pictures.permute(0, 2, 3, 1).numpy()


def seconds(work: Callable[[], Any]) -> tuple[np.ndarray, Any]:
    """Wall and processor time of one call, the device waited for."""
    start = np.array([time.perf_counter(), time.process_time()])
    result = work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return np.array([time.perf_counter(), time.process_time()]) - start, result


def in_turns(rounds: int, candidates: dict[str, Callable[[], Any]]) -> dict[str, np.ndarray]:
    """Median wall and processor seconds of each, a call of each to warm up."""
    found: dict[str, list[np.ndarray]] = {name: [] for name in candidates}
    for work in candidates.values():
        seconds(work)
    for _ in range(rounds):
        for name, work in candidates.items():
            found[name].append(seconds(work)[0])
    return {name: np.median(times, 0) for name, times in found.items()}


def ours(model: nn.Module, images: Tensor, method: str, asked: argparse.Namespace, **options: Any) -> Callable[[], Any]:
    """All seven classes by xfer."""
    from xfer.explainers import attribute

    settings = {"samples": asked.samples, "segments": "grid", "pieces": 30, "output": "logit", **options}
    return lambda: attribute(model, images, method, batch_size=asked.batch, settings={"perturbation": settings})


def against_captum(asked: argparse.Namespace) -> list[dict[str, Any]]:
    """Seven classes at equal samples; captum at the best of some batch sizes, its class count extrapolated from one."""
    from captum.attr import KernelShap, Lime

    from xfer.explainers.segments import grid_labels

    found = []
    images, _ = faces(asked.faces, asked.device)
    mask = torch.from_numpy(grid_labels((SIZE, SIZE), 30)).to(asked.device)[None, None]
    for name in asked.networks:
        model = network(name, asked.device)

        def peer(method: Any, each: int, model: nn.Module = model) -> Any:
            with torch.no_grad():
                for face in images:
                    explainer = method(model)
                    explainer.attribute(
                        face[None], target=0, feature_mask=mask, n_samples=asked.samples, perturbations_per_eval=each
                    )

        for method, captum in (("lime", Lime), ("kernel_shap", KernelShap)):
            tried = {each: seconds(lambda each=each, captum=captum: peer(captum, each))[0] for each in asked.captum}
            best = min(tried, key=lambda each: tried[each][1])
            took = in_turns(
                asked.rounds,
                {
                    "plainly": ours(model, images, method, asked, channels_last=False),
                    "xfer": ours(model, images, method, asked),
                    "fast": ours(model, images, method, asked, autocast=True),
                    "captum": lambda captum=captum, best=best: peer(captum, best),
                },
            )
            row = {"network": name, "method": method, "captum_batch": best, "samples": asked.samples * len(images)}
            for column, clock in enumerate(("wall", "processor")):
                row[clock] = {who: float(times[column]) for who, times in took.items()}
                row[clock]["captum"] *= CLASSES
            found.append(row)
    return found


def against_lime(asked: argparse.Namespace) -> list[dict[str, Any]]:
    """The library lime fits all classes from one set of samples, as xfer does: equal samples, SLIC for both."""
    from lime import lime_image
    from skimage.segmentation import slic

    images, pictures = faces(asked.faces, asked.device)
    found = []
    for name in asked.networks:
        model = network(name, asked.device)

        @torch.no_grad()
        def classify(batch: np.ndarray, model: nn.Module = model) -> np.ndarray:
            tensor = torch.from_numpy(batch).to(asked.device, torch.float32).permute(0, 3, 1, 2)
            return model(tensor).softmax(1).cpu().numpy()

        def peer(classify: Any = classify) -> None:
            for picture in pictures:
                lime_image.LimeImageExplainer(feature_selection="none", random_state=0).explain_instance(
                    picture / 255,
                    classify,
                    top_labels=CLASSES,
                    hide_color=0,
                    num_samples=asked.samples,
                    batch_size=asked.batch,
                    segmentation_fn=lambda image: slic(image, n_segments=30, compactness=20, start_label=0),
                )

        common = {"segments": "slic", "output": "probability"}
        took = in_turns(
            asked.rounds,
            {
                "xfer": ours(model, images, "lime", asked, **common),
                "plainly": ours(model, images, "lime", asked, channels_last=False, **common),
                "fast": ours(model, images, "lime", asked, autocast=True, **common),
                "lime": peer,
            },
        )
        found.append(_row(name, asked, took))
    return found


def against_plain(asked: argparse.Namespace) -> list[dict[str, Any]]:
    """The share of the rate of plain inference on the same masked images, which are made beforehand."""
    from xfer.explainers.designs import Bank
    from xfer.explainers.segments import face_players

    images, _ = faces(asked.faces, asked.device)
    found = []
    for name in asked.networks:
        model = network(name, asked.device)
        for layout in (torch.contiguous_format, torch.channels_last):
            given = images.to(memory_format=layout)
            players = face_players(given, "grid")
            rows = Bank.draw(players.counts, ("coin",), asked.samples, 0, 0).to(asked.device)
            masked = [
                (given[face, None] * players.seen(face, part)[:, None]).contiguous(memory_format=layout)
                for face in range(len(given))
                for part in rows[face].split(asked.batch)
            ]

            @torch.no_grad()
            def plain(model: nn.Module = model, masked: list[Tensor] = masked) -> list[Tensor]:
                return [model(batch) for batch in masked]

            took = in_turns(
                asked.rounds, {"xfer": ours(model, given, "lime", asked, channels_last=False), "plain": plain}
            )
            found.append(_row(name, asked, took) | {"layout": str(layout).removeprefix("torch.")})
    return found


def by_precision(asked: argparse.Namespace) -> list[dict[str, Any]]:
    """Images a second of every method, float32 and bfloat16."""
    images, _ = faces(asked.faces, asked.device)
    found = []
    for name in asked.networks:
        model = network(name, asked.device)
        for low in (False, True):
            fast = {"autocast": low}
            candidates = {
                method: ours(model, images, method, asked, **fast)
                for method in ("lime", "kernel_shap", "rise", "occlusion", "feature_ablation")
            }
            row = _row(name, asked, in_turns(asked.rounds, candidates))
            found.append(row | {"precision": "bfloat16" if low else "float32"})
    return found


def _row(name: str, asked: argparse.Namespace, took: dict[str, np.ndarray]) -> dict[str, Any]:
    clocks = {
        clock: {who: float(times[column]) for who, times in took.items()}
        for column, clock in enumerate(("wall", "processor"))
    }
    return {"network": name, "samples": asked.samples * asked.faces, **clocks}


PARTS = {
    "captum": against_captum,
    "lime": against_lime,
    "plain": against_plain,
    "precision": by_precision,
}
ASKED = {
    "captum": "Asked: at least 6 times on ResNet-50, 10 on SongNet. `xfer` is float32 as captum is, `plainly` without "
    "the channels-last layout, `fast` also bfloat16; captum's seven classes are its time for one, seven times.",
    "lime": "Asked: never slower on ResNet-50, 10 times on SongNet.",
    "plain": "Asked: at least 0.85 of the rate of plain inference on the same masked images, made beforehand.",
    "precision": "Seconds of all seven classes, channels-last.",
}
"""What the tables of this script are for."""


def shown(value: Any) -> str:
    """A number or a small table on one line."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {shown(each)}" for name, each in value.items())
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"
    return f"{value / 1e6:.0f} MB" if isinstance(value, int) and value > 1_000_000 else str(value)


def ratios(row: dict[str, Any]) -> dict[str, Any]:
    """A row with how many times the peer's time ours is."""
    clocks = row.get("processor") if isinstance(row.get("processor"), dict) else {}
    peer = next((name for name in ("captum", "lime", "plain") if name in clocks), None)
    if not peer:
        return row
    mine = [name for name in ("plainly", "xfer", "fast") if name in row["processor"]]
    times = {clock: {name: row[clock][peer] / row[clock][name] for name in mine} for clock in ("wall", "processor")}
    return row | {f"times as fast ({clock})": each for clock, each in times.items()}


def conditions(asked: argparse.Namespace, took: float) -> str:
    """What a table's head says of the machine."""
    gpu = torch.cuda.get_device_name() if asked.device == "cuda" else f"{asked.threads} thread(s)"
    return (
        f"{asked.device}, {gpu}, {platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, "
        f"torch {torch.__version__}, batch {asked.batch}, {took:.0f} s"
    )


def run(
    parts: dict[str, Callable[[argparse.Namespace], list[dict[str, Any]]]],
    about: dict[str, str],
    asked: argparse.Namespace,
    name: str,
) -> None:
    """Run the parts asked for and write the tables of all that were ever run to ``results/NAME.md``."""
    torch.set_num_threads(asked.threads)
    numbers = FOLDER / f"{name}.json"
    known = json.loads(numbers.read_text()) if numbers.exists() else {}
    for part in asked.parts:
        started = time.perf_counter()
        rows = parts[part](asked)
        known[f"{part} ({asked.device})"] = [conditions(asked, time.perf_counter() - started), rows]
        FOLDER.mkdir(exist_ok=True)
        numbers.write_text(json.dumps(known, indent=1))
    lines = [f"# {name.replace('_', ' ').capitalize()}", ""]
    for part, (said, rows) in known.items():
        rows = [ratios(row) for row in rows]
        columns = list(dict.fromkeys(key for row in rows for key in row))
        lines += [f"## {part}", "", about[part.split()[0]], "", said, "", f"| {' | '.join(columns)} |"]
        lines += ["|" + "---|" * len(columns)]
        lines += ["| " + " | ".join(shown(row[key]) if key in row else "" for key in columns) + " |" for row in rows]
        lines += [""]
    (FOLDER / f"{name}.md").write_text("\n".join(lines), encoding="utf-8")
    print("\n".join(lines))


def arguments(parts: dict[str, Any], batch: int = 16) -> argparse.ArgumentParser:
    """The options that all scripts share."""
    parser = argparse.ArgumentParser()
    parser.add_argument("parts", nargs="+", choices=list(parts))
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=batch)
    return parser


def main() -> None:
    """Run some parts and write what is known."""
    parser = arguments(PARTS)
    parser.add_argument("--networks", nargs="+", default=["songnet", "resnet50"])
    parser.add_argument("--faces", type=int, default=1)
    parser.add_argument("--samples", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--captum", type=int, nargs="+", default=[1, 8, 16])
    run(PARTS, ASKED, parser.parse_args(), "perturbation")


if __name__ == "__main__":
    main()
