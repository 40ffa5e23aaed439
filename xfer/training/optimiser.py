"""The optimiser of some settings, and how its rate changes."""

from typing import Any

import torch
from torch import nn

from xfer.training.settings import Settings


def optimiser(model: nn.Module, settings: Settings, *, fused: bool) -> torch.optim.Optimizer:
    """The optimiser of some settings; Adam and RMSprop with the constants of the published study's framework."""
    weights = _groups(model, settings)
    common: dict[str, Any] = {"lr": settings.lr, "weight_decay": settings.weight_decay}
    if settings.optimiser == "adamw":
        return torch.optim.AdamW(weights, **common, fused=fused)
    if settings.optimiser == "adam":
        return torch.optim.Adam(weights, **common, eps=1e-7, fused=fused)
    if settings.optimiser == "rmsprop":
        return torch.optim.RMSprop(weights, **common, alpha=0.9, eps=1e-7)
    nesterov = settings.optimiser == "sgd_nesterov"
    return torch.optim.SGD(weights, **common, momentum=0.9, nesterov=nesterov)


def schedule(
    chosen: torch.optim.Optimizer, settings: Settings, steps: int
) -> torch.optim.lr_scheduler.LRScheduler | None:
    """How an optimiser's rate changes over so many steps; None where it does not."""
    if settings.schedule == "constant":
        return None
    if settings.schedule == "step":
        every = settings.step_epochs * max(1, steps // settings.epochs)
        return torch.optim.lr_scheduler.StepLR(chosen, every, settings.step_factor)
    return torch.optim.lr_scheduler.OneCycleLR(
        chosen,
        [group["lr"] for group in chosen.param_groups],
        total_steps=max(2, steps),
        pct_start=settings.warm_up,
        cycle_momentum="adam" in settings.optimiser,
    )


def _groups(model: nn.Module, settings: Settings) -> list[dict[str, Any]]:
    """The parameters by their rate, those of the full rate first."""
    rates = dict.fromkeys((p for p in model.parameters() if p.requires_grad), settings.lr)
    for module in model.modules():
        if settings.wide and isinstance(module, nn.Linear) and module.in_features > settings.wide:
            slow = settings.lr * settings.wide / module.in_features
            rates |= {p: slow for p in module.parameters() if p in rates}
    return [
        {"params": [p for p, of in rates.items() if of == rate], "lr": rate}
        for rate in sorted(set(rates.values()), reverse=True)
    ]
