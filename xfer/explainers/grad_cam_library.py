"""What only the library grad-cam has: FEM, Seg-Eigen-CAM, FullGrad, and random weights as a control."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from pytorch_grad_cam import FEM, FullGrad, RandomCAM, SegEigenCAM
from torch import Tensor, nn

from xfer.errors import InputError, unknown
from xfer.explainers.catalogue import EXPLAINERS, Explainer
from xfer.explainers.families import FAMILIES, Look
from xfer.explainers.layers import Address, addresses, layout

__all__ = ["FAMILY", "Library"]

FAMILY = "grad_cam_library"
SETTINGS = {"seed": 0}
"""The seed of random weights."""


class Library:
    """A batch in front of grad-cam.

    Parameters
    ----------
    look : Look
    """

    def __init__(self, look: Look) -> None:
        self.look = look
        self.settings = {**SETTINGS, **look.settings}
        self.images = look.images.detach().clone()
        self._size = (self.images.shape[-2], self.images.shape[-1])

    def layer(self) -> Address:
        """The layer that is read.

        Raises
        ------
        InputError
            If it is not there.
        """
        return addresses(self.look.model, (self.look.layer,), self._size)[0]

    @contextmanager
    def opened(self, kind: type[Any], where: Address | None = None) -> Iterator[Any]:
        """One of grad-cam's methods; its hooks are gone after the block."""

        def maps(output: Any) -> Tensor:
            first = output[0] if isinstance(output, tuple) else output
            assert where is not None
            return layout(tuple(first.shape), where, self._size).maps(first).clone()  # an in-place ReLU may follow

        cam = kind(_Shell(self.look.model), [where.module] if where else [], maps if where else None)
        try:
            yield cam
        finally:
            cam.activations_and_grads.release()

    def passes(self, cam: Any) -> Iterator[tuple[Tensor, Tensor, list[np.ndarray], list[np.ndarray]]]:
        """Per class a leaf with its gradient, the classes, and the layers' outputs and gradients.

        Raises
        ------
        InputError
            If a layer does not run exactly once.
        """
        with torch.enable_grad(), torch.autocast(self.images.device.type, enabled=False):
            leaf = self.images.requires_grad_(True)
            logits = cam.activations_and_grads(leaf.clone())
            outputs = [each.numpy() for each in cam.activations_and_grads.activations]
            if len(outputs) != len(cam.target_layers):
                raise InputError(f"a layer that grad-cam reads runs {len(outputs)} times: take one that runs once")
            for column in self.look.classes.T:
                cam.activations_and_grads.gradients = []
                chosen = logits.gather(1, column[:, None]).sum()
                leaf.grad = torch.autograd.grad(chosen, leaf, retain_graph=True)[0]
                yield leaf, column, outputs, [each.numpy() for each in cam.activations_and_grads.gradients]

    def tensor(self, maps: np.ndarray) -> Tensor:
        """A map on the network's device, in at least float32."""
        return torch.from_numpy(np.asarray(maps)).to(
            self.images.device, torch.promote_types(self.images.dtype, torch.float32)
        )


class _Shell(nn.Module):
    """The network for grad-cam, which would set its mode: an overridden ``train`` may change weights."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def eval(self) -> "_Shell":
        return self

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.model(images)
        return logits


def _check(settings: Mapping[str, Any], faces: int) -> None:
    for name in settings:
        if name not in SETTINGS:
            raise unknown(f"setting of {FAMILY}", name, SETTINGS)
    seed = settings.get("seed", 0)
    if not isinstance(seed, int) or seed < 0:
        raise InputError(f"setting 'seed' of {FAMILY!r} must be a whole number from 0; got {seed!r}")


def _misfits(look: Look, explainers: Sequence[Explainer]) -> dict[str, str]:
    if look.images.dtype != torch.bfloat16:
        return {}
    return dict.fromkeys((each.name for each in explainers), "grad-cam computes in numpy, which has no bfloat16")


@FAMILIES.register(FAMILY, gradients=True, check=_check, misfits=_misfits)
def grad_cam_library(look: Look, explainers: Sequence[Explainer]) -> dict[str, Tensor]:
    """Raw maps (face, target, y, x), on the layer's grid where one is read."""
    library = Library(look)
    return {each.name: each(library) for each in explainers}


@EXPLAINERS.register(
    "fem",
    family=FAMILY,
    formula="sum_k w_k A_k, w_k the share of cells with A_k > mean(A_k) + 2 sd(A_k)",
    signed=True,
    reference="Fuad et al. 2020, doi:10.1109/IPTA50016.2020.9286629",
)
def fem(library: Library) -> Tensor:
    """Channels weighted by how many of their cells stand out (face, target, y, x), the same for every class."""
    where = library.layer()
    with library.opened(FEM, where) as cam:
        _, _, outputs, _ = next(library.passes(cam))
        maps = cam.get_cam_image(None, where.module, None, outputs[0], None, False)
    return library.tensor(maps)[:, None].expand(-1, library.look.classes.shape[1], -1, -1)


@EXPLAINERS.register(
    "seg_eigen_cam",
    family=FAMILY,
    formula="first right singular vector of |G| A over channels, its largest value positive",
    signed=True,
    reference="Chung and Ying 2025, doi:10.3390/app15137562",
)
def seg_eigen_cam(library: Library) -> Tensor:
    """First principal component of activations weighted by the gradient's absolute value (face, target, y, x)."""
    where = library.layer()
    with library.opened(SegEigenCAM, where) as cam:
        maps = [
            library.tensor(cam.get_cam_image(None, where.module, None, outputs[0], gradients[0], False))
            for _, _, outputs, gradients in library.passes(cam)
        ]
    return torch.stack(maps, 1)


@EXPLAINERS.register(
    "random_cam",
    family=FAMILY,
    formula="sum_k w_k A_k, w_k uniform in [-1, 1]",
    signed=True,
    reference="Gildenblat et al., the library grad-cam (RandomCAM), https://github.com/jacobgil/pytorch-grad-cam",
)
def random_cam(library: Library) -> Tensor:
    """Channels with random weights, drawn for every face and class: a control (face, target, y, x)."""
    where, look = library.layer(), library.look
    with library.opened(RandomCAM, where) as cam:
        _, _, outputs, _ = next(library.passes(cam))
        rows = []
        for face, classes in enumerate(look.classes.tolist()):
            own = outputs[0][face : face + 1]
            for column in classes:
                with _seeded(library.settings["seed"], look.start + face, column):
                    rows.append(cam.get_cam_image(None, where.module, None, own, own, False))
    return library.tensor(np.concatenate(rows)).unflatten(0, tuple(look.classes.shape))


@contextmanager
def _seeded(*numbers: int) -> Iterator[None]:
    """The global generator of numpy, which grad-cam draws from, seeded inside the block and as it was afterwards."""
    state = np.random.get_state()  # noqa: NPY002
    np.random.seed(np.random.SeedSequence(numbers).generate_state(4))  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(state)  # noqa: NPY002


def _unfit(model: nn.Module) -> str:
    """Why FullGrad would miss biases: grad-cam reads those of plain Conv2d and BatchNorm2d, each run once."""
    biased = [(name, each) for name, each in model.named_modules() if isinstance(getattr(each, "bias", None), Tensor)]
    for name, each in biased:
        if type(each) not in (nn.Conv2d, nn.BatchNorm2d, nn.Linear):
            return f"grad-cam leaves out the biases of {type(each).__name__}, such as {name!r}"
    if not any(type(each) in (nn.Conv2d, nn.BatchNorm2d) for _, each in biased):
        return "no Conv2d or BatchNorm2d of it has biases"
    return ""


@EXPLAINERS.register(
    "full_grad",
    family=FAMILY,
    formula="psi(|x dy/dx|) + sum_layers sum_k psi(|b_k dy/db_k|), psi scales to [0, 1] and to the image's size",
    signed=False,
    reference="Srinivas and Fleuret 2019, doi:10.48550/arXiv.1905.00780",
    misfit=_unfit,
)
def full_grad(library: Library) -> Tensor:
    """Input gradients and the gradients of all biases of convolutions, added up (face, target, y, x)."""
    with library.opened(FullGrad) as cam:
        maps = [library.tensor(cam.compute_cam_per_layer(leaf, None, False)[:, 0]) for leaf, *_ in library.passes(cam)]
    return torch.stack(maps, 1)
