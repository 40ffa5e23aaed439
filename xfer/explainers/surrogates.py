"""Linear models of a network's answers to coalitions, solved for many faces and classes at once in float64."""

from functools import lru_cache
from math import comb, factorial

import torch
from torch import Tensor

from xfer.explainers.designs import kernel_sizes

__all__ = ["cosine_kernel", "kernel_moments", "ridge", "shapley", "shapley_regression"]


def cosine_kernel(sizes: Tensor, players: Tensor, width: float) -> Tensor:
    """LIME's weight of coalitions by their cosine distance d to the whole: ``sqrt(exp(-d^2 / width^2))``.

    Parameters
    ----------
    sizes, players : tensor
        How many players are seen, of how many; they broadcast.
    width : float

    Returns
    -------
    float64 tensor

    References
    ----------
    Ribeiro et al. 2016, doi:10.1145/2939672.2939778, as the library lime computes it.

    >>> cosine_kernel(torch.tensor([0, 4]), torch.tensor(4), 0.25)
    tensor([3.3546e-04, 1.0000e+00], dtype=torch.float64)
    """
    distance = 1 - (sizes.double() / players.double()).sqrt()
    return (-distance.square() / (2 * width**2)).exp()


def ridge(rows: Tensor, values: Tensor, weights: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Weighted ridge regression with an intercept that is not shrunk.

    Minimises ``sum_i w_i (y_i - b - z_i c)^2 + alpha |c|^2``.

    Parameters
    ----------
    rows : tensor (face, row, player)
    values : tensor (face, row, target)
    weights : tensor (face, row)
    alpha : float
        Above 0; a player that never changes gets 0.

    Returns
    -------
    coefficients : float64 tensor (face, player, target)
    intercepts : float64 tensor (face, target)

    Examples
    --------
    >>> rows = torch.tensor([[[0.0], [1.0], [2.0]]])
    >>> coefficients, intercepts = ridge(rows, 3 * rows + 1, torch.ones(1, 3), 1e-12)
    >>> round(coefficients.item(), 6), round(intercepts.item(), 6)
    (3.0, 1.0)
    """
    rows, values, weights = rows.double(), values.double(), weights.double()
    share = (weights / weights.sum(1, keepdim=True))[:, None]
    centre, mean = share @ rows, share @ values
    rows, values = rows - centre, values - mean
    weighted = (rows * weights[..., None]).mT
    normal = weighted @ rows
    normal.diagonal(dim1=1, dim2=2).add_(alpha)
    factor = torch.linalg.cholesky(normal)
    coefficients = torch.cholesky_solve(weighted @ values, factor)
    return coefficients, (mean - centre @ coefficients)[:, 0]


def shapley_regression(
    rows: Tensor, values: Tensor, weights: Tensor, whole: Tensor, nothing: Tensor, players: Tensor
) -> Tensor:
    """Shapley values by least squares whose coefficients add up to what all players make (KernelSHAP).

    Parameters
    ----------
    rows : tensor (face, row, player)
        Drawn by the Shapley kernel, or weighted by it.
    values : tensor (face, row, target)
    weights : tensor (face, row)
    whole, nothing : tensor (face, target)
        The values of all players and of none.
    players : int tensor (face,)
        How many of the columns are a face's players; the others get 0.

    Returns
    -------
    float64 tensor (face, player, target)
        The shortest solution where the rows do not decide.

    References
    ----------
    Lundberg and Lee 2017, doi:10.48550/arXiv.1705.07874; the constraint as Covert and Lee 2021,
    doi:10.48550/arXiv.2012.01536.
    """
    rows, weights = rows.double(), weights.double()
    own = (torch.arange(rows.shape[2], device=rows.device) < players[:, None]).double()[..., None]
    gain = (whole - nothing).double()[:, None]
    even = own * gain / players[:, None, None]
    rest = values.double() - nothing.double()[:, None] - rows @ even
    # the rest adds up to zero over a face's players, so rows need no component along all of them
    rows = rows - (rows @ own) * own.mT / players[:, None, None]
    weighted = (rows * weights[..., None]).mT
    return even + torch.linalg.pinv(weighted @ rows, rtol=1e-10, hermitian=True) @ (weighted @ rest)


@lru_cache
def _shapley_weights(players: int) -> Tensor:
    sizes = range(players)
    found = [factorial(s) * factorial(players - s - 1) / factorial(players) for s in sizes]
    return torch.tensor(found, dtype=torch.float64)


def shapley(values: Tensor) -> Tensor:
    """Exact Shapley values of a game whose every coalition is known.

    Parameters
    ----------
    values : tensor (..., 2 ** player)
        In the order of `xfer.explainers.designs.every_coalition`.

    Returns
    -------
    float64 tensor (..., player)

    References
    ----------
    Shapley 1953, doi:10.1515/9781400881970-018.

    Examples
    --------
    >>> shapley(torch.tensor([0.0, 1.0, 2.0, 5.0]))
    tensor([2., 3.], dtype=torch.float64)
    """
    players = values.shape[-1].bit_length() - 1
    values, index = values.double(), torch.arange(values.shape[-1], device=values.device)
    sizes = torch.stack([(index >> player) & 1 for player in range(players)]).sum(0)
    found = []
    for player in range(players):
        without = index[(index >> player) & 1 == 0]
        weights = _shapley_weights(players).to(values.device)[sizes[without]]
        found.append(((values[..., without + (1 << player)] - values[..., without]) * weights).sum(-1))
    return torch.stack(found, -1)


@lru_cache
def coin_moments(players: int, width: float) -> tuple[float, float, float]:
    """Means of k, k z_p and k z_p z_q over fair coins, k being LIME's kernel and p and q two players."""
    sizes = torch.arange(players + 1, dtype=torch.float64)
    kernel = cosine_kernel(sizes, torch.tensor(players), width)
    count = torch.tensor([comb(players, int(size)) / 2**players for size in sizes], dtype=torch.float64)
    chance = kernel * count
    pairs = sizes * (sizes - 1) / max(players * (players - 1), 1)
    return float(chance.sum()), float((chance * sizes).sum() / players), float((chance * pairs).sum())


@lru_cache
def kernel_moments(players: int) -> float:
    """The chance that two players are both seen under the Shapley kernel."""
    sizes = torch.arange(1, players, dtype=torch.float64)
    return float((kernel_sizes(players) * sizes * (sizes - 1)).sum() / max(players * (players - 1), 1))
