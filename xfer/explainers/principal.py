"""The first principal component of a grid's cells, batched, in float64, with a fixed sign."""

import torch
from torch import Tensor

__all__ = ["centred", "first_component", "principal"]

NO_COMMON = 1e-5
"""The share of a component's length below which it has nothing in common with the channels' sum."""


def principal(features: Tensor) -> Tensor:
    """Scores on the first principal component of the cells of a grid, each described by its channels.

    Eigenvectors come from the smaller of the two Gram matrices, cells by cells or channels by channels. A component
    has no sign of its own: here it rises with the sum over channels. Where it has nothing in common with that sum,
    as right behind a layer normalisation, its larger extreme is positive (Chung and Ying 2025).

    Parameters
    ----------
    features : tensor (..., channel, y, x)

    Returns
    -------
    tensor (..., y, x)
        In the features' type, NaN where features are not finite.

    References
    ----------
    Muhammad and Yeasin 2020, doi:10.1109/IJCNN48605.2020.9206626; the sign: Chung and Ying 2025,
    doi:10.3390/app15137562.

    Examples
    --------
    >>> principal(torch.tensor([[[1.0, 3.0, 2.0]], [[0.0, 4.0, 2.0]]])).round(decimals=3)
    tensor([[-2.2360,  2.2360,  0.0000]])
    """
    cells = centred(features)
    wide = cells.shape[-1] > cells.shape[-2]
    values, vectors = _largest(cells @ cells.mT if wide else cells.mT @ cells)
    scores = vectors * values.clamp_min(0).sqrt() if wide else (cells @ vectors[..., None])[..., 0]
    return _signed(scores, cells).unflatten(-1, features.shape[-2:]).to(features.dtype)


def first_component(kernel: Tensor, cells: Tensor) -> Tensor:
    """Scores (..., cell) on the first component of a kernel (..., cell, cell), its sign as that of `principal`.

    Parameters
    ----------
    kernel : float64 tensor (..., cell, cell)
        Not centred yet.
    cells : float64 tensor (..., cell, channel)
        From `centred`, for the sign.
    """
    rows = kernel.mean(-1, keepdim=True)
    values, vectors = _largest(kernel - rows - rows.mT + rows.mean(-2, keepdim=True))
    return _signed(vectors * values.clamp_min(0).sqrt(), cells)


def centred(features: Tensor) -> Tensor:
    """Cells by channels (..., cell, channel) in float64, less their mean over the cells of (..., channel, y, x)."""
    cells = features.flatten(-2).mT.double()
    return cells - cells.mean(-2, keepdim=True)


def _largest(gram: Tensor) -> tuple[Tensor, Tensor]:
    """The largest eigenvalue (..., 1) and its vector (..., n) of symmetric matrices, NaN where one is not finite."""
    finite = gram.isfinite().all(-1, keepdim=True).all(-2, keepdim=True)
    values, vectors = torch.linalg.eigh(torch.where(finite, gram, 0.0))
    return torch.where(finite[..., 0], values[..., -1:], torch.nan), vectors[..., -1]


def _signed(scores: Tensor, cells: Tensor) -> Tensor:
    along = (scores * cells.sum(-1)).sum(-1, keepdim=True)
    longest = scores.norm(dim=-1, keepdim=True) * cells.flatten(-2).norm(dim=-1, keepdim=True) * cells.shape[-1] ** 0.5
    extremes = scores.amax(-1, keepdim=True) + scores.amin(-1, keepdim=True)
    return torch.where(torch.where(along.abs() < NO_COMMON * longest, extremes, along) < 0, -scores, scores)
