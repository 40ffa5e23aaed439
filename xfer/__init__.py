"""xfer: does a facial-expression network look at a face where people do?"""

from typing import TYPE_CHECKING, Any

from xfer.progress import followed

if TYPE_CHECKING:
    from xfer.explainers import explain
    from xfer.scoring import score
    from xfer.study import Study
    from xfer.study.costs import Costs
    from xfer.study.export import export
    from xfer.study.loading import load_model
    from xfer.study.networks import Trained
    from xfer.study.running import running
    from xfer.study.settings import read_settings
    from xfer.study.twin_study import TwinStudy

__version__ = "0.1.0"
__all__ = [
    "Study", "compare", "explain", "export", "guide", "load_model", "plan", "plan_guide", "read_settings", "running",
    "score",
    "train",
]  # fmt: skip

_KEPT = "What is finished is kept; the same call goes on from there."


@followed(_KEPT)
def compare(models: str = "all", *, heatmaps: Any = None, **options: Any) -> "Study":
    """Does a network look where people do: a study folder with scores and report, and its `Study`.

    Networks are trained on faces, explained and scored, with the options of
    `xfer.study.networks.compare_networks`; or, with `heatmaps` (a folder of files or a ``heatmaps.zarr``), maps that
    are there already are scored, with the options of `xfer.study.imported.compare_heatmaps`. In a notebook, work of
    more than two seconds shows stage, pace and the time that is left; ``progress=False`` shows nothing.
    """
    if heatmaps is not None:
        from xfer.study.imported import compare_heatmaps

        return compare_heatmaps(heatmaps, **options)
    from xfer.study.networks import compare_networks

    return compare_networks(models, **options)


@followed(_KEPT)
def train(model: str, **options: Any) -> "list[Trained]":
    """Train networks on faces: their weights and accuracies, as `xfer.study.networks.train` says.

    `compare` with the same options goes on from there.
    """
    from xfer.study.networks import train

    return train(model, **options)


@followed()
def plan(models: str = "all", **options: Any) -> "Costs":
    """What `compare` with these options will cost in time, memory, disk and forwards, from a minute of measuring.

    With the options of `xfer.study.planning.plan`.
    """
    from xfer.study.planning import plan

    return plan(models, **options)


@followed()
def plan_guide(model: str, **options: Any) -> "Costs":
    """What `guide` with these options will cost, as `plan` says it of `compare`.

    With the options of `xfer.study.twin_forecast.plan`.
    """
    from xfer.study.twin_forecast import plan

    return plan(model, **options)


@followed(_KEPT)
def guide(model: str, **options: Any) -> "TwinStudy":
    """Train twins of a network, guided by Action Units and by controls: what the Action Units did, in one folder.

    With the options of `xfer.study.twins.guide_network` and `xfer.study.twins.settle`.
    """
    from xfer.study.twins import guide_network

    return guide_network(model, **options)


def __getattr__(name: str) -> Any:
    if name == "explain":
        from xfer.explainers import explain

        return explain
    if name == "export":
        from xfer.study.export import export

        return export
    if name == "load_model":
        from xfer.study.loading import load_model

        return load_model
    if name == "read_settings":
        from xfer.study.settings import read_settings

        return read_settings
    if name == "running":
        from xfer.study.running import running

        return running
    if name == "score":
        from xfer.scoring import score

        return score
    if name == "Study":
        from xfer.study import Study

        return Study
    raise AttributeError(f"module 'xfer' has no attribute {name!r}")
