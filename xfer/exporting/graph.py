"""A network and its GradCAM as one graph: the gradients are traced, so that nothing is left to differentiate."""

from typing import Any

import torch
from torch import Tensor, nn
from torch._dynamo.source import ConstantSource
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx
from torch.fx.experimental.symbolic_shapes import DimDynamic, ShapeEnv, StatelessSymbolicContext
from torch.overrides import TorchFunctionMode

from xfer.errors import InputError
from xfer.explainers import EXPLAINERS, Tap
from xfer.explainers.layers import Address, Layout, addresses, layout
from xfer.explainers.state import hooked
from xfer.exporting.backward import table

EXPLAINER = "grad_cam"


def heatmap_graph(model: nn.Module, layer: str, size: int) -> GraphModule:
    """A module of plain operators: faces (face, 3, size, size) to logits (face, class) and maps (face, class, gy, gx).

    The maps are the signed ones of the registered ``grad_cam``, on the layer's grid. Any number of faces goes in.

    Parameters
    ----------
    model : nn.Module
        Still (`xfer.explainers.state.still`), on the CPU.
    layer : str
    size : int
        Side of the faces, px.

    Raises
    ------
    InputError
        If the layer is not there, has no grid, or no logit depends on it.
    """
    (where,) = addresses(model, [layer], (size, size))
    shape, read = _look(model, where, size)

    def both(images: Tensor) -> tuple[Tensor, Tensor]:
        moved = images.new_zeros((images.shape[0], *shape)).requires_grad_()
        seen: list[Tensor] = []

        def hook(module: nn.Module, inputs: Any, output: Any) -> Any:
            first = output[0] if isinstance(output, tuple) else output
            seen.append(first.clone())
            return (first + moved, *output[1:]) if isinstance(output, tuple) else first + moved

        with torch.enable_grad(), hooked([(where.module, hook)]):
            logits = model(images)
        gradients = [_gradient(logits[:, c].sum(), moved, layer) for c in range(logits.shape[1])]
        tap = Tap(read.maps(seen[0])[:, None], torch.stack([read.maps(each) for each in gradients], 1))
        return logits.detach(), EXPLAINERS[EXPLAINER](tap).detach()

    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH), _PlainMeans():
        graph = make_fx(both, table(), tracing_mode="symbolic")(_any_number(torch.zeros(2, 3, size, size)))
    graph.graph.eliminate_dead_code()
    graph.recompile()
    return graph


def _any_number(faces: Tensor) -> Tensor:
    """A tensor without values whose first size stands for any number."""
    mode = FakeTensorMode(allow_non_fake_inputs=True, shape_env=ShapeEnv())
    sizes = [DimDynamic.DYNAMIC, *[DimDynamic.STATIC] * (faces.ndim - 1)]
    return mode.from_tensor(faces, symbolic_context=StatelessSymbolicContext(sizes), source=ConstantSource("faces"))


class _PlainMeans(TorchFunctionMode):
    """Pooling to one cell as a mean: torch writes it in place for some memory formats, which ONNX cannot say."""

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if function is nn.functional.adaptive_avg_pool2d and args[1] in (1, (1, 1)):
            return args[0].mean((-2, -1), keepdim=True)
        return function(*args, **(kwargs or {}))


def _look(model: nn.Module, where: Address, size: int) -> tuple[tuple[int, ...], Layout]:
    """The shape of a layer's output for one face, and how it is laid out."""
    shapes: list[tuple[int, ...]] = []

    def hook(module: nn.Module, inputs: Any, output: Any) -> None:
        first = output[0] if isinstance(output, tuple) else output
        shapes.append(tuple(first.shape))

    with torch.no_grad(), hooked([(where.module, hook)]):
        model(torch.zeros(2, 3, size, size))
    if len(shapes) != 1:
        raise InputError(f"layer {where.name!r} runs {len(shapes)} times in one forward: take one that runs once")
    return shapes[0][1:], layout(shapes[0], where, (size, size))


def _gradient(logit: Tensor, moved: Tensor, layer: str) -> Tensor:
    (found,) = torch.autograd.grad(logit, moved, retain_graph=True, allow_unused=True)
    if found is None:
        raise InputError(f"no logit depends on layer {layer!r}: take a layer between the image and the logits")
    return found
