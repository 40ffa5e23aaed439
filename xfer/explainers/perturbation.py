"""The perturbation engine: masked forwards of any network or black box, for all classes at once.

A method says what of each face is seen (`xfer.explainers.veils`); the engine fills batches with masked images, whatever
faces they come from, and hands back what the network said. Nothing of the size samples x image is ever held.
"""

import weakref
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from xfer.errors import InputError
from xfer.explainers.baselines import baseline_images
from xfer.explainers.catalogue import Explainer
from xfer.explainers.designs import Bank
from xfer.explainers.families import FAMILIES, Look
from xfer.explainers.folding import folded
from xfer.explainers.players import Players
from xfer.explainers.recipe import FAMILY, OUTPUTS, Perturbation
from xfer.explainers.segments import face_players
from xfer.explainers.shared_pass import logits_of
from xfer.explainers.veils import Coalitions, Veils

__all__ = ["FAMILY", "OUTPUTS", "Perturbation", "Scene", "perturbation"]

CPU_PIXELS, CPU_IMAGES = 1 << 17, 4
"""Pixels of one forward on a processor, whose caches larger batches leave; but so many images at least."""

VIEW = "view size is not compatible"
"""What torch says of a network that flattens features by ``view``, which the channels-last layout does not allow."""

METHODS = {"lime": "coin", "kernel_shap": "kernel"}
"""The design of each method that shares a bank."""


class Scene:
    """A batch of faces and what is asked of them: everything the methods of the family share.

    Parameters
    ----------
    look : Look
    settings : Perturbation
    methods : sequence of str
        The explainers asked for.
    """

    def __init__(self, look: Look, settings: Perturbation, methods: Sequence[str] = ()) -> None:
        self.look, self.settings = look, settings
        self._last = settings.channels_last or _last(look.images)
        self._methods = tuple(methods)

    @cached_property
    def baseline(self) -> Tensor:
        """What stands in place of what is hidden (face, channel, y, x)."""
        made = self.settings
        return baseline_images(
            made.baseline, self.look.images, mean=made.mean, std=made.std, seed=made.seed, start=self.look.start
        )

    @cached_property
    def players(self) -> Players:
        """The parts of every face."""
        made = self.settings
        return face_players(
            self.look.images,
            made.segments,
            self.look.start,
            pieces=made.pieces,
            compactness=made.compactness,
            regions=made.regions,
            landmarks=made.landmarks,
            mean=made.mean,
            std=made.std,
        )

    def bank(self, design: str) -> Bank:
        """Rows of a design, or with `Perturbation.share` of all designs that the methods asked for draw from."""
        if not self.settings.share:
            return self._bank((design,))
        return self._shared

    @cached_property
    def _shared(self) -> Bank:
        return self._bank(tuple(design for name, design in METHODS.items() if name in self._methods))

    @property
    def effective(self) -> dict[str, Tensor]:
        """Of methods that share rows, how many of their own design these are worth (face,)."""
        if "_shared" not in self.__dict__:
            return {}
        return {name: self._shared.effective(METHODS[name]) for name in METHODS if name in self._methods}

    def _bank(self, designs: tuple[str, ...]) -> Bank:
        counts, made = self.players.counts, self.settings
        rows = Bank.draw(counts, designs, made.samples, made.seed, self.look.start).to(self.look.images.device)
        values = self.coalitions(rows)
        return Bank(rows, counts, designs, made.samples, values)

    def coalitions(self, rows: Tensor, counts: Sequence[int] | None = None) -> Tensor:
        """What the network says to coalitions (face, row, player): float64 (face, row, target)."""
        full = counts or (rows.shape[1],) * len(rows)
        return self.outputs(Coalitions(self.players, rows, tuple(full)))

    def outputs(self, veils: Veils, output: str = "") -> Tensor:
        """What the network says to veiled faces, all classes explained: float64 (face, row, target).

        Parameters
        ----------
        veils : Veils
        output : str
            One of `OUTPUTS`; by default the settings'.
        """
        look, output = self.look, output or self.settings.output
        found = look.logits.new_zeros(len(look.images), max(veils.counts), look.classes.shape[1], dtype=torch.float64)
        layout = torch.channels_last if self._last else torch.contiguous_format
        size = self.at_once
        space = torch.empty_like(look.images[:1].expand(size, -1, -1, -1), memory_format=layout)
        tick = look.progress("hiding parts of faces", sum(veils.counts))
        for batch in _batches(veils.counts, size):
            filled = 0
            for face, rows in batch:
                part = space[filled : filled + rows.stop - rows.start]
                self._mask(face, veils.seen(face, rows), part)
                filled += len(part)
            said = self._said(space[:filled], output)
            for (face, rows), own in zip(batch, said.split([b.stop - b.start for _, b in batch]), strict=True):
                found[face, rows] = own[:, look.classes[face]]
            for _ in range(filled):
                tick()
        return found

    def project(self, veils: Veils, weights: Tensor) -> Tensor:
        """Sums of the veils (face, target, y, x), weighted by (face, row, target)."""
        sums = []
        for face, count in enumerate(veils.counts):
            total: Tensor | float = 0.0
            for start in range(0, count, self.look.batch_size):
                rows = slice(start, min(start + self.look.batch_size, count))
                seen = veils.seen(face, rows).to(weights.dtype)
                total = total + torch.einsum("rt,ryx->tyx", weights[face, rows], seen)
            sums.append(torch.as_tensor(total))
        return torch.stack(sums)

    def finished(self, maps: Tensor) -> Tensor:
        """Maps in the images' floating type, at least float32."""
        return maps.to(torch.promote_types(self.look.images.dtype, torch.float32))

    @property
    def at_once(self) -> int:
        """Images in one forward: the batch size, on a processor fewer of large ones."""
        images = self.look.images
        if images.device.type != "cpu":
            return self.look.batch_size
        return min(self.look.batch_size, max(CPU_IMAGES, CPU_PIXELS // images[0, 0].numel()))

    def precision(self) -> AbstractContextManager[Any]:
        """Autocast where it was asked for."""
        if not self.settings.autocast:
            return nullcontext()
        return torch.autocast(self.look.images.device.type, torch.bfloat16)

    def _mask(self, face: int, seen: Tensor, out: Tensor) -> None:
        image, hidden, seen = self.look.images[face, None], self.baseline[face, None], seen[:, None]
        if seen.dtype == torch.bool:
            torch.where(seen, image, hidden, out=out)
        else:
            torch.lerp(hidden, image, seen.to(image.dtype), out=out)

    def _said(self, images: Tensor, output: str) -> Tensor:
        wide = self._logits(images if self._last else images.contiguous()).double()
        return wide.softmax(1) if output == "probability" else wide

    @cached_property
    def _network(self) -> nn.Module:
        """The network, folded where that saves time: in float32 and wider, whose rounding does not matter."""
        look = self.look
        if look.images.dtype.itemsize < 4:
            return look.model
        network = folded(look.model, look.images[:1], look.logits[:1])
        if network is not look.model:  # a traced copy holds itself: its weights go with the scene, not when collected
            weakref.finalize(self, network.to, "meta").atexit = False
        return network

    def _logits(self, images: Tensor) -> Tensor:
        try:
            with self.precision():
                return logits_of(self._network, images)
        except RuntimeError as refusal:
            if VIEW not in str(refusal) or not _last(images):
                raise
            self._last = False
            return self._logits(images.contiguous())


def _last(images: Tensor) -> bool:
    return images.is_contiguous(memory_format=torch.channels_last) and not images.is_contiguous()


def _batches(counts: Sequence[int], size: int) -> Iterator[list[tuple[int, slice]]]:
    """Slices of rows, face after face, `size` rows together."""
    batch: list[tuple[int, slice]] = []
    room = size
    for face, count in enumerate(counts):
        start = 0
        while start < count:
            stop = min(count, start + room)
            batch.append((face, slice(start, stop)))
            room -= stop - start
            start = stop
            if not room:
                yield batch
                batch, room = [], size
    if batch:
        yield batch


def _check(settings: Mapping[str, Any], faces: int) -> None:
    for name, count in Perturbation.read(settings).per_face().items():
        if count != faces:
            raise InputError(f"{name!r} is given for {count} faces; there are {faces}")


@FAMILIES.register(FAMILY, gradients=False, check=_check)
def perturbation(look: Look, explainers: Sequence[Explainer]) -> dict[str, Tensor]:
    """Maps (face, target, y, x) of methods that hide parts of the image, each a function of a `Scene`."""
    names = [explainer.name for explainer in explainers]
    scene = Scene(look, Perturbation.read(look.settings), names)
    maps = {explainer.name: scene.finished(explainer(scene)) for explainer in explainers}
    look.effective.update(scene.effective)
    return maps
