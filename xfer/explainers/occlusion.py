"""What is lost when one part of the image is hidden: a sliding window, or one player at a time."""

import torch
from torch import Tensor

from xfer.explainers.catalogue import EXPLAINERS
from xfer.explainers.perturbation import FAMILY, Scene
from xfer.explainers.veils import Windows

__all__: list[str] = []


@EXPLAINERS.register(
    "occlusion",
    family=FAMILY,
    formula="mean over the windows that cover a pixel of f(x) - f(x without the window)",
    signed=True,
    reference="Zeiler and Fergus 2014, doi:10.1007/978-3-319-10590-1_53",
)
def occlusion(scene: Scene) -> Tensor:
    """What hiding a window costs, averaged over the windows that cover a pixel (face, target, y, x)."""
    images, made = scene.look.images, scene.settings
    size = (images.shape[-2], images.shape[-1])
    window = made.window or max(1, min(size) // 7)
    stride = made.stride or max(1, window // 2)
    windows = Windows.slide(size, window, stride, len(images), images.device)
    values = scene.outputs(windows)
    lost = values[:, :1] - values
    # the sum over hidden windows is the sum over all minus that over windows seen
    hidden = lost.sum(1)[..., None, None] - scene.project(windows, lost)
    rows = torch.ones_like(lost[:1, :, :1])
    covers = rows.sum() - scene.project(Windows(windows.corners, size, windows.counts[:1]), rows)
    return hidden / covers


@EXPLAINERS.register(
    "feature_ablation",
    family=FAMILY,
    formula="f(x) - f(x without the player)",
    signed=True,
    reference="Kokhlikyan et al. 2020, doi:10.48550/arXiv.2009.07896",
)
def feature_ablation(scene: Scene) -> Tensor:
    """What hiding one part of a face, a player, costs (face, target, y, x)."""
    players = scene.players
    rows = ~torch.eye(players.most + 1, players.most, dtype=torch.bool).roll(1, 0)
    each = rows.expand(len(players.counts), -1, -1).to(scene.look.images.device)
    values = scene.coalitions(each, [count + 1 for count in players.counts])
    return players.paint(values[:, :1] - values[:, 1:])
