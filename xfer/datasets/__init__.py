"""Data sets: faces with expression, subject, split and time, from files of many layouts or drawn."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xfer.datasets.images import ImageError
from xfer.datasets.objects import is_url, place
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
    urls : bool
        Whether the path may be the URL of a store.
    """

    name: str
    function: Callable[..., Dataset]
    layout: str
    reference: str
    licence: str
    urls: bool = False


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
        ``"synthetic"``, ``"folder:DIR"``, ``"csv:FILE"`` or ``"NAME:DIR"`` with a name of `DATASETS`; where its
        `DatasetReader.urls` says so, DIR and FILE may be URLs of a store, ``s3://``, ``gs://``, ``file://``.
    expressions, min_faces, unlabelled
        What to keep, see `Dataset.select`.
    **options
        The reader's own, such as ``allow_outside=True``.

    Raises
    ------
    InputError
        If the name is unknown, the path is missing or of another layout, a store cannot be read, or no face is left.
    """
    name, _, path = data.partition(":")
    if name not in DATASETS and (is_url(data) or Path(data).exists()):
        kind = "csv" if Path(data).suffix and not Path(data).is_dir() else "folder"
        raise InputError(f"data {data!r}: say what it is, as in {kind}:{data}")
    reader = DATASETS[name]
    if bool(path) != bool(reader.layout):
        form = f"write {name}:PATH with {reader.layout}" if reader.layout else f"{name!r} takes no path"
        raise InputError(f"data {data!r}: {form}")
    where = place(path) if path else None
    if isinstance(where, str) and not reader.urls:
        able = ", ".join(each for each in DATASETS if DATASETS[each].urls)
        raise InputError(f"data {data!r}: {name!r} is read from a folder here; by URL there is {able}")
    dataset = reader.function(**options) if where is None else reader.function(where, **options)
    dataset.require_faces()
    return dataset.select(expressions, min_faces, unlabelled)
