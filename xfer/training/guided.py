"""The loss of guided training: the plain one, and a term for where the network looks."""

import json
from collections.abc import Sequence
from hashlib import sha256
from math import nan
from typing import Any

import torch
from torch import Tensor, nn

from xfer import masks
from xfer.guidance import ABSENT, Guidance, Guide
from xfer.training.batches import Batch, classification

ABSENT_COLUMNS = {name: f"absent_{name}" for name in ABSENT}
"""The log's columns of faces that took no part, by reason."""


class GuidedLoss:
    """Cross entropy, and the guide's weight times the mean of its term over the faces that take part.

    A face without landmarks, of an expression without Action Units, or at which the guided layer is silent, takes no
    part; a batch without any other has the term 0. Where several processes train together, the mean is over the faces
    of all of them.

    Parameters
    ----------
    model : nn.Module
        The network that is trained; its layers are looked up once.
    guide : Guide
    classes : sequence of str
        The expressions, in the order of the logits.
    size : int
        Side of the faces, px.

    Attributes
    ----------
    guide : Guide
    digest : str
        Of the guide and the maps it draws.
    told : tuple of float, int
        The mean term of the last batch, NaN where no face took part, and how many did, in this process.
    absent : dict of str to int
        How many of the last batch did not, by the reasons of `xfer.guidance.ABSENT`, in this process.

    Raises
    ------
    InputError
        As `xfer.guidance.Guidance`: a layer that is not there, a codebook without one of the classes.
    """

    def __init__(self, model: nn.Module, guide: Guide, classes: Sequence[str], size: int) -> None:
        self.guide, self.digest = guide, guide_digest(guide)
        self._guidance = Guidance(model, guide, tuple(classes), size)
        self.told: tuple[float, int] = (nan, 0)
        self.absent = dict.fromkeys(ABSENT, 0)

    def __call__(self, model: nn.Module, batch: Batch) -> Tensor:
        """The loss of a batch; `told` is of it then."""
        logits, terms = self._guidance(model, batch.images, batch.labels, batch.landmarks)
        absent = self._guidance.absent[: batch.faces]
        faces, *others = torch.bincount(absent, minlength=1 + len(ABSENT)).tolist()
        self.absent = dict(zip(ABSENT, others, strict=True))
        (everyone,) = batch.place.total(faces)
        loss = classification(logits, batch)
        if not faces:
            self.told = (nan, 0)
            return loss
        term = terms[~terms.isnan()].mean()
        self.told = (float(term.detach()), faces)
        share = batch.place.ranks.processes * faces / everyone
        return loss + self.guide.weight_at(batch.progress) * (term * share)


def guide_facts(guide: Guide) -> dict[str, Any]:
    """What a guided training is told by in a study's configuration and in the file of the weights.

    The mask source goes by its name, whatever file it came from, and by the digest of its masks.

    >>> guide_facts(Guide(control="none", output_stride=8))
    {'control': 'none', 'output_stride': 8}
    >>> guide_facts(Guide(masks="ekman"))["masks"]
    'ekman'
    """
    if guide.control == "none":
        return {"control": guide.control, "output_stride": guide.output_stride}
    drawn = masks.load(guide.masks)
    return {**guide.config(), "masks": str(drawn.name), "masks_digest": drawn.attrs["digest"]}


def guide_digest(guide: Guide) -> str:
    """The sha256 (hex) of `guide_facts`."""
    return sha256(json.dumps(guide_facts(guide), sort_keys=True).encode()).hexdigest()
