"""Where a network looks on every single test face: in the frame, by an explainer; on the picture, by a layer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from xfer import masks
from xfer.explainers import SilentLayerError, trace
from xfer.explainers.state import hooked
from xfer.guidance import LOSSES, Guide, Maps, layers
from xfer.guidance.atlas import stretched
from xfer.metrics import METRICS, view
from xfer.nulls.trivial import trivial_maps
from xfer.training import Pixels, Settings, inputs

JUDGED = ("iou", "energy_inside", "cosine")
"""Measures of the explainer's map against masks in the frame; the first is the headline."""
GUIDED = ("att_cos", "cam_cos")
"""Measures of the guided layer against the maps that may have guided it: what was trained, no finding."""
MEASURES = (*JUDGED, *GUIDED)

OBJECTIVES = {"au_cosine": "att_cos", "cam": "cam_cos"}
"""Of losses, the measure that they train."""

COARSE = 4
"""Pixels of the frame, a side, that are averaged before a face is scored."""


def others(measure: str) -> str:
    """The column of a measure's mean over the other expressions' masks.

    >>> others("iou")
    'iou_others'
    """
    return f"{measure}_others"


def role(measure: str, loss: str) -> str:
    """What one of `GUIDED` is where a loss guided: the ``objective``, of the ``guided`` layer, or of a ``free`` one.

    >>> role("att_cos", "au_cosine"), role("cam_cos", "au_cosine"), role("att_cos", "harmonize")
    ('objective', 'guided', 'free')
    """
    if OBJECTIVES.get(loss) == measure:
        return "objective"
    return "free" if LOSSES[loss].of_images else "guided"


@dataclass(frozen=True)
class Truth:
    """The masks that a face's map is scored against.

    Attributes
    ----------
    expressions : tuple of str
        Those of the study that have a mask.
    masks : float32 array (expression, y, x)
        In [0, 1], in the frame at a quarter of its resolution, see `coarse`.
    support : bool array (y, x)
    threshold : str or float
        Of IoU.
    """

    expressions: tuple[str, ...]
    masks: NDArray[np.float32]
    support: NDArray[np.bool_]
    threshold: str | float


def coarse(maps: Any) -> NDArray[np.float32]:
    """Maps (..., y, x) averaged over squares of `COARSE` pixels; smaller ones at the edge.

    >>> coarse(np.arange(20.0).reshape(4, 5)).tolist()
    [[9.0, 11.5]]
    """
    values = torch.as_tensor(maps, dtype=torch.float32)
    flat = values.reshape(-1, 1, *values.shape[-2:])
    means = functional.avg_pool2d(flat, COARSE, ceil_mode=True, count_include_pad=False)
    found: NDArray[np.float32] = means.reshape(*values.shape[:-2], *means.shape[-2:]).cpu().numpy()
    return found


class Looking:
    """Scores every test face as its maps come by.

    Parameters
    ----------
    model : nn.Module
        Still, on its device, while faces are shown.
    pixels : Pixels
    settings : Settings
    guide : Guide
        Of the control ``au``: its layer is looked at and its maps are compared with, in every arm alike.
    truth : Truth
    floors : bool
        Also score the trivial maps against the guide's maps on every face; they know nothing of the network.
    """

    def __init__(
        self, model: nn.Module, pixels: Pixels, settings: Settings, guide: Guide, truth: Truth, *, floors: bool = False
    ) -> None:
        self._model, self._pixels, self._settings, self._truth = model, pixels, settings, truth
        self._maps = Maps(guide, pixels.classes)
        self._layer = layers.find(model, guide.layers, settings.size, guide.output_stride)[-1]
        self._floors = floors
        self._parts: list[pd.DataFrame] = []
        self._trivial: list[pd.DataFrame] = []

    def __call__(self, index: NDArray[np.intp], maps: Tensor) -> None:
        """Score some faces: positions in the data set, and the first explainer's maps among (face, explainer, y, x)."""
        rows = self._pixels.rows(index)
        labels = self._pixels.labels[rows]
        names = [self._pixels.classes[label] for label in labels]
        table = pd.DataFrame({"face": [self._pixels.ids[row] for row in rows]})
        frame = judged(maps[:, 0].nan_to_num(nan=0.0), names, self._truth)
        points = torch.from_numpy(self._pixels.landmarks[rows])
        drawn = own_maps(self._maps, points, self._settings.size)
        self._parts.append(table.assign(**frame, **self._guided(index, labels, drawn)))
        if self._floors:
            self._trivial += self._of_floors(table, points, labels, drawn)

    def tables(self) -> dict[str, pd.DataFrame]:
        """``looking``, a face a row: measures with the own mask and the others'; ``floors``: cosines with both."""
        columns = ["face", *(name for measure in MEASURES for name in (measure, others(measure)))]
        whole = pd.concat(self._parts, ignore_index=True) if self._parts else pd.DataFrame(columns=columns)
        found = {"looking": whole[columns]}
        return found | ({"floors": pd.concat(self._trivial, ignore_index=True)} if self._trivial else {})

    def _own(self, labels: NDArray[np.int64]) -> list[int]:
        """Where each face's class stands among those with a map; -1 for one without."""
        named = self._maps.atlas.named
        return [named.index(label) if label in named else -1 for label in labels]

    def _of_floors(
        self, table: pd.DataFrame, points: Tensor, labels: NDArray[np.int64], drawn: Tensor
    ) -> list[pd.DataFrame]:
        size, regions = self._settings.size, self._maps.atlas.source.regions
        units = drawn if regions is None else masks.action_units(regions, points, height=size, width=size)
        made = []
        for floor, each in trivial_maps(drawn, units).items():
            scores = METRICS["cosine"](each[:, None].numpy(), drawn.numpy())
            if floor == "uniform":
                scores = np.stack([uniform("cosine", face) for face in drawn.flatten(2).numpy()])
            made.append(table.assign(floor=floor, **split("cosine", scores, self._own(labels))))
        return made

    def _guided(
        self, index: NDArray[np.intp], labels: NDArray[np.int64], drawn: Tensor
    ) -> dict[str, NDArray[np.float64]]:
        """The guided layer's attention and class activation maps, enlarged to the picture, against the guide's maps."""
        images = inputs(self._pixels, index, self._settings).to(next(self._model.parameters()).device)
        seen = {"att_cos": self._attention(images), "cam_cos": stretched(self._activation(images, labels))}
        found: dict[str, NDArray[np.float64]] = {}
        for measure, maps in seen.items():
            large = functional.interpolate(maps.cpu()[:, None], drawn.shape[-2:], mode="bilinear", align_corners=False)
            # CAM-COS, too, is ATT-COS of what is stretched already: the published code enlarges after that
            scores = METRICS["att_cos"](large.numpy(), drawn.numpy())
            found |= split(measure, scores, self._own(labels))
        return found

    def _attention(self, images: Tensor) -> Tensor:
        """The mean over channels (face, y, x)."""
        kept: list[Tensor] = []
        module = self._model.get_submodule(self._layer.name)
        with hooked([(module, lambda *told: kept.append(told[2]))]), torch.inference_mode():
            self._model(images)
        return self._layer.maps(kept[-1]).float().mean(1)

    def _activation(self, images: Tensor, labels: NDArray[np.int64]) -> Tensor:
        """The class activation map of the face's own class (face, y, x); GradCAM, which it is behind global pooling."""
        try:
            seen = trace(self._model, images, "grad_cam", labels, layers=(self._layer,), batch_size=len(images))
        except SilentLayerError:
            return torch.zeros((len(images), *self._layer.grid))
        return next(iter(seen.maps.values()))["grad_cam"][:, 0]


def own_maps(maps: Maps, points: Tensor, size: int) -> Tensor:
    """Every class's map on every face (face, class with Action Units, y, x); NaN where it cannot be drawn."""
    drawn = [maps.maps(points, torch.full((len(points),), k), size, size, size) for k in maps.atlas.named]
    return torch.stack(drawn, 1)


def judged(maps: Tensor, names: Sequence[str], truth: Truth) -> dict[str, NDArray[np.float64]]:
    """Maps of faces in the frame against their own expression's mask and the others'.

    Parameters
    ----------
    maps : Tensor (face, y, x)
        Signed; what speaks against the class does not count.
    names : sequence of str
        The faces' expressions.
    truth : Truth

    Returns
    -------
    dict of str to array (face,)
        Each of `JUDGED` with the own mask, and under `others` the mean over the others'; NaN where a face has no
        positive relevance, or its expression no mask.
    """
    heat, regions = view(coarse(maps.clamp(min=0))[:, None], truth.support), view(truth.masks, truth.support)
    own = [truth.expressions.index(name) if name in truth.expressions else -1 for name in names]
    found: dict[str, NDArray[np.float64]] = {}
    for measure in JUDGED:
        options: dict[str, Any] = {"threshold": truth.threshold} if METRICS[measure].thresholded else {}
        found |= split(measure, METRICS[measure](heat, regions, **options), own)
    return found


def uniform(measure: str, regions: NDArray[np.floating]) -> NDArray[np.float64]:
    """What a map without any preference scores against masks (mask, pixel), where the metric itself is undefined.

    The share of the mask for energy, the overlap of independent regions of its size for IoU, and for cosines the
    cosine with a constant.

    >>> uniform("iou", np.array([[1.0, 0, 0, 0]])).round(4).tolist()
    [0.1429]
    """
    share = (regions >= 0.5).mean(axis=1)
    if measure == "energy_inside":
        return np.asarray(share)
    if measure == "iou":
        return np.asarray(share / (2 - share))
    return np.asarray(regions.mean(axis=1) / np.sqrt((np.asarray(regions, np.float64) ** 2).mean(axis=1)))


def split(measure: str, scores: NDArray[np.float64], own: Sequence[int]) -> dict[str, NDArray[np.float64]]:
    """Scores (face, mask) as the own mask's and the mean of the others'; NaN for a face without one (-1).

    >>> found = split("iou", np.array([[0.5, 0.25, 0.75], [0.5, 0.5, 0.5]]), [0, -1])
    >>> found["iou"].tolist(), found["iou_others"].tolist()
    ([0.5, nan], [0.5, nan])
    """
    place = np.asarray(own)
    known = place >= 0
    mine = np.take_along_axis(scores, np.maximum(place, 0)[:, None], axis=1)[:, 0]
    count = scores.shape[1] - 1
    rest = (scores.sum(axis=1) - mine) / count if count else np.full(len(scores), np.nan)
    return {measure: np.where(known, mine, np.nan), others(measure): np.where(known, rest, np.nan)}
