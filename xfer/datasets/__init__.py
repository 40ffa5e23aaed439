"""Data sets: faces with expression, subject, split and time, from files of many layouts or drawn."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xfer.datasets.images import ImageError
from xfer.datasets.samples import Dataset, Dropped, FaceSample
from xfer.errors import InputError
from xfer.registry import Registry

__all__ = ["DATASETS", "Dataset", "DatasetReader", "Dropped", "FaceSample", "ImageError", "open"]


@dataclass(frozen=True)
class DatasetReader:
    """A reader and what it declares.

    Attributes
    ----------
    name : str
        As in ``NAME:PATH``.
    function : callable
        ``(path, **options) -> Dataset``; without a path where `layout` is empty.
    layout : str
        What the folder or file looks like, in one line; empty if the data are not on disk.
    reference : str
        The source, with its DOI.
    licence : str
        The owner's terms.
    """

    name: str
    function: Callable[..., Dataset]
    layout: str
    reference: str
    licence: str


DATASETS: Registry[DatasetReader] = Registry("data set", "xfer.datasets", DatasetReader)


def open(
    data: str,
    expressions: Iterable[str] | None = None,
    min_faces: int = 1,
    unlabelled: bool = False,
    **options: Any,
) -> Dataset:
    """Open a data set by name and path.

    Parameters
    ----------
    data : str
        ``"synthetic"``, ``"folder:DIR"``, ``"csv:FILE"`` or ``"NAME:DIR"`` with a name of `DATASETS`.
    expressions, min_faces, unlabelled
        What to keep, see `Dataset.select`.
    **options
        The reader's own, such as ``allow_outside=True``.

    Raises
    ------
    InputError
        If the name is unknown, the path is missing or of another layout, or no face is left.
    """
    name, _, path = data.partition(":")
    if name not in DATASETS and Path(data).exists():
        raise InputError(f"data {data!r}: say what it is, as in {'folder' if Path(data).is_dir() else 'csv'}:{data}")
    reader = DATASETS[name]
    if bool(path) != bool(reader.layout):
        form = f"write {name}:PATH with {reader.layout}" if reader.layout else f"{name!r} takes no path"
        raise InputError(f"data {data!r}: {form}")
    dataset = reader.function(Path(path), **options) if path else reader.function(**options)
    dataset.require_faces()
    return dataset.select(expressions, min_faces, unlabelled)
