"""What only grad-cam has: the same maps as grad-cam called directly, after its scaling; seeds; what is refused."""

import numpy as np
import pytest
import pytorch_grad_cam as library
import torch
from pytorch_grad_cam.utils.image import scale_cam_image
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from torch import nn

from tests.explainers import subjects
from xfer.errors import InputError
from xfer.explainers import attribute

OPTIONS = {"layer": "second", "settings": {"grad_cam_library": {"seed": 3}}}


@pytest.mark.parametrize(
    ("name", "peer"), [("fem", "FEM"), ("seg_eigen_cam", "SegEigenCAM"), ("full_grad", "FullGrad")]
)
def test_the_maps_are_grad_cams(name: str, peer: str) -> None:
    model, images = subjects.small(), subjects.noise(12, 10)
    model.relu.inplace = False
    ours = attribute(model, images, name, 1, **OPTIONS)[name][:, 0].numpy()
    with getattr(library, peer)(model.eval(), [] if name == "full_grad" else [model.second]) as cam:
        theirs = cam(images, [ClassifierOutputTarget(1)] * len(images))
    scaled = scale_cam_image(np.maximum(scale_cam_image(np.maximum(ours, 0), (10, 12)), 0))
    np.testing.assert_allclose(scaled, theirs, rtol=0, atol=1e-5)


def test_random_weights_are_of_seed_face_and_class() -> None:
    model, images = subjects.small(), subjects.noise(12, 10)
    np.random.seed(5)  # noqa: NPY002
    expected = np.random.uniform()  # noqa: NPY002
    np.random.seed(5)  # noqa: NPY002
    first, again = (attribute(model, images, "random_cam", **OPTIONS)["random_cam"] for _ in range(2))
    assert np.random.uniform() == expected  # noqa: NPY002
    assert torch.equal(first, again)
    other = attribute(model, images, "random_cam", layer="second", settings={"grad_cam_library": {"seed": 4}})
    assert not torch.equal(first, other["random_cam"])
    assert not torch.equal(first[:, 0], first[:, 1])


def test_a_random_map_is_a_mixture_of_channels() -> None:
    model, images = subjects.small().eval(), subjects.noise(12, 10)
    maps = attribute(model, images, "random_cam", 0, **OPTIONS)["random_cam"][0, 0]
    with torch.no_grad():
        channels = model.second(torch.relu(model.norm(model.first(images))))[0].flatten(1)
    found = torch.linalg.lstsq(channels.T, maps.flatten()[:, None])
    torch.testing.assert_close(channels.T @ found.solution, maps.flatten()[:, None])
    assert found.solution.abs().max() <= 1


def test_a_layer_in_tokens_is_read_as_a_grid() -> None:
    subject = subjects.of_a_transformer()
    assert attribute(subject.model, subject.images, "fem", layer="blocks.1")["fem"].shape == (4, 3, 6, 5)


def test_where_full_grad_would_miss_biases_it_is_refused() -> None:
    subject = subjects.of_a_transformer()
    with pytest.raises(InputError) as refusal:
        attribute(subject.model, subject.images, "full_grad")
    assert str(refusal.value) == (
        "full_grad does not apply to VisionTransformer: "
        "grad-cam leaves out the biases of LayerNorm, such as 'blocks.0.norm1'"
    )


def test_bad_settings(images: torch.Tensor) -> None:
    model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()).double()
    with pytest.raises(InputError, match="'setting of grad_cam_library' must be one of seed; got 'layers'"):
        attribute(model, images, "fem", layer="0", settings={"grad_cam_library": {"layers": "0"}})
    with pytest.raises(InputError, match="setting 'seed' of 'grad_cam_library' must be a whole number from 0; got -1"):
        attribute(model, images, "fem", layer="0", settings={"grad_cam_library": {"seed": -1}})
    with pytest.raises(InputError, match="'layer' must be a module of Sequential; got 'x'"):
        attribute(model, images, "fem", layer="x")


def test_bfloat16_is_refused_autocast_is_not() -> None:
    model = nn.Sequential(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    images = torch.rand(2, 3, 8, 8)
    with torch.autocast("cpu", torch.bfloat16):
        assert attribute(model, images, "full_grad")["full_grad"].dtype == torch.float32
    with pytest.raises(InputError, match="fem does not apply to Sequential: grad-cam computes in numpy, which has no"):
        attribute(model.bfloat16(), images, "fem", layer="0")
