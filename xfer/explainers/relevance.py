"""Rules for every layer, from captum: DeepLIFT, guided backpropagation, layer-wise relevance propagation."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from captum.attr import LRP, DeepLift, GuidedBackprop
from captum.attr._core.lrp import SUPPORTED_NON_LINEAR_LAYERS
from captum.attr._utils.lrp_rules import EpsilonRule
from torch import Tensor

from xfer.explainers.catalogue import EXPLAINERS
from xfer.explainers.input_gradients import GRADIENT, InputPass
from xfer.explainers.rescaled_pools import rescaled

__all__: list[str] = []


def _maps(shared: InputPass, attribute: Callable[..., Tensor], copies: int) -> Tensor:
    """What captum attributes to pixels, one row a face and class (face, target, y, x), summed over colours.

    Parameters
    ----------
    shared : InputPass
    attribute : callable
        ``(images, target=.., rows=..) -> (row, channel, y, x)``.
    copies : int
        Images that captum passes through the network for one.
    """
    classes = shared.look.classes
    faces = torch.arange(len(classes), device=classes.device).repeat_interleave(classes.shape[1])
    at_once = max(1, shared.look.batch_size // copies)
    found = [
        attribute(shared.images[rows].requires_grad_(True), target=columns, rows=rows).detach().sum(1)
        for rows, columns in zip(faces.split(at_once), classes.flatten().split(at_once), strict=True)
    ]
    return torch.cat(found).unflatten(0, tuple(classes.shape))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without captum's notices that it sets hooks, here on a double."""
    with warnings.catch_warnings(), torch.enable_grad():
        warnings.filterwarnings("ignore", message=r"\s*Setting (forward, )?backward hooks", category=UserWarning)
        yield


@EXPLAINERS.register(
    "deep_lift",
    family=GRADIENT,
    formula="sum_c (x_c - b_c) m_c, m the multipliers of the rescale rule",
    signed=True,
    reference="Shrikumar et al. 2017, doi:10.48550/arXiv.1704.02685",
)
def deep_lift(shared: InputPass) -> Tensor:
    """Contributions of the difference to the baseline by the rescale rule (face, target, y, x).

    They add up to the logit's difference between image and baseline. Max pools follow the rule of
    `xfer.explainers.rescaled_pools`.
    """
    method = DeepLift(rescaled(shared.steps))

    def attribute(images: Tensor, target: Tensor, rows: Tensor) -> Any:
        return method.attribute(images, shared.baseline[rows], target=target)

    with _quiet():
        return _maps(shared, attribute, copies=2)


@EXPLAINERS.register(
    "guided_backpropagation",
    family=GRADIENT,
    formula="sum_c dy/dx_c, negative gradients cut at every ReLU",
    signed=True,
    reference="Springenberg et al. 2014, doi:10.48550/arXiv.1412.6806",
)
def guided_backpropagation(shared: InputPass) -> Tensor:
    """The gradient, of which every ReLU lets the positive part through, summed over colours (face, target, y, x)."""
    method = GuidedBackprop(shared.steps)
    with _quiet():
        return _maps(shared, lambda images, target, rows: method.attribute(images, target), 1)


@EXPLAINERS.register(
    "lrp",
    family=GRADIENT,
    formula="sum_c R_c, R_i = sum_j z_ij R_j / (z_j + epsilon sign(z_j))",
    signed=True,
    reference="Bach et al. 2015, doi:10.1371/journal.pone.0130140",
)
def lrp(shared: InputPass) -> Tensor:
    """Relevance by the epsilon rule, summed over colours (face, target, y, x).

    Where every activation is a ReLU and epsilon is small it is image times gradient (Ancona et al. 2018,
    doi:10.48550/arXiv.1711.06104).
    """

    def attribute(images: Tensor, target: Tensor, rows: Tensor) -> Any:
        for module in shared.steps.modules():
            if not list(module.children()) and type(module) not in SUPPORTED_NON_LINEAR_LAYERS:
                module.rule = EpsilonRule(shared.settings.epsilon)
        return LRP(shared.steps).attribute(images, target)

    with _quiet():
        return _maps(shared, attribute, copies=1)
