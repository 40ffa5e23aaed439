"""A network as a list of steps, each a module of its own that runs once: what captum's layer rules need."""

import operator
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from inspect import signature
from typing import Any

import torch
from captum.attr._utils.custom_modules import Addition_Module
from torch import Tensor, fx, nn
from torch.nn import functional

from xfer.errors import InputError

__all__ = ["LINEAR", "Step", "steps", "unruled"]

LINEAR = (
    Addition_Module, nn.AdaptiveAvgPool2d, nn.AvgPool2d, nn.BatchNorm1d, nn.BatchNorm2d, nn.ConstantPad2d, nn.Conv2d,
    nn.ConvTranspose2d, nn.Flatten, nn.Linear, nn.PixelShuffle, nn.Unflatten, nn.Upsample, nn.UpsamplingBilinear2d,
    nn.UpsamplingNearest2d, nn.ZeroPad2d,
)  # fmt: skip
"""Modules that are linear in their inputs in evaluation mode, up to an offset."""

LINEAR_STEPS = frozenset(
    (
        *("adaptive_avg_pool2d", "add", "avg_pool2d", "batch_norm", "cat", "clone", "concat", "contiguous", "conv2d"),
        *(
            "expand",
            "flatten",
            "getitem",
            "interpolate",
            "linear",
            "mean",
            "neg",
            "pad",
            "permute",
            "reshape",
            "squeeze",
        ),
        *("sub", "sum", "transpose", "unsqueeze", "view"),
    )
)
"""Functions and methods that are so in all their inputs together."""

SCALINGS = frozenset(("mul", "div", "truediv"))
"""Those that are so while only one input comes from the image."""

TRANSPARENT = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)
"""Modules that hand on their input in evaluation mode."""

HOOKS = ("_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks")

TOLERANCE = 1e-3
"""How far, relative to the largest, the logits of a network taken apart may be from its own."""


class Step(nn.Module):
    """A function or a method as a module whose inputs are the tensors that come from the image.

    Parameters
    ----------
    call : callable
    name : str
        The function's or method's.
    args, kwargs : tuple and dict
        What it is called with; `Place` stands for an input, or for what is computed on the way.
    """

    def __init__(self, call: Callable[..., Any], name: str, args: Any, kwargs: Any) -> None:
        super().__init__()
        self.call = call
        self.name = name
        self.arguments = (args, kwargs)

    def forward(self, *inputs: Any, rest: Sequence[Any] = ()) -> Any:
        """The call with its places filled."""
        given = (*inputs, *rest)
        args, kwargs = fx.node.map_aggregate(self.arguments, lambda a: given[a.position] if isinstance(a, Place) else a)
        return self.call(*args, **kwargs)


@dataclass(frozen=True)
class Place:
    """Which of a step's inputs stands among its arguments."""

    position: int


def _relu(*_: Any, **__: Any) -> nn.Module:
    return nn.ReLU()


def _tanh(*_: Any, **__: Any) -> nn.Module:
    return nn.Tanh()


def _sigmoid(*_: Any, **__: Any) -> nn.Module:
    return nn.Sigmoid()


def _max_pool(
    kernel_size: Any, stride: Any = None, padding: Any = 0, dilation: Any = 1, ceil_mode: bool = False, **_: Any
) -> nn.Module:
    return nn.MaxPool2d(kernel_size, stride, padding, dilation, ceil_mode=ceil_mode)


AS_MODULES: dict[Any, Callable[..., nn.Module]] = {
    **dict.fromkeys((functional.relu, functional.relu_, torch.relu, torch.relu_, "relu", "relu_"), _relu),
    **dict.fromkeys((functional.tanh, torch.tanh, "tanh", "tanh_"), _tanh),
    **dict.fromkeys((functional.sigmoid, torch.sigmoid, "sigmoid", "sigmoid_"), _sigmoid),
    **dict.fromkeys((functional.max_pool2d, torch.max_pool2d), _max_pool),
}
"""Functions and methods that captum has a rule for only as modules."""

ADDITIONS = (operator.add, operator.iadd, torch.add, "add", "add_")


def steps(model: nn.Module, images: Tensor, logits: Tensor) -> fx.GraphModule:
    """A double of a network whose steps are modules that run once; it shares the network's weights.

    The network itself is not touched: what is done to the double, hooks and attributes included, is gone with it.

    Parameters
    ----------
    model : nn.Module
        In evaluation mode.
    images : tensor (face, channel, y, x)
    logits : tensor (face, class)
        The network's, of these images.

    Raises
    ------
    InputError
        If it cannot be copied or taken apart, or is then another network.

    Examples
    --------
    >>> net = nn.Sequential(nn.Conv2d(3, 2, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()).eval()
    >>> images = torch.rand(1, 3, 8, 8)
    >>> [name for name, _ in steps(net, images, net(images)).named_children()]
    ['0', '1', '2']
    """
    kind = type(model).__name__
    copy = _copied(model)
    with torch.no_grad():
        try:
            tracer = _Tracer(images[:1])
            graph = tracer.trace(copy, _other_arguments(copy))
            double = fx.GraphModule(copy, _rewritten(copy, graph, tracer.values))
            found = double(images)
        except Exception as error:
            raise InputError(f"{kind} cannot be taken apart into steps: {_said(error)}") from error
        if not torch.allclose(found, logits, rtol=0, atol=TOLERANCE * float(logits.abs().max()), equal_nan=True):
            raise InputError(f"{kind} cannot be taken apart into steps: the steps give other logits")
    return double


def unruled(double: fx.GraphModule, rules: Sequence[type[nn.Module]]) -> tuple[str, str] | None:
    """The first step, by name and kind, that is neither linear nor of a type with a rule; None if there is none."""
    for node in double.graph.nodes:
        if node.op != "call_module":
            continue
        module = double.get_submodule(node.target)
        if isinstance(module, Step):
            linear = module.name in LINEAR_STEPS or (module.name in SCALINGS and len(node.args) == 1)
            if not linear:
                return _owner(node), module.name
        elif type(module) not in (*LINEAR, *rules):
            return str(node.target), type(module).__name__
    return None


def _copied(model: nn.Module) -> nn.Module:
    """A copy of a network, over the same memory, without anybody's hooks.

    Raises
    ------
    InputError
        If it cannot be copied.
    """
    try:
        copy = deepcopy(model, _shared(model))
    except Exception as error:
        raise InputError(f"{type(model).__name__} cannot be copied: {_said(error)}") from error
    for module in copy.modules():
        for name in HOOKS:
            getattr(module, name).clear()
    return copy


def _said(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


def _owner(node: fx.Node) -> str:
    """The module whose forward makes a call."""
    stack = node.meta.get("nn_module_stack") or {}
    return next(reversed(stack), "") or "forward"


def _shared(model: nn.Module) -> dict[int, Any]:
    """Memo for `deepcopy`: new parameters and buffers over the same memory."""
    memo: dict[int, Any] = {id(p): nn.Parameter(p.data, requires_grad=False) for p in model.parameters()}
    return memo | {id(b): b.data for b in model.buffers()}


def _other_arguments(model: nn.Module) -> dict[str, Any]:
    """The defaults of what a forward takes besides images."""
    others = list(signature(model.forward).parameters.values())[1:]
    return {p.name: p.default for p in others if p.default is not p.empty}


class _Tracer(fx.Tracer):
    """Traces with the values of one image, so that sizes are numbers; the number of faces stays open."""

    def __init__(self, images: Tensor) -> None:
        super().__init__()
        self.values: dict[fx.Node, Any] = {}
        self._images = images
        self._running = False

    def proxy(self, node: fx.Node) -> fx.Proxy:
        return _Sized(node, self)

    def call_module(self, m: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        return forward(*args, **kwargs) if self._running else super().call_module(m, forward, args, kwargs)

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        return attr_val if self._running else super().getattr(attr, attr_val, parameter_proxy_cache)

    def create_proxy(self, kind: str, target: Any, args: Any, kwargs: Any, *more: Any, **options: Any) -> fx.Proxy:
        made = super().create_proxy(kind, target, args, kwargs, *more, **options)
        self._running = True
        try:
            self.values[made.node] = self._value(made.node)
        finally:
            self._running = False
        return made

    def _value(self, node: fx.Node) -> Any:
        args, kwargs = fx.node.map_arg((node.args, node.kwargs), self._known)
        target: Any = node.target
        if node.op == "placeholder":
            first = not any(other.op == "placeholder" for other in self.values)
            return self._images if first else next(iter(node.args), None)
        if node.op == "call_module":
            return self.root.get_submodule(target)(*args, **kwargs)
        if node.op == "call_method":
            return getattr(args[0], target)(*args[1:], **kwargs)
        return target(*args, **kwargs) if node.op == "call_function" else self._known(node)

    def _known(self, node: fx.Node) -> Any:
        return operator.attrgetter(str(node.target))(self.root) if node.op == "get_attr" else self.values.get(node)


class _Sized(fx.Proxy):
    """A traced tensor that knows its size, but for the number of faces."""

    @property
    def shape(self) -> tuple[Any, ...]:
        value = self.tracer.values[self.node]  # type: ignore[attr-defined]
        traced: Any = super().__getattr__("shape")
        if not isinstance(value, Tensor):
            return traced
        return (traced[0], *value.shape[1:]) if value.ndim else ()

    def size(self, dim: int | None = None) -> Any:
        return self.shape if dim is None else self.shape[dim]

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def dim(self) -> int:
        return len(self.shape)


def _rewritten(root: nn.Module, graph: fx.Graph, values: Mapping[fx.Node, Any]) -> fx.Graph:
    """The graph with every call that depends on the image as a module, each module used once and not in place."""
    seen: set[str] = set()
    moving: set[fx.Node] = set()
    for position, node in enumerate(list(graph.nodes)):
        if node.op == "placeholder" and not moving:
            moving.add(node)
            continue
        if not moving.intersection(node.all_input_nodes):
            continue
        if node.op == "call_module" and isinstance(root.get_submodule(node.target), TRANSPARENT):
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)
            continue
        if not isinstance(values.get(node), Tensor):
            continue
        moving.add(node)
        if node.op == "call_module":
            _used_once(root, node, seen, position)
        elif node.op in ("call_function", "call_method"):
            _called(root, graph, node, moving, f"step_{position}")
    graph.lint()
    return graph


def _used_once(root: nn.Module, node: fx.Node, seen: set[str], position: int) -> None:
    module = root.get_submodule(str(node.target))
    if node.target in seen:
        module = deepcopy(module, _shared(module))
        node.target = f"step_{position}"
        root.add_module(node.target, module)
    seen.add(str(node.target))
    if getattr(module, "inplace", False):
        module.inplace = False  # type: ignore[assignment]


def _called(root: nn.Module, graph: fx.Graph, node: fx.Node, moving: set[fx.Node], name: str) -> None:
    """Put a module in the place of a call."""
    inputs = [each for each in node.all_input_nodes if each in moving]
    rest: list[fx.Node] = []
    if node.target in AS_MODULES:
        given = {key: value for key, value in node.kwargs.items() if key != "input"}
        module = AS_MODULES[node.target](*node.args[1:] if "input" not in node.kwargs else node.args, **given)
    elif node.target in ADDITIONS and len(inputs) == 2 and len(node.args) == 2 and not node.kwargs:
        module = Addition_Module()
    else:
        rest = [each for each in node.all_input_nodes if each not in moving]
        places = {each: Place(position) for position, each in enumerate((*inputs, *rest))}
        fill: Any = places.__getitem__
        module = _step(node, *fx.node.map_arg((node.args, dict(node.kwargs)), fill))
    root.add_module(name, module)
    with graph.inserting_after(node):
        made = graph.create_node("call_module", name, tuple(inputs), {"rest": tuple(rest)} if rest else {})
    made.meta = dict(node.meta)
    node.replace_all_uses_with(made)
    graph.erase_node(node)
    moving.add(made)


def _step(node: fx.Node, args: Any, kwargs: Any) -> Step:
    if node.op == "call_method":
        method = str(node.target)
        return Step(lambda first, *more, **named: getattr(first, method)(*more, **named), method, args, kwargs)
    call: Any = node.target
    return Step(call, getattr(call, "__name__", str(call)), args, kwargs)
