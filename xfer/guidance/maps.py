"""The maps that guide: drawn on the fly for a batch of faces, wherever the faces have moved, at any resolution."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from xfer.errors import InputError
from xfer.guidance.atlas import Atlas
from xfer.guidance.controls import CONTROLS
from xfer.guidance.settings import Guide
from xfer.landmarkers import ENOUGH
from xfer.rasteriser import rescale

ABSENT: Mapping[str, str] = {
    "no_landmarks": "no landmarks",
    "no_action_units": "an expression without Action Units",
    "outside": "the face's middle outside the picture",
    "no_map": "nothing of the map, or nothing else, in the picture",
    "silent": "a silent layer, or gradients of 0",
}
"""Why faces take no part in a guide's term. The first that holds counts, as a number from 1; 0 is a face in it."""


class Maps:
    """Which map a face gets, by a guide's control.

    Parameters
    ----------
    guide : Guide
        Of any control but ``none``.
    classes : sequence of str
        The data's labels, in the order of the network's logits.

    Raises
    ------
    InputError
        If the codebook lacks one of the labels (named; neutral, which shows no Action Unit, may be absent), if none
        of them has Action Units, or the control cannot be made for them.

    Examples
    --------
    >>> from xfer import geometry
    >>> maps = Maps(Guide(), ("fear", "happiness", "neutral"))
    >>> face = torch.tensor(geometry.load_frame().points[:68])
    >>> drawn = maps.maps(face.expand(3, -1, -1), torch.arange(3), 275, 28, 28)
    >>> drawn.shape, drawn.isfinite().all(dim=(1, 2)).tolist()
    (torch.Size([3, 28, 28]), [True, True, False])
    """

    def __init__(self, guide: Guide, classes: Sequence[str]) -> None:
        if guide.control == "none":
            raise InputError("the control 'none' has no maps")
        self.atlas = Atlas(guide.masks, classes)
        self._paint = CONTROLS[guide.control].function(guide, self.atlas)

    def maps(self, landmarks: Tensor, labels: Tensor, size: int, height: int, width: int) -> Tensor:
        """The map of each face on a layer's grid.

        Parameters
        ----------
        landmarks : Tensor (face, 68, 2)
            (x, y) in px of the images; NaN where unknown.
        labels : Tensor (face,)
            Positions in the classes.
        size : int
            Side of the images, px.
        height, width : int
            The grid.

        Returns
        -------
        Tensor (face, height, width)
            float32 on the landmarks' device, each from 0 to 1; NaN for a face that takes no part: without landmarks,
            of a class without Action Units, or with none of its map or not its middle in the image.

        Raises
        ------
        InputError
            If the middle of most of three faces or more lies outside their images, or each of many faces lies in the
            upper left quarter of its own: their landmarks are for images of another size.
        """
        absent = self.absent(landmarks, labels, size)
        maps = self._paint(rescale(landmarks.detach(), width / size), labels, height, width)
        maps[absent > 0] = torch.nan
        return maps

    def absent(self, landmarks: Tensor, labels: Tensor, size: int) -> Tensor:
        """Which of the first three reasons of `ABSENT` keeps each face out (face,), from 1; 0 for those in.

        Parameters and errors are those of `maps`.
        """
        known, outside = landmarks.isfinite().all((-2, -1)), _outside(landmarks, size)
        aside = known & ~outside & (landmarks < size / 2).all((-2, -1))
        there, wrong, small = torch.stack([known.sum(), outside.sum(), aside.sum()]).tolist()
        for count, refused, where in (
            (wrong, wrong * 2 > there > 2, "outside their images"),
            (small, small == there >= ENOUGH, "in the upper left quarter of their images"),
        ):
            if refused:
                raise InputError(
                    f"the landmarks of {count} of {len(landmarks)} faces lie {where} of {size} px; "
                    "they must be (x, y) in px of these images"
                )
        held = torch.stack([~known, ~torch.isin(labels, labels.new_tensor(self.atlas.named)), outside])
        return torch.where(held.any(0), held.int().argmax(0) + 1, 0)


def _outside(landmarks: Tensor, size: int) -> Tensor:
    """Whether a face's middle lies outside the image (face,)."""
    middle = landmarks.mean(1)
    return ((middle < 0) | (middle > size)).any(1)
