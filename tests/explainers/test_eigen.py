"""Principal components against NumPy's decomposition, and the sign they are given."""

import numpy as np
import pytest
import torch
from torch import nn

from xfer.explainers import attribute
from xfer.explainers.principal import principal


def projection(features: np.ndarray) -> np.ndarray:
    """Scores (y, x) on the first right singular vector, rising with the channels' sum, of features (channel, y, x)."""
    cells = features.reshape(len(features), -1).T
    cells = cells - cells.mean(0)
    first = np.linalg.svd(cells)[2][0]
    return (cells @ first * np.sign(first.sum())).reshape(features.shape[1:])


@pytest.mark.parametrize(("channels", "rows", "columns"), [(30, 3, 4), (3, 6, 5), (12, 3, 4)])
def test_both_gram_matrices_give_the_singular_vector(channels: int, rows: int, columns: int) -> None:
    torch.manual_seed(0)
    features = torch.randn(2, 3, channels, rows, columns, dtype=torch.float64)
    found = principal(features)
    for one, expected in zip(found.flatten(0, 1), features.flatten(0, 1), strict=True):
        np.testing.assert_allclose(one, projection(expected.numpy()), rtol=1e-8, atol=1e-10)


def test_eigen_cams_and_smoothing_equal_the_definition(small: nn.Module, images: torch.Tensor) -> None:
    maps = attribute(small, images, "eigen_cam,eigen_grad_cam,hires_cam", layer="third")
    smooth = attribute(small, images, "hires_cam,grad_cam,eigen_cam", layer="third", smoothing="eigen")
    kept = []
    small.eval().third.register_forward_hook(lambda module, inputs, output: kept.append(output))
    logits = small(images)
    kept[0].retain_grad()
    logits[:, 1].sum().backward()
    activation, gradient = kept[0].detach()[2].numpy(), kept[0].grad[2].numpy()
    tight = {"rtol": 1e-8, "atol": 1e-11}
    np.testing.assert_allclose(maps["eigen_cam"][2, 0], projection(activation), **tight)
    assert torch.equal(maps["eigen_cam"][:, 0], maps["eigen_cam"][:, 2])
    np.testing.assert_allclose(maps["eigen_grad_cam"][2, 1], projection(activation * gradient), **tight)
    assert torch.equal(smooth["hires_cam"], maps["eigen_grad_cam"])
    assert torch.equal(smooth["eigen_cam"], maps["eigen_cam"])
    weighted = activation * gradient.mean((1, 2), keepdims=True)
    np.testing.assert_allclose(smooth["grad_cam"][2, 1], projection(weighted), **tight)


def test_the_sign_follows_the_sum_over_channels() -> None:
    torch.manual_seed(1)
    features = torch.rand(6, 5, 5, dtype=torch.float64)
    features[:, 1:3, 2:4] += 2
    found = principal(features)
    assert np.corrcoef(found.flatten(), features.sum(0).flatten())[0, 1] > 0.9
    torch.testing.assert_close(principal(-features), -found)


def test_where_channels_sum_to_nothing_the_larger_extreme_is_positive() -> None:
    """As behind a layer normalisation: float32 rounding must not decide the sign."""
    torch.manual_seed(2)
    features = torch.randn(16, 6, 6) * 0.1
    features[:8, 2, 3] += 3
    features[8:, 2, 3] -= 3
    features -= features.mean(0)
    for sign in (1, -1):
        found = principal(sign * features)
        assert found.argmax() == 2 * 6 + 3
        assert found.max() > -found.min()


def test_cells_that_are_all_alike_give_zeros_and_infinite_ones_nan() -> None:
    assert torch.equal(principal(torch.ones(4, 3, 3)), torch.zeros(3, 3))
    features = torch.rand(2, 4, 3, 3)
    features[1, 0, 0, 0] = torch.inf
    found = principal(features)
    assert found[0].isfinite().all()
    assert found[1].isnan().all()


def test_kernel_pca_refuses_large_grids() -> None:
    model = nn.Sequential(nn.Conv2d(3, 2, 1), nn.Flatten(), nn.Linear(2 * 33 * 32, 2))
    with pytest.raises(ValueError, match=r"pairs of at most 1,024 cells; the layer has 33 x 32$"):
        attribute(model, torch.rand(1, 3, 33, 32), "kpca_cam", layer="0")
    assert "kpca_cam" not in attribute(model, torch.rand(1, 3, 33, 32), "layer", layer="0")
