"""xfer: does a facial-expression network look at a face where people do?"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from xfer.explainers import explain
    from xfer.scoring import score
    from xfer.study import Study

__version__ = "0.1.0"
__all__ = ["Study", "compare", "explain", "score"]


def compare(*, heatmaps: Any, **options: Any) -> "Study":
    """Score, cluster and report heatmaps: a study folder and its `Study`.

    `heatmaps` is a folder of files or a ``heatmaps.zarr``; the options are those of
    `xfer.study.imported.compare_heatmaps`.
    """
    from xfer.study.imported import compare_heatmaps

    return compare_heatmaps(heatmaps, **options)


def __getattr__(name: str) -> Any:
    if name == "explain":
        from xfer.explainers import explain

        return explain
    if name == "score":
        from xfer.scoring import score

        return score
    if name == "Study":
        from xfer.study import Study

        return Study
    raise AttributeError(f"module 'xfer' has no attribute {name!r}")
