"""Groups of options that several commands take whole."""

from collections.abc import Callable
from functools import wraps
from inspect import Parameter, signature
from typing import Annotated, Any

import typer

from xfer.errors import InputError


def _guide(
    guide_weight: Annotated[
        float | None, typer.Option(help="The guide's factor beside the cross entropy, 4 by default.")
    ] = None,
    guide_schedule: Annotated[
        str | None,
        typer.Option(help="How that goes on after the warm-up: constant (the default), linear or cosine, to 0."),
    ] = None,
    guide_warm_up: Annotated[
        float | None, typer.Option(help="The share of the training in which it rises from 0.")
    ] = None,
    guide_layers: Annotated[
        str | None,
        typer.Option(help="Layers that are guided, with commas: names, indices or 'last' (the default)."),
    ] = None,
    guide_loss: Annotated[
        str | None, typer.Option(help="au_cosine (the default), au_region, cam or harmonize.")
    ] = None,
    guide_masks: Annotated[
        str | None, typer.Option(help="The mask source of the maps, belharbi2024 by default.")
    ] = None,
    output_stride: Annotated[
        int | None,
        typer.Option(help="8, 16 or 32 px a cell of a network's deepest layer, where it has the choice; 0: its own."),
    ] = None,
) -> None:
    """The options of a guide."""


def _engine(
    engine: Annotated[
        str, typer.Option(help="Where networks are worked on: local (this machine) or ray; the numbers are the same.")
    ] = "local",
    address: Annotated[
        str | None,
        typer.Option(
            help="A Ray cluster: 'auto' on one of its nodes, or HOST:PORT; without it one of this machine's cores."
        ),
    ] = None,
    gpus: Annotated[
        float | None,
        typer.Option(help="GPUs of a network, with --engine ray and --device cuda: 1 by default, 0.5 for two."),
    ] = None,
    memory: Annotated[
        float | None, typer.Option(help="GB that Ray sets aside for a network, with --engine ray.")
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Networks, and whatever else can be, worked on side by side; by default as many as there is room for.",
        ),
    ] = None,
    devices: Annotated[
        int, typer.Option(min=1, help="Processes that train a network together, on cuda as many GPUs; of every node.")
    ] = 1,
    nodes: Annotated[int, typer.Option(min=1, help="Nodes on which srun or torchrun has started this line.")] = 1,
    strategy: Annotated[
        str, typer.Option(help="Lightning's, for several processes: auto, ddp or ddp_find_unused_parameters_true.")
    ] = "auto",
) -> None:
    """Where a study is worked on."""


GUIDE_OPTIONS = tuple(signature(_guide).parameters)
ENGINE_OPTIONS = tuple(signature(_engine).parameters)


def _whole(
    command: Callable[..., None], group: Callable[..., None], keyword: str, read: Callable[..., dict[str, Any]]
) -> Callable[..., None]:
    """A command with the options of a group as its last, which it takes together as one keyword, as they are read."""
    whole = signature(command)
    options = {name: each.replace(kind=Parameter.KEYWORD_ONLY) for name, each in signature(group).parameters.items()}
    own = [each for name, each in whole.parameters.items() if name != keyword]

    @wraps(command)
    def told(**given: Any) -> None:
        of_group = {name: given.pop(name, each.default) for name, each in options.items()}
        command(**given, **{keyword: read(**of_group)})

    told.__signature__ = whole.replace(parameters=[*own, *options.values()])  # type: ignore[attr-defined]
    return told


def guided(command: Callable[..., None]) -> Callable[..., None]:
    """A command with the options of a guide, which it takes as the keyword ``guide_options``.

    >>> @guided
    ... def command(model: str, seed: int = 0, *, guide_options: dict[str, Any]) -> None:
    ...     print(model, seed, guide_options["guide_weight"])
    >>> list(signature(command).parameters)[:3]
    ['model', 'seed', 'guide_weight']
    >>> command(model="songnet", seed=1, guide_weight=2.0)
    songnet 1 2.0
    """
    return _whole(command, _guide, "guide_options", dict)


def engined(command: Callable[..., None]) -> Callable[..., None]:
    """A command with the options of an engine, which it takes as the keyword ``engine_options``.

    >>> @engined
    ... def command(model: str, *, engine_options: dict[str, Any]) -> None:
    ...     print(model, engine_options["engine"], list(engine_options))
    >>> command(model="songnet", engine="ray", address="auto", memory=8)
    songnet Ray(address='auto', gpus=1, memory=8, workers=None) ['engine', 'workers', 'devices', 'nodes', 'strategy']
    """
    return _whole(command, _engine, "engine_options", _engine_of)


_OF_RAY = ("address", "gpus", "memory")


def _engine_of(engine: str, **given: Any) -> dict[str, Any]:
    """The engine that is asked for, and whatever else is told of where.

    Raises
    ------
    InputError
        If something of Ray's is asked of another one.
    """
    of_ray = {option: value for option in _OF_RAY if (value := given.pop(option)) is not None}
    if engine != "ray":
        if of_ray:
            raise InputError(f"{', '.join(f'--{option}' for option in of_ray)} needs --engine ray")
        return {"engine": engine, **given}
    from xfer.study.engine import Ray

    return {"engine": Ray(**of_ray), **given}
