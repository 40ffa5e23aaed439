"""Maps from a vision transformer's own attention: rollout, and attention weighted by its gradient."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from xfer.explainers.catalogue import EXPLAINERS, Explainer
from xfer.explainers.families import FAMILIES, Look
from xfer.explainers.layers import Address, layout
from xfer.explainers.state import hooked

__all__ = ["Attentions"]

NETWORKS = {
    "timm.models.vision_transformer.VisionTransformer",
    "timm.models.beit.Beit",
    "timm.models.eva.Eva",
}
"""Networks whose blocks have attention between all tokens."""

ATTENTION = {"Attention", "AttentionRope", "EvaAttention"}
"""Kinds of attention with weights that can be read where they are dropped out."""


@dataclass(frozen=True)
class Attentions:
    """What the attention of a transformer's blocks was for some faces.

    Attributes
    ----------
    weights : sequence of tensor (face, head, token, token)
        From the first block to the last; rows sum to 1.
    gradients : callable
        Those of a logit a face with respect to the weights: classes (face,) in, as many tensors out.
    classes : int tensor (face, target)
    readout : tensor (token,)
        The share of each token in what the classifier reads.
    """

    weights: Sequence[Tensor]
    gradients: Callable[[Tensor], Sequence[Tensor]]
    classes: Tensor
    readout: Tensor

    @property
    def start(self) -> Tensor:
        """The readout of every face (face, 1, token)."""
        return self.readout.expand(len(self.classes), 1, -1)


def _unread(model: nn.Module) -> str:
    """Why attention cannot be read."""
    network = _transformer(model)
    if network is None:
        return "it reads attention between all tokens, from timm's ViT, DeiT, BEiT and EVA"
    if not all(type(getattr(block, "attn", None)).__name__ in ATTENTION for block in network.blocks):
        return "the blocks' attention is of a kind whose weights cannot be read"
    pool = "map" if getattr(network, "attn_pool", None) is not None else network.global_pool
    return "" if pool in ("token", "avg") else f"its pooling {pool!r} does not say how much it reads of each token"


def _transformer(model: nn.Module) -> Any:
    for module in model.modules():
        if NETWORKS & {f"{kind.__module__}.{kind.__qualname__}" for kind in type(module).__mro__}:
            return module
    return None


@EXPLAINERS.register(
    "attention_rollout",
    family="attention",
    formula="r (W_B + I)/2 ... (W_1 + I)/2, W_b block b's attention averaged over heads, r the tokens that are read",
    signed=False,
    reference="Abnar and Zuidema 2020, doi:10.18653/v1/2020.acl-main.385",
    misfit=_unread,
)
def attention_rollout(seen: Attentions) -> Tensor:
    """How much of each token reaches the classifier if attention is all that moves it (face, 1, token)."""
    row = seen.start
    for weights in reversed(seen.weights):
        row = (row + row @ weights.mean(1)) / 2
    return row


@EXPLAINERS.register(
    "gradient_attention_rollout",
    family="attention",
    formula="r (I + R_B) ... (I + R_1), R_b the mean over heads of relu(dY/dW_b W_b), W_b block b's attention, r the "
    "tokens that are read",
    signed=False,
    reference="Chefer et al. 2021, doi:10.1109/ICCV48922.2021.00045",
    misfit=_unread,
)
def gradient_attention_rollout(seen: Attentions) -> Tensor:
    """Rollout of the attention that speaks for a class (face, target, token)."""
    rows = []
    for column in seen.classes.T:
        row = seen.start
        for weights, gradients in zip(reversed(seen.weights), reversed(seen.gradients(column)), strict=True):
            row = row + row @ (gradients * weights).clamp_min_(0).mean(1)
        rows.append(row)
    return torch.cat(rows, 1)


@FAMILIES.register("attention", gradients=True)
def attention(look: Look, explainers: Sequence[Explainer]) -> dict[str, Tensor]:
    """Maps (face, target, y, x) on the grid of tokens, from one forward with its attention read."""
    network = _transformer(look.model)
    seen = _read(look, network)
    prefix = network.num_prefix_tokens
    where = Address("attention", network, grid=tuple(network.patch_embed.grid_size), prefix=prefix)
    tokens = len(seen.readout)
    grid = layout((len(look.images), tokens, 1), where, (look.images.shape[-2], look.images.shape[-1])).grid
    with torch.no_grad():
        rows = {explainer.name: explainer(seen)[..., prefix:] for explainer in explainers}
    wide = torch.promote_types(look.logits.dtype, torch.float32)
    targets = look.classes.shape[1]
    return {name: row.to(wide).expand(-1, targets, -1).unflatten(-1, grid) for name, row in rows.items()}


def _read(look: Look, network: Any) -> Attentions:
    kept: list[Tensor] = []
    hooks = [(block.attn.attn_drop, partial(_keep, kept)) for block in network.blocks]
    with torch.no_grad(), plain_attention(network), hooked(hooks):
        logits = look.model(look.images.clone())

    def gradients(column: Tensor) -> Sequence[Tensor]:
        chosen = torch.zeros_like(logits).scatter_(1, column[:, None], 1.0)
        return torch.autograd.grad(logits, kept, chosen, retain_graph=True)

    readout = kept[0].new_zeros(kept[0].shape[-1])
    if network.global_pool == "token":
        readout[: 2 if hasattr(network, "head_dist") else 1] = 1
    else:
        readout[0 if getattr(network, "pool_include_prefix", False) else network.num_prefix_tokens :] = 1
    return Attentions([each.detach() for each in kept], gradients, look.classes, readout / readout.sum())


def _keep(kept: list[Tensor], module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
    torch.set_grad_enabled(True)
    kept.append(output if output.requires_grad else output.clone().requires_grad_())
    return kept[-1]


@contextmanager
def plain_attention(model: nn.Module) -> Iterator[None]:
    """Attention in separate steps inside the block, so that its weights can be read; fused again afterwards."""
    fused: list[Any] = [module for module in model.modules() if getattr(module, "fused_attn", False)]
    try:
        for module in fused:
            module.fused_attn = False
        yield
    finally:
        for module in fused:
            module.fused_attn = True
