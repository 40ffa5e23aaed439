"""What networks that never saw them make of the drawn faces; writes ``results/synthetic_strangers.md``.

Run: ``XFER_ASSETS=../shared/models python tests/benchmarks/synthetic_strangers.py``. Needs mediapipe, onnxruntime,
SciPy, ``face_landmarker.task`` and ``faceapi_expression.onnx`` in ``XFER_ASSETS``, and ``../shared`` for the 68 points.
"""

import os
import platform
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnxruntime
from scipy.stats import spearmanr

from xfer import landmarkers
from xfer.datasets.synthetic import draw, faces, landmarks, with_action_unit
from xfer.datasets.synthetic.face import Face
from xfer.datasets.synthetic.prototypes import default
from xfer.labels import BASIC

RESULTS = Path(__file__).parent / "results" / "synthetic_strangers.md"
SHARED = Path(__file__).resolve().parents[3] / "shared"
ASSETS = Path(os.environ.get("XFER_ASSETS", SHARED / "models"))
SIZE, FACES, SWEPT, STEPS = 224, 500, 30, np.linspace(0, 1, 6)
BLENDSHAPES = {
    "AU1": "browInnerUp", "AU2": "browOuterUp", "AU4": "browDown", "AU5": "eyeWide", "AU6": "cheekSquint",
    "AU7": "eyeSquint", "AU9": "noseSneer", "AU10": "mouthUpperUp", "AU12": "mouthSmile", "AU14": "mouthDimple",
    "AU15": "mouthFrown", "AU16": "mouthLowerDown", "AU17": "mouthShrugLower", "AU18": "mouthPucker",
    "AU20": "mouthStretch", "AU24": "mouthPress", "AU26": "jawOpen", "AU27": "jawOpen", "AU43": "eyeBlink",
}  # fmt: skip
OVAL = (
    127, 234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 323, 454, 356,
)  # fmt: skip
PARTS = {"jaw": (0, 17), "brows": (17, 27), "nose": (27, 36), "eyes": (36, 48), "mouth": (48, 68)}
FACEAPI = ("neutral", "happiness", "sadness", "anger", "fear", "disgust", "surprise")


def score(shapes: dict[str, float], name: str) -> float:
    """A blendshape, mean of left and right where it has sides."""
    return shapes[name] if name in shapes else (shapes[f"{name}Left"] + shapes[f"{name}Right"]) / 2


def to_line(points: np.ndarray, line: np.ndarray) -> np.ndarray:
    """Distance of points (n, 2) from a polyline (m, 2)."""
    start, along = line[:-1], np.diff(line, axis=0)
    share = np.clip(((points[:, None] - start) * along).sum(-1) / (along**2).sum(-1), 0, 1)
    return np.linalg.norm(points[:, None] - start - share[..., None] * along, axis=-1).min(axis=1)


def detection(landmarker: landmarkers.Finder, sample: list[Face]) -> list[str]:
    """Faces found, and the distance of the landmarks in inter-ocular distances."""
    distances, from_oval = [], []
    for face in sample:
        seen = landmarker(draw(face, SIZE))
        if seen.points is not None:
            drawn = landmarks(face, SIZE)
            unit = np.hypot(*(drawn[36] - drawn[45]))
            distances.append(np.hypot(*(seen.points - drawn).T) / unit)
            from_oval.append(to_line(drawn[:17], seen.mesh[list(OVAL), :2]) / unit)
    table = np.array(distances)
    lines = [f"MediaPipe finds {len(table)} of {len(sample)} faces ({len(table) / len(sample):.1%}).", ""]
    lines += ["| points | median distance (IOD) | 90th percentile |", "|---|---|---|"]
    shares = {name: table[:, low:high] for name, (low, high) in {"all 68": (0, 68), **PARTS}.items()}
    for part, share in (shares | {"jaw, to MediaPipe's oval as a line": np.array(from_oval)}).items():
        lines.append(f"| {part} | {np.median(share):.3f} | {np.quantile(share, 0.9):.3f} |")
    return lines


def sweeps(landmarker: landmarkers.Finder, sample: list[Face]) -> list[str]:
    """Each Action Unit raised from 0 to 1 in six steps on each face, all else at rest."""
    lines = [
        "| AU | blendshape | pooled rank correlation | mean within a face | mean score at 0 | at 1 |",
        "|---|---|---|---|---|---|",
    ]
    passed = 0
    for code, name in BLENDSHAPES.items():
        scores = np.full((len(sample), len(STEPS)), np.nan)
        for i, face in enumerate(sample):
            for j, step in enumerate(STEPS):
                seen = landmarker(draw(with_action_unit(face, code, float(step)), SIZE))
                scores[i, j] = np.nan if seen.points is None else score(seen.blendshapes, name)
        kept = ~np.isnan(scores)
        pooled = spearmanr(np.broadcast_to(STEPS, scores.shape)[kept], scores[kept]).statistic
        within = np.mean([spearmanr(STEPS, row).statistic for row in scores if not np.isnan(row).any()])
        passed += pooled > 0.5
        low, high = np.nanmean(scores, axis=0)[[0, -1]]
        lines.append(f"| {code} | {name} | {pooled:.2f} | {within:.2f} | {low:.4f} | {high:.4f} |")
    return [*lines, "", f"{passed} of {len(BLENDSHAPES)} Action Units above 0.5 (pooled)."]


def crop(face: Face) -> np.ndarray:
    """The face's box with a tenth of margin, 112 px, as the classifier was trained on."""
    points = landmarks(face, SIZE)
    side = 1.15 * np.ptp(points, axis=0).max()
    middle = (points.max(axis=0) + points.min(axis=0)) / 2
    shift = (np.array(face.shift) * SIZE + (SIZE - 1) / 2 - middle) / side
    return draw(replace(face, scale=face.scale * SIZE / side, shift=tuple(shift)), 112)


def classified(sample: list[Face]) -> list[str]:
    """Confusion of the face-api classifier."""
    session = onnxruntime.InferenceSession(str(ASSETS / "faceapi_expression.onnx"), providers=["CPUExecutionProvider"])
    pictures = np.stack([crop(face) for face in sample]).astype(np.float32)
    inputs = np.moveaxis((pictures - np.array([122.782, 117.001, 104.298], np.float32)) / 255, -1, 1)
    logits = np.concatenate([session.run(["logits"], {"image": part})[0] for part in np.array_split(inputs, 20)])
    chosen = np.array(FACEAPI)[logits.argmax(axis=1)]
    forced = np.array(FACEAPI[1:])[logits[:, 1:].argmax(axis=1)]
    truth = np.array([face.expression for face in sample])
    lines = ["| drawn | " + " | ".join(FACEAPI) + " |", "|---" * (len(FACEAPI) + 1) + "|"]
    for expression in BASIC:
        rows = chosen[truth == expression]
        lines.append(f"| {expression} | " + " | ".join(f"{np.mean(rows == c):.2f}" for c in FACEAPI) + " |")
    right, among = np.mean(chosen == truth), np.mean(forced == truth)
    return [
        *lines,
        "",
        f"Accuracy {right:.2f} over seven answers, {among:.2f} where neutral may not be answered (chance 0.17).",
    ]


def strong(sample: list[Face]) -> list[Face]:
    """The same people with their expression's first prototype at full strength and nothing else, facing the camera."""
    return [
        replace(face, action_units=dict.fromkeys(default()[face.expression][0][0], 1.0), yaw=0.0, pitch=0.0)
        for face in sample
    ]


def main() -> None:
    os.environ.setdefault("XFER_ASSETS", str(ASSETS))
    landmarker = landmarkers.open("mediapipe")
    sample = faces(FACES, seed=11)
    people = [replace(face, action_units={}) for face in faces(SWEPT * len(BASIC), seed=12)[:: len(BASIC)]]
    versions = ", ".join(f"{name} {version(name)}" for name in ("mediapipe", "onnxruntime", "numpy"))
    lines = [
        "# Strangers look at the drawn faces", "",
        f"{FACES} faces of the default population at {SIZE} px. {versions}, Python {platform.python_version()}.",
        "Faces and masks share an author: this tests the software, not FACS.", "",
        "## MediaPipe Face Landmarker", "", *detection(landmarker, sample), "",
        f"## Blendshapes as an Action Unit rises ({SWEPT} people, {len(STEPS)} steps)", "",
        *sweeps(landmarker, people), "",
        "## face-api's expression classifier, on the default population", "", *classified(sample), "",
        "## The same people, first prototype at full strength, frontal", "", *classified(strong(sample)),
    ]  # fmt: skip
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
