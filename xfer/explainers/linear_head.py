"""The first class activation map, for networks that average the layer and put one linear layer behind it."""

from torch import Tensor

from xfer.explainers.catalogue import EXPLAINERS
from xfer.explainers.tap import Tap

__all__: list[str] = []

# fmt: off
LINEAR = frozenset({
    "AdaptiveAvgPool2D", "Addmm", "Alias", "AvgPool2D", "Clone", "Convolution", "Expand", "Linear", "Mean", "Mm",
    "Permute", "ReshapeAlias", "Select", "Slice", "Squeeze", "Sum", "ToCopy", "Transpose", "UnsafeView", "Unsqueeze",
    "View",
})
# fmt: on
"""Operations that only pool, reshape, or apply one matrix."""

UNEVEN = 1e-5
"""The most that a channel's gradient may differ between cells, as a share of the largest gradient."""


def _more_than_a_linear_head(tap: Tap) -> str:
    others = [name for name in tap.operations if name not in LINEAR]
    if others:
        return f"more than average pooling and a linear layer follows the layer ({', '.join(others)})"
    uneven = (tap.gradients - tap.gradient_means[..., None, None]).abs().amax()
    if uneven > UNEVEN * tap.gradients.abs().amax():
        return "the linear layer behind the layer tells cells apart"
    return ""


@EXPLAINERS.register(
    "cam",
    family="layer",
    formula="sum_k w_k A_k, w_k the weight of channel k in the linear layer",
    signed=True,
    reference="Zhou et al. 2016, doi:10.1109/CVPR.2016.319",
    misfit=_more_than_a_linear_head,
)
def cam(tap: Tap) -> Tensor:
    """Channels weighted by the classifier's own weights (face, target, y, x); the mean is the logit less its bias.

    Behind average pooling a channel's weight is its gradient summed over the cells.
    """
    return tap.weighted(tap.gradients.sum((-2, -1)))
