"""Speed of the landmarkers, how many faces they find and how near they come; writes ``results/landmarkers.md``.

Run: ``XFER_ASSETS=../shared/models python tests/benchmarks/landmarkers.py``. Needs mediapipe, onnxruntime and
``../shared``. Speed is counted per second of processor time, all threads together, on one core: other work on the
machine does not enter it.
"""

import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[variable] = "1"

import platform  # noqa: E402
import time  # noqa: E402
from importlib.metadata import version  # noqa: E402
from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402

from xfer import landmarkers, landmarking  # noqa: E402
from xfer.datasets.images import decode  # noqa: E402
from xfer.geometry import inter_ocular  # noqa: E402
from xfer.landmarkers import Landmarking  # noqa: E402
from xfer.landmarkers.points import read_pts  # noqa: E402

RESULTS = Path(__file__).parent / "results" / "landmarkers.md"
SHARED = Path(__file__).resolve().parents[3] / "shared"
FLOOR, FOUND = 60, 0.99
NAMES = {
    "mediapipe": "mediapipe",
    "onnx, with a detector": f"onnx:{SHARED / 'models' / 'faceapi_landmark68.onnx'},"
    f"detector={SHARED / 'models' / 'ultralight_face_detector_rfb320.onnx'}",
}


def pictures(name: str) -> list[Path]:
    """The files of a set in ``../shared``."""
    return sorted((SHARED / "data" / name).rglob("*.jpg"))


def run(name: str, files: list[Path]) -> tuple[list[Landmarking], float]:
    """Landmarks of the files, and faces per second of processor time without decoding."""
    answers, seconds = [], 0.0
    with landmarkers.open(name) as finder:
        finder(decode(files[0]))
        for file in files:
            image = decode(file)
            start = time.process_time()
            answers.append(finder(image, file))
            seconds += time.process_time() - start
    return answers, len(files) / seconds


def error(answers: list[Landmarking], files: list[Path]) -> float:
    """Median over faces of the mean distance to the annotated points, as a share of the inter-ocular distance."""
    truths = [read_pts(file.with_suffix(".pts")) for file in files]
    return float(
        np.median(
            [
                np.linalg.norm(answer.points - truth, axis=1).mean() / inter_ocular(truth)
                for answer, truth in zip(answers, truths, strict=True)
                if answer.points is not None
            ]
        )
    )


def row(title: str, name: str, set_: str) -> tuple[str, bool]:
    """A line of the table, and whether MediaPipe keeps what is asked."""
    files = pictures(set_)
    answers, speed = run(name, files)
    found = sum(a.points is not None for a in answers)
    several = sum(a.n_faces > 1 for a in answers)
    near = f"{100 * error(answers, files):.1f} %" if set_ == "helen_landmarks" else ""
    share = f"{found} ({100 * found / len(files):.2f} %)"
    line = f"| {title} | {set_} | {len(files)} | {share} | {several} | {speed:.0f} | {near} |"
    asked = title == "mediapipe" and set_ != "helen_landmarks"
    return line, not asked or (found >= FOUND * len(files) and (speed >= FLOOR or set_ != "lfw_expressions"))


def whole_folder() -> str:
    """One call over a folder, decoding and digests included, with a thread a core."""
    start = time.perf_counter()
    table = landmarking.landmark_folder(SHARED / "data" / "lfw_expressions" / "images")
    first = time.perf_counter() - start
    start = time.perf_counter()
    landmarking.landmark_folder(SHARED / "data" / "lfw_expressions" / "images", done=table)
    again, load = time.perf_counter() - start, os.getloadavg()[0]
    return (
        f"`landmark_folder` over lfw_expressions, every core, decoding included: {len(table) / first:.0f} pictures a "
        f"second of wall time while the machine's load was {load:.1f}; taken up again when nothing is left to do: "
        f"{again:.1f} s. {'; '.join(landmarking.summary(table))}."
    )


def main() -> None:
    """Measure and write the table."""
    os.environ.setdefault("XFER_ASSETS", str(SHARED / "models"))
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    lines = [
        "# Landmarkers",
        "",
        f"{os.cpu_count()} cores ({platform.machine()}), one of them used; Python {platform.python_version()}, "
        f"mediapipe {version('mediapipe')}, onnxruntime {version('onnxruntime')}. Speed: faces per second of processor "
        f"time, decoding left out; at least {FLOOR} are asked of MediaPipe on lfw_expressions, and {100 * FOUND:.0f} % "
        "found there and in london. Error: median over faces of the mean distance to the annotated points over the "
        "inter-ocular distance.",
        "",
        "| landmarker | pictures | number | found | several people | faces a second | error |",
        "|---|---|---|---|---|---|---|",
    ]
    kept = True
    for title, name in NAMES.items():
        for set_ in ("lfw_expressions", "london", "helen_landmarks"):
            line, good = row(title, name, set_)
            print(line, flush=True)
            lines.append(line)
            kept &= good
    os.sched_setaffinity(0, cores)
    lines += ["", whole_folder()]
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("\n".join([*lines, ""]))
    if not kept:
        raise SystemExit(f"MediaPipe is below {FLOOR} faces a second or finds fewer than {100 * FOUND:.0f} %")


if __name__ == "__main__":
    main()
