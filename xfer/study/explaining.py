"""One unit of explaining: a network, the faces it never saw, every explainer, from one look at each face."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from xfer.datasets.samples import Dropped
from xfer.errors import InputError, unknown
from xfer.explainers import EXPLAINERS, LAYER, SilentLayerError, choose, misfits, trace
from xfer.explainers.state import place, still
from xfer.geometry import CanonicalFrame
from xfer.labels import IMAGE
from xfer.models.layers import Layer
from xfer.study.accumulation import Accumulator
from xfer.study.face_maps import FaceMaps, single_maps, stacked
from xfer.study.selecting import Part, SelectedFaces
from xfer.study.sums import Sums
from xfer.training import Pixels, Settings, inputs
from xfer.training.evaluation import table
from xfer.warping import FLIPPED_TOLERANCE, Warped, to_frame

SELECTIONS = ("true", "shown", "predicted")
"""Whose map a face's is: of the expression it shows, correct faces apart or not, or of the one the network sees."""

Watch = Callable[[NDArray[np.intp], Tensor], None]

TURNED = f"turned-over triangles take more than {FLIPPED_TOLERANCE:.0%} of the face"
NO_EYES = "the outer eye corners coincide"
NOT_FINITE = "a heatmap that is not finite"

_WARPED = 8
"""Faces brought to the frame at once: memory does not grow with the batch."""


@dataclass(frozen=True)
class Explained:
    """What one network's test faces gave.

    Attributes
    ----------
    sums : Sums
    predictions : DataFrame
        As `xfer.training.evaluate` returns them, of every face that could be decoded.
    left_out : tuple of Dropped
        Faces that are predicted but in no heatmap, and why.
    maps : FaceMaps or None
        Where they were asked for.
    tables : mapping of str to DataFrame
        What a witness kept of them.
    silent : str
        Why a part has nothing to explain its faces by; "" where it has.
    """

    sums: Sums
    predictions: pd.DataFrame
    left_out: tuple[Dropped, ...]
    maps: FaceMaps | None
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    silent: str = ""

    @property
    def reasons(self) -> dict[str, int]:
        """How many faces were left out for each reason."""
        return dict(Counter(face.reason for face in self.left_out))


def explain_faces(
    model: nn.Module,
    pixels: Pixels,
    test: ArrayLike,
    settings: Settings,
    *,
    layer: Layer | None,
    blocks: ArrayLike,
    frame: CanonicalFrame,
    facts: Mapping[str, Any],
    explainers: str | Iterable[str] = "all",
    lacking: Iterable[str] = (),
    landmarks: ArrayLike | None = None,
    support: NDArray[np.bool_] | None = None,
    selection: str = "true",
    per_class: int = 0,
    drawn_by: int | None = None,
    device: str = "cpu",
    batch_size: int = 32,
    per_face: bool = False,
    methods: Mapping[str, Mapping[str, Any]] | None = None,
    watch: Watch | None = None,
    tick: Callable[[], None] | None = None,
    part: Part | None = None,
) -> Explained:
    """Predict test faces, explain them, and add their heatmaps up in the frame, in float32.

    Logits and maps come from one forward, but for faces drawn by prediction, which are predicted first. The network
    is left as it was. On one machine the result follows from the arguments to the last bit; with another batch size
    networks round otherwise, and methods that draw at random draw otherwise.

    Parameters
    ----------
    model : nn.Module
    pixels : Pixels
    test : sequence of int
        Positions in the data set; those that could not be decoded are passed over (`Pixels.dropped`).
    settings : Settings
        Those it was trained with; `seed` draws faces, `threads` are used.
    layer : Layer or None
        Where the maps are read; None for a network that gives logits only.
    blocks : sequence of int (face of test,)
        The block of its subject; there are as many as the highest number says, at most 200.
    frame : CanonicalFrame
    facts : mapping
        Facts of the sums: model, guide, seed and fold as the key has them, and whatever else JSON holds; the layer
        and what is explained are added.
    explainers : str or iterable of str
        Those that do not apply to the network are left out, and named among the facts as ``left_out``.
    lacking : iterable of str
        Expressions that the network has no class for: unless a face counts for what the network sees, faces that show
        them are only predicted.
    landmarks : array (face of test, 68, 2), optional
        (x, y) in px of the small pictures, NaN where there are none; the published ones of `pixels` by default.
    support : bool array (y, x), optional
        What the sums of blocks keep; the frame's by default.
    selection : {"true", "shown", "predicted"}
        "true": a face counts for the expression it shows, correct faces apart from incorrect ones; unlabelled faces
        are only predicted. "shown": the same, all faces together. "predicted": for the expression the network sees.
    per_class : int
        The most faces of one expression, drawn among those with landmarks; 0 for all.
    drawn_by : int, optional
        The seed that draws them; the settings' by default.
    device : str
    batch_size : int
        Faces in one forward.
    per_face : bool
        Return every face's maps too, which memory grows with.
    methods : mapping, optional
        Per family of explainers its own settings, see `xfer.explainers.families.FAMILIES`.
    watch : callable, optional
        Is shown every batch of faces that are in a heatmap: positions in the data set and the raw maps in the frame
        (face, explainer, y, x), NaN outside the photograph.
    tick : callable, optional
        Called once a face.
    part : Part, optional
        All that is returned is of some faces only. Those are in batches as if all were explained, so that parts
        together have the same maps; faces drawn by prediction have none.

    Raises
    ------
    InputError
        If `selection` or an explainer is unknown, no gradient of any face reaches the layer, or the network cannot
        be explained there (see `xfer.explainers.trace`).
    """
    if selection not in SELECTIONS:
        raise unknown("selection", selection, SELECTIONS)
    drawn = settings.seed if drawn_by is None else drawn_by
    faces = SelectedFaces.of(pixels, test, landmarks, blocks).choose(pixels, selection, lacking, per_class, drawn)
    chosen = [explainer.name for explainer in choose(explainers)]
    if faces.index.size:
        chosen, gone = _applying(model, inputs(pixels, faces.index[:1], settings), chosen, layer)
        facts = {**facts, **gone}
    layerless = [name for name in chosen if EXPLAINERS[name].family != LAYER]
    where, grid = (layer.name, list(layer.grid)) if layer else (IMAGE, [])
    whole = {**facts, "layer": where, "grid": grid, "layerless": layerless}
    whole |= {"selection": selection, "per_class": per_class}
    count = int(np.max(np.asarray(blocks), initial=0)) + 1
    total = Accumulator(chosen, frame.support if support is None else support, count, device)
    at_hand = (methods or {}, watch or (lambda index, maps: None), tick or (lambda: None))
    unit = _Unit(model, pixels, settings, layer, chosen, frame, device, batch_size, total, *at_hand)
    with _at_work(model, settings.threads, device):
        logits, kept, own = unit.run(faces, selection, per_class, drawn, per_face, part)
    if unit.silent and not unit.heard and part is None:
        raise unit.silent
    silent = str(unit.silent) if unit.silent and not unit.heard else ""
    predictions = table(pixels, faces.row[own], logits[own].softmax(1).numpy())
    told = zip(faces.row[own], faces.reason[own], strict=True)
    left_out = tuple(Dropped(pixels.ids[row], reason) for row, reason in told if reason)
    return Explained(total.finish(whole), predictions, left_out, kept, silent=silent)


@dataclass
class _Unit:
    """The pass over the faces."""

    model: nn.Module
    pixels: Pixels
    settings: Settings
    layer: Layer | None
    explainers: list[str]
    frame: CanonicalFrame
    device: str
    batch: int
    total: Accumulator
    methods: Mapping[str, Mapping[str, Any]]
    watch: Watch
    tick: Callable[[], None]
    silent: SilentLayerError | None = None
    heard: bool = False

    def run(
        self, faces: SelectedFaces, selection: str, per_class: int, drawn_by: int, per_face: bool, part: Part | None
    ) -> tuple[Tensor, FaceMaps | None, NDArray[np.bool_]]:
        """Logits (face, class) on the CPU, single maps where asked for, and whose faces' they are; sums to `total`."""
        logits = torch.zeros((len(faces.row), len(self.pixels.classes)))
        known = np.zeros(len(faces.row), bool)
        classes = faces.label if selection != "predicted" else None
        if classes is None and per_class:
            self._predict(faces, np.arange(len(known)), logits)
            classes, known[:] = logits.argmax(1).numpy(), True
            faces.draw(classes, per_class, drawn_by)
        order = faces.in_blocks()
        others = np.setdiff1d(np.arange(len(known)), order)
        own = np.ones(len(known), bool) if part is None else part.own(faces, order, others)
        self._predict(faces, others[~known[others]], logits, own)
        self._tick(others[own[others]])
        single: list[NDArray[np.float32]] = []
        for batch in self._batches(order, own):
            found, maps = self._trace(faces.index[batch], None if classes is None else classes[batch])
            logits[batch[~known[batch]]] = found[~known[batch]]
            targets = found.argmax(1).numpy() if classes is None else classes[batch]
            correct = logits[batch].argmax(1).numpy() == faces.label[batch]
            self._add(faces, batch, maps, targets, correct if selection == "true" else None, own)
            single += [stacked(maps)[own[batch]]] if per_face else []
            self._tick(batch[own[batch]])
        if not per_face:
            return logits, None, own
        if classes is None:
            classes = logits.argmax(1).numpy()
        if not single:
            single = [np.zeros((0, len(self.explainers), *(self.layer.grid if self.layer else (1, 1))), np.float32)]
        mine = order[own[order]]
        return logits, single_maps(faces, mine, classes, self.explainers, np.concatenate(single)), own

    def _batches(self, order: NDArray[np.intp], own: NDArray[np.bool_]) -> Iterator[NDArray[np.intp]]:
        """Those of all faces in which some face counts."""
        batches = (order[start : start + self.batch] for start in range(0, len(order), self.batch))
        return (batch for batch in batches if own[batch].any())

    def _tick(self, faces: NDArray[np.intp]) -> None:
        for _ in faces:
            self.tick()

    def _predict(
        self, faces: SelectedFaces, some: NDArray[np.intp], logits: Tensor, own: NDArray[np.bool_] | None = None
    ) -> None:
        for batch in self._batches(some, np.ones(len(logits), bool) if own is None else own):
            logits[batch] = self._forward(faces.index[batch])

    def _forward(self, index: NDArray[np.intp]) -> Tensor:
        """Logits (face, class) on the CPU."""
        with torch.inference_mode():
            found: Tensor = self.model(inputs(self.pixels, index, self.settings).to(self.device))
        return found.float().cpu()

    def _trace(self, index: NDArray[np.intp], targets: NDArray[np.int64] | None) -> tuple[Tensor, list[Tensor]]:
        """Logits (face, class) on the CPU, and of each explainer the raw maps (face, gy, gx); of silent faces zeros."""
        images, wanted = inputs(self.pixels, index, self.settings), "predicted" if targets is None else targets
        options: dict[str, Any] = {"layers": (self.layer,) if self.layer else (), "batch_size": len(index)}
        try:
            seen = trace(self.model, images, self.explainers, wanted, settings=self._methods(index), **options)
        except SilentLayerError as silent:
            assert self.layer is not None
            self.silent = silent
            nothing = torch.zeros((len(index), *self.layer.grid), device=self.device)
            return self._forward(index), [nothing] * len(self.explainers)
        self.heard = True
        found = {name: maps for by in seen.maps.values() for name, maps in by.items()}
        return seen.logits.float().cpu(), [found[name][:, 0].float() for name in self.explainers]

    def _methods(self, index: NDArray[np.intp]) -> dict[str, dict[str, Any]]:
        """What families of explainers are told of a batch: its scale of pixels, its landmarks, a seed of its own."""
        seed = int(np.random.SeedSequence([self.settings.seed, int(index[0])]).generate_state(1)[0])
        known: dict[str, Any] = {"mean": self.settings.mean, "std": self.settings.std, "seed": seed}
        points = self.pixels.landmarks[self.pixels.rows(index)]
        told = {"gradient": known, "perturbation": {**known, "landmarks": points}}
        return {family: {**own, **self.methods.get(family, {})} for family, own in told.items()}

    def _add(
        self,
        faces: SelectedFaces,
        batch: NDArray[np.intp],
        maps: Sequence[Tensor],
        targets: NDArray[np.int64],
        correct: NDArray[np.bool_] | None,
        own: NDArray[np.bool_],
    ) -> None:
        """Bring maps to the frame and add those up that can be and count; the others' reasons are noted."""
        finite = torch.stack([each.isfinite().flatten(1).all(1) for each in maps]).all(0).cpu().numpy()
        faces.reason[batch[~finite]] = NOT_FINITE
        sound = np.flatnonzero(finite)
        points = torch.from_numpy(faces.points[batch]).to(maps[0].device)
        for start in range(0, len(sound), _WARPED):
            part = sound[start : start + _WARPED]
            values, warped = self._warped([each[part] for each in maps], points[part])
            kept = warped.kept.cpu().numpy()
            turned = (warped.flipped_share > FLIPPED_TOLERANCE).cpu().numpy()
            faces.reason[batch[part[~kept]]] = np.where(turned[~kept], TURNED, NO_EYES)
            kept &= own[batch[part]]
            if not kept.any():
                continue
            part = part[kept]
            names = [self.pixels.classes[target] for target in targets[part]]
            outcomes = ["all" if correct is None else "correct" if correct[i] else "incorrect" for i in part]
            self.total.add(values[kept], names, outcomes, faces.block[batch[part]].tolist())
            self.watch(faces.index[batch[part]], values[kept])

    def _warped(self, maps: Sequence[Tensor], points: Tensor) -> tuple[Tensor, Warped]:
        """Maps in the frame (face, explainer, y, x), and how the faces were warped; one warp per grid."""
        grids = list(dict.fromkeys(each.shape for each in maps))
        together = [[i for i, each in enumerate(maps) if each.shape == grid] for grid in grids]
        size = (self.pixels.size, self.pixels.size)
        made = [to_frame(torch.stack([maps[i] for i in some], 1), points, self.frame, size=size) for some in together]
        order = np.argsort([i for some in together for i in some])
        return torch.cat([each.values for each in made], 1)[:, order], made[0]


def _applying(
    model: nn.Module, images: Tensor, chosen: Sequence[str], layer: Layer | None
) -> tuple[list[str], dict[str, dict[str, str]]]:
    """Those of the explainers that apply to the network, and the fact why others do not."""
    gone = misfits(model, images, chosen, layer=layer or "auto")
    applying = [name for name in chosen if name not in gone]
    if not applying:
        raise InputError("; ".join(gone.values()))
    return applying, {"left_out": gone} if gone else {}


@contextmanager
def _at_work(model: nn.Module, threads: int, device: str) -> Iterator[None]:
    """The network on its device and still, so many threads (0: as they are); everything as it was afterwards."""
    before = torch.get_num_threads()
    home, _ = place(model)
    try:
        torch.set_num_threads(threads or before)
        model.to(device)
        with still(model):
            yield
    finally:
        model.to(home)
        torch.set_num_threads(before)
