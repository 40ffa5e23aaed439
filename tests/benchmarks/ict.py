"""The masks and MediaPipe against ICT's face kit, faces that nobody here drew; writes ``results/ict.md``.

Run: ``python -m tests.benchmarks.ict``. Needs mediapipe, SciPy and ``../shared``; ``face_landmarker.task`` comes from
``XFER_ASSETS``, or else from ``../shared/models``.
"""

import os
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.ict import face as ict
from tests.ict import fit
from xfer import geometry, landmarkers, masks
from xfer.masks import regions

RESULTS = Path(__file__).parent / "results" / "ict.md"
SHARED = Path(__file__).resolve().parents[3] / "shared"
SIZE, PEOPLE, YAW = 256, 10, 20.0
SOURCES = ("xfer", "belharbi2024", "jaanet", "mesh")
PARTS = {"jaw": (0, 17), "brows": (17, 27), "nose": (27, 36), "eyes": (36, 48), "mouth": (48, 68)}
OVAL = (
    127, 234, 93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 323, 454, 356,
)  # fmt: skip
"""MediaPipe's face oval from ear to ear along the jaw."""

WORDS = """\
What this says, and what it does not:

- Displacement is not a muscle and not a wrinkle. The skin that a muscle drags moves with it: a smile moves the cheeks,
  a jaw that drops (AU26, AU27) everything below the mouth, and regions that reach far down are favoured there. A region
  says where an Action Unit shows, furrows and bulges included, and those need not move far.
- Motion is counted across the picture only. Lips that come towards the camera (AU18, AU22) or press on each other
  (AU24) hardly count, and what is left is the skin that they pull along.
- Counting what arrives matters at the eyes: an eyeball behind a closing lid rests. By what leaves alone, regions that
  cover the eye's opening fit AU7 and AU43 worse; of the three sources on landmarks xfer loses most by it and stays
  first (3 people, measured apart).
- The kit's shapes follow ARKit, not FACS. Which shape is which Action Unit is read from its README, but for AU10
  (ARKit's mouthUpperUp), AU26 (a weak jawOpen) and AU43 (its AU45). `noseSneer` lifts cheeks and upper lip too.
- IoU favours large regions, which chance shows, and AUC small ones. A source with fewer regions, or with the same
  region for several Action Units (ties count as first), has its own first more easily.
- `mesh` is drawn on MediaPipe's points of the rendered neutral face, with that landmarker's error; the others on the
  exact vertices.
- Brows, lips and lid margins are tinted at the kit's landmarks, since the kit has no texture. MediaPipe sees that tint,
  so that its distances there test the tint too; nose and jaw have none.
- The regions were drawn before this was first measured. A low overlap is a question to a region, not its refutation."""


def seen(finder: landmarkers.Finder, kit: ict.Kit, person: ict.Person, shown: Mapping[str, float], yaw: float = 0.0
         ) -> tuple[landmarkers.Landmarking, NDArray[np.floating]]:  # fmt: skip
    """What MediaPipe makes of a face, and its exact landmarks."""
    picture = ict.render(kit, person, shown, SIZE, yaw)
    return finder(picture), ict.landmarks(kit, person, shown, SIZE, yaw)


def found(finder: landmarkers.Finder, kit: ict.Kit, crowd: list[ict.Person]) -> tuple[list[str], list[NDArray | None]]:
    """The table of landmarks, and MediaPipe's mesh of each neutral face."""
    shown: dict[str, tuple[dict[str, float], float]] = {"neutral": ({}, 0.0)}
    shown |= {f"{code} ({fit.UNITS[code]})": (fit.weights(kit, code), 0.0) for code in fit.UNITS}
    shown |= {f"neutral, turned {yaw:+.0f}°": ({}, yaw) for yaw in (-YAW, YAW)}
    lines = ["| shown | found | all 68 | " + " | ".join(PARTS) + " | jaw, to the oval as a line |", "|---" * 9 + "|"]
    meshes: list[NDArray | None] = []
    every, from_oval, hits = [], [], 0
    for name, (weights, yaw) in shown.items():
        looks = [seen(finder, kit, person, weights, yaw) for person in crowd]
        if name == "neutral":
            meshes = [look.mesh for look, _ in looks]
        good = [(look.points, look.mesh, e) for look, e in looks if look.points is not None and look.mesh is not None]
        away = np.array([np.hypot(*(points - exact).T) / geometry.inter_ocular(exact) for points, _, exact in good])
        oval = [ict.to_line(e[:17], mesh[list(OVAL), :2]) / geometry.inter_ocular(e) for _, mesh, e in good]
        hits += len(good)
        every.append(away)
        from_oval.append(np.array(oval))
        lines.append(_line(name, f"{len(good)} of {len(crowd)}", away, from_oval[-1]))
    total = f"{hits} of {len(shown) * len(crowd)}"
    return [*lines, _line("**all**", total, np.concatenate(every), np.concatenate(from_oval))], meshes


def _line(name: str, count: str, away: NDArray, oval: NDArray) -> str:
    parts = [np.median(away)] + [np.median(away[:, low:high]) for low, high in PARTS.values()] + [np.median(oval)]
    return f"| {name} | {count} | " + " | ".join(f"{part:.3f}" for part in parts) + " |"


def drawn(source: regions.Regions, exact: NDArray, mesh: NDArray | None) -> dict[str, NDArray[np.bool_]]:
    """A source's regions on one face, by Action Unit."""
    on_mesh = source.drawing.points == geometry.MESH_POINTS
    if on_mesh and mesh is None:
        return {}
    points = mesh[: geometry.MESH_POINTS, :2] if on_mesh and mesh is not None else exact
    maps = masks.action_units(source, points, height=SIZE, width=SIZE)
    return dict(zip(source.action_units, np.asarray(maps) >= masks.REGION, strict=True))


ROWS = (*fit.UNITS.items(), *fit.ALTERNATIVES)
Table = dict[tuple[str, str, str], NDArray]
"""IoU, AUC, chance IoU and the own mask's place, by Action Unit, blendshape and source."""


def fits(kit: ict.Kit, crowd: list[ict.Person], meshes: list[NDArray | None]) -> Table:
    """The fit of every source, mean over people."""
    sources = {name: regions.load(name) for name in SOURCES}
    found: dict[tuple[str, str, str], list[tuple[dict[str, float], float, float]]] = {}
    for person, mesh in zip(crowd, meshes, strict=True):
        inner = fit.support(kit, person, SIZE)
        maps = {n: drawn(s, ict.landmarks(kit, person, size=SIZE), mesh) for n, s in sources.items()}
        for code, shape in ROWS:
            moved = fit.motion(kit, person, fit.weights(kit, code, shape), SIZE)[inner]
            for name in SOURCES:
                if code in maps[name]:
                    own = maps[name][code][inner]
                    every = {other: fit.overlap(region[inner], moved) for other, region in maps[name].items()}
                    found.setdefault((code, shape, name), []).append((every, fit.auc(own, moved), fit.chance(own)))
    return {key: _summary(key[0], rows) for key, rows in found.items()}


def _summary(code: str, rows: list[tuple[dict[str, float], float, float]]) -> NDArray:
    mean = {other: np.mean([every[other] for every, _, _ in rows]) for other in rows[0][0]}
    place = 1 + sum(value > mean[code] for value in mean.values())
    return np.array([mean[code], *np.mean([row[1:] for row in rows], axis=0), place])


def fit_table(table: Table) -> list[str]:
    """IoU / AUC (place) per Action Unit and source; the best of each in bold."""
    lines = ["| AU | blendshape | " + " | ".join(SOURCES) + " | best |", "|---" * (len(SOURCES) + 3) + "|"]
    for code, shape in ROWS:
        rows = {name: table[code, shape, name] for name in SOURCES if (code, shape, name) in table}
        iou, auc, chance = (np.array([row[k] for row in rows.values()]) for k in range(3))
        best = {0: list(rows)[iou.argmax()], 1: list(rows)[auc.argmax()]}
        above = list(rows)[(iou - chance).argmax()]
        cells = [_cell(name, rows, best) for name in SOURCES]
        told = shape + (f" at {fit.WEIGHTS[code]}" if code in fit.WEIGHTS else "")
        other = " (other reading)" if (code, shape) in fit.ALTERNATIVES else ""
        lines.append(f"| {code}{other} | {told} | " + " | ".join(cells) + f" | {above} |")
    return lines


def _cell(name: str, rows: dict[str, NDArray], best: dict[int, str]) -> str:
    if name not in rows:
        return ""
    iou, auc = (f"**{rows[name][k]:.2f}**" if best[k] == name else f"{rows[name][k]:.2f}" for k in (0, 1))
    return f"{iou} / {auc} ({rows[name][3]:.0f})"


def means(table: Table) -> list[str]:
    """One row a source, over the Action Units that all sources place, then over all its own."""
    shared = [row for row in fit.UNITS.items() if all((*row, name) in table for name in SOURCES)]
    lines = [
        "| source | Action Units | IoU | chance | IoU less chance | less xfer's | AUC | above 0.5 | own mask first |",
        "|---" * 9 + "|",
    ]
    for told, chosen in (("in all sources", shared), ("all it places", list(fit.UNITS.items()))):
        for name in SOURCES:
            own = [row for row in chosen if (*row, name) in table]
            rows, ours = (np.array([table[(*row, source)] for row in own]) for source in (name, "xfer"))
            iou, auc, chance, _ = rows.mean(axis=0)
            less = (rows - ours)[:, 0] - (rows - ours)[:, 2]
            paired = "" if name == "xfer" else f"{less.mean():+.3f} ± {less.std(ddof=1) / np.sqrt(len(less)):.3f}"
            above, first = int((rows[:, 1] > 0.5).sum()), int((rows[:, 3] == 1).sum())
            lines.append(
                f"| {name} | {len(own)}, {told} | {iou:.3f} | {chance:.3f} | {iou - chance:.3f} | {paired} | "
                f"{auc:.3f} | {above} | {first} |"
            )
    return lines


def verdict(table: Table) -> str:
    """Which source fits best over the Action Units that all place, and which cannot be told from it."""
    shared = [row for row in fit.UNITS.items() if all((*row, name) in table for name in SOURCES)]
    above = {name: np.array([table[(*row, name)][0] - table[(*row, name)][2] for row in shared]) for name in SOURCES}
    best = max(SOURCES, key=lambda name: above[name].mean())
    less = {name: above[best] - above[name] for name in SOURCES if name != best}
    close = [name for name, gap in less.items() if gap.mean() < 2 * gap.std(ddof=1) / np.sqrt(len(gap))]
    return (
        f"Best over the {len(shared)} Action Units of all sources: `{best}`, by IoU less chance. Within two standard "
        f"errors of it, and so not told apart: {', '.join(f'`{name}`' for name in close) or 'none'}."
    )


def main() -> None:
    """Render, measure, write."""
    os.environ.setdefault("XFER_ASSETS", str(SHARED / "models"))
    kit = ict.load(SHARED / "data" / "ict_facekit" / "ict_facekit.npz")
    crowd = ict.people(PEOPLE)
    with landmarkers.open("mediapipe") as finder:
        table, meshes = found(finder, kit, crowd)
    fitted = fits(kit, crowd, meshes)
    versions = ", ".join(f"{name} {version(name)}" for name in ("mediapipe", "numpy", "scipy"))
    lines = [
        "# ICT's face kit: faces that nobody here drew", "",
        f"{PEOPLE} people (the mean head and {PEOPLE - 1} seeded draws of ten identity modes), {SIZE} px, landmarks by",
        f"the kit's own vertices. {versions}, Python {platform.python_version()}.", "",
        "## MediaPipe's landmarks on the rendered faces", "",
        "Median distance in inter-ocular distances (IOD) of its 68-point subset from the kit's 68 vertices.", "",
        *table, "", "## Regions against the pixels that each blendshape moves", "",
        "Each cell: IoU of the region with as many pixels, those that move most; the probability that a pixel of the",
        "region moves farther than one outside (AUC); in brackets the place of this region's IoU among all regions of",
        "the source. Within jaw and forehead arch of the neutral face, mean over people; the best IoU and AUC of a row",
        "in bold. The last column names the best IoU less chance, which is what as many pixels taken at random would",
        "reach. A pixel moves by what leaves it or by what arrives at it, whichever goes farther.", "",
        *fit_table(fitted), "",
        "Means over Action Units, other readings left out; ± is the standard error over Action Units of the paired",
        "difference from xfer in IoU less chance.", "",
        *means(fitted), "", verdict(fitted), "", WORDS,
    ]  # fmt: skip
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
