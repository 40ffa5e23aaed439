"""The maps that guide: drawn on the fly for a batch of faces, wherever the faces have moved, at any resolution."""

from collections.abc import Sequence

import torch
from torch import Tensor

from xfer.errors import InputError
from xfer.guidance.atlas import Atlas
from xfer.guidance.controls import CONTROLS
from xfer.guidance.settings import Guide
from xfer.rasteriser import rescale


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
            of a class without Action Units, or with none of its map in the image.
        """
        outside = _outside(landmarks, size)
        if outside:
            raise InputError(
                f"the landmarks of {outside} of {len(landmarks)} faces lie outside their images of {size} px; "
                "they must be (x, y) in px of these images"
            )
        maps = self._paint(rescale(landmarks.detach(), width / size), labels, height, width)
        part = torch.isin(labels, labels.new_tensor(self.atlas.named)) & landmarks.isfinite().all((-2, -1))
        maps[~part] = torch.nan
        return maps


def _outside(landmarks: Tensor, size: int) -> int:
    """Faces whose middle lies outside the image."""
    middle = landmarks.mean(1)
    return int(((middle < 0) | (middle > size)).any(1).sum())
