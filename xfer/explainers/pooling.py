"""LIME and KernelSHAP for the mean over many faces: a few coalitions a face in place of a thousand.

Only the mean map in the canonical frame matters, so each face's estimate may be noisy as long as it is not biased. The
normal equations of both methods are known before anything is drawn; with the expected ones in place of the drawn ones
an estimate is linear in what the network said, hence unbiased from eight coalitions on (for Shapley values: Covert and
Lee 2021, doi:10.48550/arXiv.2012.01536). The positive part, which the published study averages, is not linear and
biased upwards by noise; with the sign from one half of the coalitions and the value from the other it is not for parts
that do nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from xfer.errors import InputError, unknown
from xfer.explainers.designs import DESIGNS, generator, paired
from xfer.explainers.evidence import ESTIMATES, LEAST, Estimate, Evidence
from xfer.explainers.families import Look
from xfer.explainers.images import Photographs, check_images
from xfer.explainers.perturbation import Perturbation, Scene
from xfer.explainers.players import Players
from xfer.explainers.pooled_maps import Pooled, Round, Sums, cross_fitted
from xfer.explainers.shared_pass import logits_of
from xfer.explainers.state import check_finite, place, still
from xfer.explainers.targets import Targets, columns, read_targets
from xfer.geometry import CanonicalFrame, load_frame
from xfer.warping import to_frame

__all__ = ["pooled"]

WARPED = 8
"""Faces brought to the frame at once."""

POOLED = 103
"""The purpose in the seed of the coalitions."""


def pooled(
    model: nn.Module,
    images: Tensor | Photographs,
    landmarks: Any,
    method: str = "lime",
    targets: Any = "predicted",
    *,
    frame: str | CanonicalFrame = "xfer",
    settings: Mapping[str, Any] | None = None,
    start: int = 16,
    tolerance: float = 0.1,
    budget: int | None = None,
    batch_size: int = 32,
) -> Pooled:
    """The mean map of LIME or KernelSHAP over faces, sampled until its standard error is small enough.

    Coalitions a face double from round to round until the tolerance is reached, a face has as many as the full recipe
    draws (``settings["samples"]``, 1,000 by default), or the budget is spent.

    Parameters
    ----------
    model : nn.Module
        Images in, logits (face, class) out; left as it was.
    images : tensor (face, channel, y, x) or Photographs
    landmarks : array (face, 68, 2)
        In px of the images.
    method : {"lime", "kernel_shap"}
    targets : str, int or array-like
        As `xfer.explainers.attribute` takes them; each column is pooled over the faces.
    frame : str or CanonicalFrame
    settings : mapping, optional
        Of `xfer.explainers.perturbation.Perturbation`.
    start : int
        Coalitions a face in the first round, at least 8.
    tolerance : float
        Of `Round.error`; 0.2 is a correlation of 0.98 with the map of endless sampling, 0.1 one of 0.995.
    budget : int, optional
        The most images through the network.
    batch_size : int
        The most images in one forward.

    Raises
    ------
    InputError
        If something does not fit, no face can be brought to the frame, or the budget is too small for one round.

    Examples
    --------
    >>> net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(16, 2))
    >>> points = load_frame().points[:68] / 5
    >>> found = pooled(net, torch.rand(3, 3, 55, 45), [points] * 3, settings={"segments": "grid"}, tolerance=9)
    >>> tuple(found.signed.shape), found.faces, found.rounds[0].samples, found.stopped
    ((1, 275, 224), 3, 16, 'tolerance')
    """
    run = _Run.of(model, images, landmarks, method, targets, frame, settings or {}, batch_size)
    if start < LEAST:
        raise InputError(f"'start' must be at least {LEAST} coalitions a face; got {start}")
    check_finite(model)
    rounds: list[Round] = []
    with torch.inference_mode(False), still(model):
        while True:
            more, stopped = run.more(start, budget)
            if not more:
                break
            sums = run.round(more)
            rounds.append(sums.summary(run.samples, run.forwards))
            if rounds[-1].error <= tolerance:
                stopped = "tolerance"
                break
    left_out = tuple((~run.kept).nonzero().flatten().tolist())
    return Pooled(*sums.maps(), int(run.kept.sum()), left_out, tuple(rounds), stopped)


@dataclass
class _Batch:
    """What is kept of a batch of faces from round to round."""

    classes: Tensor
    gains: tuple[Tensor, Tensor]
    halves: tuple[Evidence, Evidence] | None = None


@dataclass
class _Run:
    """The passes over the faces."""

    model: nn.Module
    images: Tensor | Photographs
    points: Tensor
    kept: Tensor
    estimate: Estimate
    targets: Targets
    frame: CanonicalFrame
    settings: Perturbation
    batch_size: int
    samples: int = 0
    forwards: int = 0
    memory: dict[int, _Batch] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        model: nn.Module,
        images: Tensor | Photographs,
        landmarks: Any,
        method: str,
        targets: Any,
        frame: str | CanonicalFrame,
        settings: Mapping[str, Any],
        batch_size: int,
    ) -> "_Run":
        """A run from what a caller gave, checked before any work."""
        check_images(images)
        if method not in ESTIMATES:
            raise unknown("method", method, ESTIMATES)
        canvas = load_frame(frame) if isinstance(frame, str) else frame
        points = torch.as_tensor(np.asarray(landmarks)).double()
        if points.shape != (len(images), 68, 2):
            raise InputError(
                f"'landmarks' must be ({len(images)}, 68, 2), one face to an image; got {tuple(points.shape)}"
            )
        finite = points.isfinite().flatten(1).all(1)
        if not finite.any():
            raise InputError("no face has finite landmarks: none can be brought to the frame")
        points = torch.where(finite[:, None, None], points, torch.tensor(canvas.points[:68]))
        made = Perturbation.read({"landmarks": points, **settings})
        if made.samples < LEAST:
            raise InputError(f"'samples' must be at least {LEAST} to pool; got {made.samples}")
        wanted = read_targets(targets, len(images))
        return cls(model, images, points, finite, ESTIMATES[method], wanted, canvas, made, batch_size)

    @property
    def first(self) -> int:
        """Images a face that the first round needs besides coalitions: the whole, and nothing where that is read."""
        return DESIGNS[self.estimate.design].fixed

    def more(self, start: int, budget: int | None) -> tuple[int, str]:
        """How many coalitions a face gets next, a multiple of 4; 0 and why where none."""
        left = self.settings.samples - self.samples
        more, reason = min(self.samples or start, left), "samples"
        if budget is not None:
            faces = int(self.kept.sum())
            room = (budget - self.forwards) // max(faces, 1) - (0 if self.samples else self.first)
            if room < more:
                more, reason = room, "budget"
            if not self.samples and room < LEAST:
                raise InputError(
                    f"'budget' must be at least {(LEAST + self.first) * faces} images for {faces} faces; got {budget}"
                )
        more -= more % 4
        return (more, "") if more > 0 else (0, reason)

    def round(self, more: int) -> Sums:
        """Give every face that is kept more coalitions, and add its maps up anew."""
        sums: Sums | None = None
        device, dtype = place(self.model)
        for start in range(0, len(self.images), self.batch_size):
            images = self.images[start : start + self.batch_size].to(device, dtype)
            scene, batch = self._seen(images, start)
            coefficients = self._coefficients(scene, batch, start, more)
            sums = sums or Sums.empty(self.frame, batch.classes.shape[1], device)
            self._add(sums, scene, coefficients, start)
        assert sums is not None
        self.samples += more
        if not self.kept.any():
            raise InputError("every face is turned too far to be brought to the frame")
        return sums

    def _seen(self, images: Tensor, start: int) -> tuple[Scene, _Batch]:
        """The scene of a batch; on first sight also what the network says to the whole, and to nothing."""
        known = self.memory.get(start)
        empty = images.new_zeros(len(images), 1)
        look = Look(self.model, images, empty, known.classes if known else empty, start, self.batch_size)
        scene = Scene(look, self.settings)
        if known:
            return scene, known
        with scene.precision():
            logits = logits_of(self.model, images).double()
        classes = columns(self.targets, logits, start)
        scene = Scene(replace(look, logits=logits, classes=classes), self.settings)
        whole = (logits.softmax(1) if self.settings.output == "probability" else logits).gather(1, classes)
        nothing = torch.zeros_like(whole)
        self.forwards += len(images)
        if self.first > 1:
            none = torch.zeros(len(images), 1, scene.players.most, dtype=torch.bool, device=images.device)
            nothing = scene.coalitions(none)[:, 0]
            self.forwards += len(images)
        self.memory[start] = _Batch(classes, (whole, nothing))
        return scene, self.memory[start]

    def _coefficients(self, scene: Scene, batch: _Batch, start: int, more: int) -> Tensor:
        """Coefficients (face, player, 4 target): signed, positive, corrected, and half the difference of the halves."""
        players, device, made = scene.players.counts, scene.look.images.device, self.settings
        draw, ours = DESIGNS[self.estimate.design].draw, self.kept[start : start + len(players)].tolist()
        rows = torch.zeros(len(players), more, scene.players.most, dtype=torch.bool)
        centred = torch.zeros(rows.shape, dtype=torch.float64)
        for face, count in enumerate(players):
            chance = generator(made.seed, start + face, POOLED, self.samples)
            rows[face, :, :count] = paired(draw(count, more, chance)[::2])  # a kernel's rows are pairs already
            centred[face, :, :count] = rows[face, :, :count].double() - self.estimate.centre(count, made)
        rows, centred = rows.to(device), centred.to(device)
        values = scene.coalitions(rows, [more if own else 0 for own in ours])
        self.forwards += more * sum(ours)
        weights = self.estimate.weights(rows.sum(2), torch.tensor(players, device=device)[:, None], made)
        halves = [
            Evidence.of(centred[:, part], values[:, part], weights[:, part])
            for part in (slice(0, more // 2), slice(more // 2, more))
        ]
        before = batch.halves
        batch.halves = (halves[0] + before[0], halves[1] + before[1]) if before else (halves[0], halves[1])
        one, two = (self.estimate.solve(half, players, batch.gains, made) for half in batch.halves)
        whole = self.estimate.solve(batch.halves[0] + batch.halves[1], players, batch.gains, made)
        return torch.cat([whole, whole.clamp_min(0), cross_fitted(one, two), (one - two) / 2], 2)

    def _add(self, sums: Sums, scene: Scene, coefficients: Tensor, start: int) -> None:
        """Bring a batch's maps to the frame; faces that cannot be are left out from now on."""
        size = (scene.look.images.shape[-2], scene.look.images.shape[-1])
        players = scene.players
        for first in range(0, len(coefficients), WARPED):
            part = slice(first, first + WARPED)
            maps = Players(players.parts[part], players.counts[part]).paint(coefficients[part]).float()
            own = slice(start + first, start + first + len(maps))
            warped = to_frame(maps, self.points[own].to(maps.device), self.frame, size=size)
            self.kept[own] &= warped.kept.cpu()
            sums.add(warped.values[self.kept[own].to(maps.device)])
