"""What a study will cost: its options settled, everything tried for a minute, and multiplied."""

from typing import Any

from xfer.errors import InputError
from xfer.progress import Stage, silent
from xfer.study import costs, engine, pilot, stages
from xfer.study.claiming import quiet
from xfer.study.costs import Costs
from xfer.study.folder import COSTS, read_config
from xfer.study.forecast import Forecast
from xfer.study.places import written
from xfer.study.plan import Plan, settle
from xfer.study.protocols import PROTOCOLS
from xfer.study.recognition import SHOWN
from xfer.study.units import FEW_FOLDS


def plan(
    models: str = "all",
    *,
    faces: int | None = None,
    workers: int | None = None,
    all_gpus: int | None = None,
    progress: Stage = silent,
    **options: Any,
) -> Costs:
    """What `xfer.compare` with these options will cost: every stage is tried for about a minute, then multiplied.

    Nothing but the plan is written, into the folder that the study will have, where that is not another study's;
    `Study.costs` sets it against what the study took. With `faces` it is a plan for other data, and is not kept.

    Parameters
    ----------
    models : str
        As for `xfer.compare`.
    faces : int, optional
        Plan for so many faces like those of `data`; as many as there are by default.
    workers : int, optional
        Networks worked on side by side, each on as many cores as here; as many as there is room for by default.
    all_gpus : int, optional
        Graphics processors, a network each, like this machine's; 1 by default where there is one.
    progress : callable, optional
    **options
        Those of `xfer.study.plan.settle`.

    Returns
    -------
    Costs

    Raises
    ------
    InputError
        For whatever `xfer.compare` refuses, or a number that is none.
    TrainingError
        If no network can be trained.

    Examples
    --------
    >>> costs = plan("songnet_bn,resnet50", faces=20_000, workers=8)  # doctest: +SKIP
    >>> costs.total, costs.bottleneck  # doctest: +SKIP
    """
    faces = asked(faces, workers, all_gpus, options)
    chosen, took = stages.taken(lambda: settle(models, **options))
    require_quiet(chosen, faces)
    here, there = room_for(chosen, workers, all_gpus)
    scale = (faces or len(chosen.dataset)) / len(chosen.dataset)
    blocks, rows = _blocks(chosen, scale)
    tried = pilot.run(chosen, here, blocks, rows, progress)
    return keep(chosen, Forecast(chosen, tried, took, scale, there, here).costs(), faces)


def asked(faces: Any, workers: int | None, all_gpus: int | None, options: dict[str, Any]) -> int | None:
    """How many faces to plan for; what a file of settings says besides is put right in the options.

    Raises
    ------
    InputError
        If a number is none.
    """
    if faces in SHOWN:  # a file of settings says whose pictures the report shows, and where it runs
        faces = None
    for name in ("engine", "devices", "nodes", "strategy"):
        options.pop(name, None)
    for name, number in {"faces": faces, "workers": workers, "all-gpus": all_gpus}.items():
        if number is not None and number < 1:
            raise InputError(f"--{name} must be 1 or more; got {number}")
    preset = str(options.get("preset", "quick"))
    if faces is not None and options.get("data", "synthetic") == "synthetic" and preset in PROTOCOLS:
        options["drawn"] = min(faces, options.get("drawn") or PROTOCOLS[preset].faces)
    return None if faces is None else int(faces)


def require_quiet(chosen: Plan, faces: int | None) -> None:
    """Refuse, before anything is tried, where the plan is to be kept in a store and a run is live there.

    Raises
    ------
    InputError
    """
    if faces is None:
        with quiet(chosen.home):
            pass


def keep(chosen: Plan, found: Costs, faces: int | None) -> Costs:
    """Write a plan into its study's folder, unless it is for other faces or that is another's."""
    if faces is None and _own(chosen):
        with quiet(chosen.home):
            written(costs.write(chosen.home, found, chosen.config))
    return found


def _own(chosen: Plan) -> bool:
    """Whether the study's folder is not there yet, or is that study's."""
    home = chosen.home
    if home.is_symlink() or not home.is_dir():
        return not home.exists()
    there = read_config(home)
    return there == chosen.config if there else all(path.name == COSTS for path in home.iterdir())


def room_for(chosen: Plan, workers: int | None, all_gpus: int | None) -> tuple[int, int]:
    """Networks side by side here, and where the study runs.

    Raises
    ------
    InputError
        If graphics processors are asked for and there is none to try them on.
    """
    if chosen.device == "cpu":
        if all_gpus is not None:
            raise InputError(f"--all-gpus {all_gpus}: what a GPU takes is measured on one, and --device is cpu here")
        here = min(engine.workers_for(network.settings.threads) for network in chosen.networks)
        return min(here, workers or here), workers or here
    return 1, all_gpus or workers or 1


def _blocks(chosen: Plan, scale: float) -> tuple[int, int]:
    """Blocks of subjects of a fold, and blocks or folds that a heatmap is made of."""
    config = chosen.config
    tested = config["data"]["subjects"] * scale * (0.2 if config["folds"] == 1 else 1 / config["folds"])
    blocks = max(1, min(config["blocks"], round(tested)))
    if config["folds"] >= FEW_FOLDS:
        return blocks, config["folds"]
    shown = config["data"]["faces"] * scale * (0.2 if config["folds"] == 1 else 0.5) / len(chosen.dataset.expressions)
    return blocks, max(1, round(filled(blocks, shown) * config["folds"]))


def filled(blocks: int, faces: float) -> float:
    """How many of some blocks have one of so many faces that are dealt at random, on average.

    >>> filled(2, 1), round(filled(30, 1e6))
    (1.0, 30)
    """
    return blocks * (1 - (1 - 1 / blocks) ** faces)
