"""The AU maps of a data set's classes, on any face."""

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional

from xfer import geometry, masks
from xfer.errors import InputError
from xfer.rasteriser import rescale

FINE = 56
"""Side of the canvas, px, on which maps of smaller grids are drawn before they are averaged."""


class Atlas:
    """The AU map of each class, by a mask source.

    Parameters
    ----------
    source : str
        A mask source that is drawn on 68 landmarks.
    classes : sequence of str
        The data's labels, in the order of the network's logits.

    Attributes
    ----------
    named : tuple of int
        The classes with AUs; neutral and others without take no part.

    Raises
    ------
    InputError
        If the codebook lacks a label, none of them has AUs, or the source is drawn on the face mesh.
    """

    def __init__(self, source: str, classes: Sequence[str]) -> None:
        self.source, self.classes = masks.source(source), tuple(classes)
        known = self.source.codebook.expressions
        lacking = [name for name in self.classes if name not in known and name != "neutral"]
        if lacking:
            raise InputError(
                f"masks {source!r} have no answer for {', '.join(lacking)}; they know {', '.join(known)}: "
                "leave those faces out, or guide by another source"
            )
        if self.source.drawing.points == geometry.MESH_POINTS:
            raise InputError(f"masks {source!r} are drawn on the face mesh; a guide needs a source on 68 landmarks")
        self.named = tuple(i for i, name in enumerate(self.classes) if name in self.source.expressions)
        if not self.named:
            raise InputError(f"masks {source!r} have no Action Units for any of {', '.join(self.classes)}")

    def draw(self, points: Tensor, labels: Tensor, height: int, width: int) -> Tensor:
        """The map of each face's class.

        Parameters
        ----------
        points : Tensor (face, 68, 2)
            (x, y) in px of the canvas.
        labels : Tensor (face,)
            Positions in the classes.
        height, width : int

        Returns
        -------
        Tensor (face, height, width)
            Each from 0 to 1; NaN for a face without landmarks, of a class without AUs, or with nothing of its map, or
            nothing else, on the canvas.
        """
        maps = points.new_empty((len(points), height, width), dtype=torch.float32)
        maps[~torch.isin(labels, labels.new_tensor(self.named))] = torch.nan
        for label in self.named:
            rows = (labels == label).nonzero()[:, 0]
            if len(rows):
                maps[rows] = self._of(self.classes[label], points[rows], height, width)
        return maps

    def _of(self, expression: str, points: Tensor, height: int, width: int) -> Tensor:
        """One expression on some faces: drawn finer than the canvas if that is small, then averaged."""
        factor = -(-FINE // max(height, width))
        fine = masks.expression_masks(
            rescale(points, factor) if factor > 1 else points,
            self.source,
            height=height * factor,
            width=width * factor,
            expressions=[expression],
            sharp=FINE,
        )[:, 0]
        return stretched(functional.avg_pool2d(fine[:, None], factor)[:, 0] if factor > 1 else fine)

    @cached_property
    def on_the_mean_face(self) -> Tensor:
        """The map of each class on the canonical frame (class, y, x); NaN without AUs."""
        frame = geometry.load_frame()
        points = torch.from_numpy(frame.points[:68].copy()).expand(len(self.classes), -1, -1)
        return self.draw(points, torch.arange(len(self.classes)), frame.height, frame.width)


def stretched(maps: Tensor) -> Tensor:
    """Each map (face, y, x) from its least value, 0, to its greatest, 1; NaN where it is constant.

    >>> stretched(torch.tensor([[[2.0, 4.0]], [[3.0, 3.0]]])).tolist()
    [[[0.0, 1.0]], [[nan, nan]]]
    """
    flat = maps.flatten(1)
    low, high = flat.amin(1), flat.amax(1)
    if bool(((low == 0) & (high == 1)).all()):
        return maps
    return (maps - low[:, None, None]) / (high - low)[:, None, None]
