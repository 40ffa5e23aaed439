"""The family "gradient": what logits say about the image's own pixels, from gradients of all classes in one forward."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from math import isfinite
from typing import Any

import torch
from torch import Tensor, fx, nn

from xfer.errors import InputError, unknown
from xfer.explainers.baselines import baseline_images, check_baseline, check_scale
from xfer.explainers.catalogue import EXPLAINERS, Explainer
from xfer.explainers.families import FAMILIES, Look
from xfer.explainers.steps import steps, unruled

__all__ = ["GRADIENT", "InputPass", "Settings"]

GRADIENT = "gradient"
"""The family's name."""


@dataclass(frozen=True)
class Settings:
    """The family's settings.

    Attributes
    ----------
    baseline : str, sequence of float or array
        Where paths start and what DeepLIFT compares with, see `xfer.explainers.baselines.baseline_images`.
    mean, std : float or sequence of float
        What preprocessing subtracted and divided by, in [0, 1]; for baselines named in [0, 1].
    steps : int
        Points on the path of integrated gradients.
    samples : int
        Noisy copies of a face for SmoothGrad and GradientSHAP.
    noise : float
        Their noise's standard deviation as a share of the face's range of values.
    epsilon : float
        What LRP adds to its denominators.
    seed : int
        Of the noise; face i is drawn with the seed and i, whatever batch it comes in.
    """

    baseline: Any = "black"
    mean: Any = 0.0
    std: Any = 1.0
    steps: int = 32
    samples: int = 16
    noise: float = 0.15
    epsilon: float = 1e-9
    seed: int = 0

    def __post_init__(self) -> None:
        check_baseline(self.baseline)
        check_scale(self.mean, self.std)
        for name, least in (("steps", 1), ("samples", 1), ("seed", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or value < least:
                raise InputError(f"setting {name!r} of {GRADIENT!r} must be a whole number from {least}; got {value!r}")
        for name in ("noise", "epsilon"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not isfinite(value) or value < 0:
                raise InputError(f"setting {name!r} of {GRADIENT!r} must be 0 or more; got {value!r}")

    @classmethod
    def of(cls, settings: Mapping[str, Any]) -> "Settings":
        """What a caller gave, checked.

        Raises
        ------
        InputError
            For a setting that is not there or a value that does not fit.

        Examples
        --------
        >>> Settings.of({"steps": 8}).steps
        8
        """
        names = [each.name for each in fields(cls)]
        for name in settings:
            if name not in names:
                raise unknown(f"setting of {GRADIENT}", name, names)
        return cls(**settings)


class InputPass:
    """Gradients with respect to a batch of images, made when the first method asks for them.

    Parameters
    ----------
    look : Look
    """

    def __init__(self, look: Look) -> None:
        self.look = look
        self.settings = Settings.of(look.settings)

    @cached_property
    def images(self) -> Tensor:
        """The images (face, channel, y, x)."""
        return self.look.images.detach().clone()

    @cached_property
    def gradients(self) -> Tensor:
        """Of each target's logit (face, target, channel, y, x)."""
        return self.gradients_at(self.images, self.look.classes)

    @cached_property
    def baseline(self) -> Tensor:
        """What the images are compared with (face, channel, y, x)."""
        s = self.settings
        return baseline_images(s.baseline, self.images, mean=s.mean, std=s.std, seed=s.seed, start=self.look.start)

    @cached_property
    def steps(self) -> fx.GraphModule:
        """The network's double, see `xfer.explainers.steps.steps`."""
        return steps(self.look.model, self.images, self.look.logits)

    def gradients_at(self, images: Tensor, classes: Tensor) -> Tensor:
        """Gradients (row, target, channel, y, x) of logits at some images, all targets from one forward.

        Parameters
        ----------
        images : tensor (row, channel, y, x)
            At most as many as fit in one forward.
        classes : int tensor (row, target)

        Raises
        ------
        InputError
            If no logit depends on the image.
        """
        with torch.enable_grad():
            leaf = images.detach().requires_grad_(True)
            logits = self.look.model(leaf.clone())
            if not logits.requires_grad:
                raise InputError("no logit depends on the image: the network cuts gradients, take a black-box method")
            found = [
                torch.autograd.grad(logits.gather(1, column[:, None]).sum(), leaf, retain_graph=True)[0]
                for column in classes.T
            ]
        return torch.stack(found, 1)

    def mean_gradients(
        self, copies: int, displaced: Callable[[range], tuple[Tensor, Tensor | None]], weights: Tensor
    ) -> Tensor:
        """Weighted sum over displaced copies of the images of their gradients (face, target, channel, y, x).

        Parameters
        ----------
        copies : int
        displaced : callable
            Which copies -> tensor (copy, face, channel, y, x), and None or what their gradients are multiplied with.
        weights : tensor (copy,)
        """
        faces = len(self.images)
        at_once = max(1, self.look.batch_size // faces)
        total = torch.zeros((), device=self.images.device)
        for start in range(0, copies, at_once):
            some = range(start, min(start + at_once, copies))
            moved, factor = displaced(some)
            classes = self.look.classes.repeat(len(some), 1)
            found = self.gradients_at(moved.flatten(0, 1), classes).unflatten(0, (len(some), faces))
            found = found if factor is None else found * factor[:, :, None]
            total = total + torch.einsum("c...,c->...", found, weights[start : start + len(some)].to(found))
        return total


RULES: dict[str, tuple[type[nn.Module], ...]] = {
    "deep_lift": (nn.ReLU, nn.ELU, nn.LeakyReLU, nn.Sigmoid, nn.Tanh, nn.Softplus, nn.MaxPool2d),
    "guided_backpropagation": (nn.ReLU, nn.MaxPool2d),
    "lrp": (nn.ReLU, nn.Tanh, nn.MaxPool2d),
}
"""The layers that are not linear for which captum, or `xfer.explainers.rescaled_pools`, has a rule, by method."""


def _misfits(look: Look, explainers: Sequence[Explainer]) -> dict[str, str]:
    """Why methods with a rule for every layer do not apply."""
    ruled = [each.name for each in explainers if each.name in RULES]
    if not ruled:
        return {}
    try:
        double = InputPass(look).steps
    except InputError as error:
        return dict.fromkeys(ruled, str(error))
    found = {name: unruled(double, RULES[name]) for name in ruled}
    return {name: f"it has no rule for {step[1]!r} in {step[0]!r}" for name, step in found.items() if step}


def _check(settings: Mapping[str, Any], faces: int) -> None:
    Settings.of(settings)


@FAMILIES.register(GRADIENT, gradients=True, check=_check, misfits=_misfits)
def gradient(look: Look, explainers: Sequence[Explainer]) -> dict[str, Tensor]:
    """Maps (face, target, y, x) over the image's pixels, from what the methods have in common."""
    shared = InputPass(look)
    return {each.name: _wide(each(shared)) for each in explainers}


def _wide(maps: Tensor) -> Tensor:
    return maps.detach().to(torch.promote_types(maps.dtype, torch.float32))


@EXPLAINERS.register(
    "saliency",
    family=GRADIENT,
    formula="sum_c |dy/dx_c|",
    signed=False,
    reference="Simonyan et al. 2013, doi:10.48550/arXiv.1312.6034",
)
def saliency(shared: InputPass) -> Tensor:
    """The gradient's absolute value, summed over colours (face, target, y, x)."""
    return shared.gradients.abs().sum(2)


@EXPLAINERS.register(
    "input_x_gradient",
    family=GRADIENT,
    formula="sum_c x_c dy/dx_c",
    signed=True,
    reference="Shrikumar et al. 2016, doi:10.48550/arXiv.1605.01713",
)
def input_x_gradient(shared: InputPass) -> Tensor:
    """Image times gradient, summed over colours (face, target, y, x)."""
    return (shared.gradients * shared.images[:, None]).sum(2)
