"""Fit a network: the best epoch on validation subjects, from where a killed run left it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn

from xfer.datasets.samples import Dataset
from xfer.errors import InputError, TrainingError
from xfer.progress import Stage, followed, silent
from xfer.training.batches import Batches, Loss, cross_entropy
from xfer.training.crew import together
from xfer.training.guided import ABSENT_COLUMNS, GuidedLoss
from xfer.training.parts import require, require_landmarks
from xfer.training.pixels import Pixels, read
from xfer.training.ranks import Place, Ranks
from xfer.training.settings import Settings, usable_precision
from xfer.training.weights import digest, load_into, read_weights

if TYPE_CHECKING:
    from xfer.training.loop import Files, Keeper, Progress

__all__ = ["LOG", "Fitted", "TrainingError", "fit", "out_of_memory", "silent"]

LOG = (
    "epoch", "train_loss", "validation_loss", "validation_accuracy", "lr", "seconds", "guide_term", "guided_faces",
    *ABSENT_COLUMNS.values(),
)  # fmt: skip
"""Columns of the log: losses in nats a face, the validation loss always plain cross entropy; the mean term of a guide
before its weight, NaN without one, the training faces that took part in it, and those that did not, by reason."""

_FEWEST = 4
"""The smallest batch that running out of memory leads to."""


@dataclass(frozen=True)
class Fitted:
    """A trained network.

    Attributes
    ----------
    state : dict of str to Tensor
        The weights of the chosen epoch, on the CPU.
    log : DataFrame
        An epoch a row, with the columns of `LOG`.
    epoch : int
        The chosen one, from 1.
    accuracy : float
        Of that epoch on the validation faces.
    batch : int
        Faces in a batch; fewer than the settings say where memory ran out.
    precision : {"32", "bf16"}
        What it was trained in.
    remarks : tuple of str
        What differs from the settings, and why.
    path : Path or None
        The safetensors file.
    digest : str
        Its sha256; "" without a file.
    """

    state: dict[str, Tensor]
    log: pd.DataFrame
    epoch: int
    accuracy: float
    batch: int
    precision: str
    remarks: tuple[str, ...]
    path: Path | None
    digest: str


@dataclass(frozen=True)
class _Task:
    model: nn.Module
    pixels: Pixels
    train: NDArray[np.intp]
    validation: NDArray[np.intp]
    settings: Settings
    loss: Loss
    name: str
    device: torch.device
    precision: str
    key: str
    facts: Mapping[str, Any]
    files: "Files | None"
    ranks: Ranks
    progress: Stage


@followed()
def fit(
    model: nn.Module,
    faces: Dataset | Pixels,
    train: ArrayLike,
    validation: ArrayLike,
    settings: Settings,
    *,
    loss: Loss = cross_entropy,
    name: str = "network",
    folder: Path | None = None,
    device: str = "cpu",
    devices: int = 1,
    nodes: int = 1,
    strategy: str = "auto",
    key: str = "",
    facts: Mapping[str, Any] | None = None,
    progress: Stage = silent,
) -> Fitted:
    """Train a network in place.

    Parameters
    ----------
    model : nn.Module
        ``(face, 3, size, size) -> (face, class)``; left with the chosen weights, in evaluation mode, on the CPU.
    faces : Dataset or Pixels
        Of a data set only the faces of `train` and `validation` are opened.
    train, validation : sequence of int
        Positions in the data set, without a subject in common; `hold_out` makes them. No other face is read.
    settings : Settings
    loss : callable
        ``(model, batch) -> scalar``; see `Batch`.
    name : str
        Of the network: in messages and file names.
    folder : Path, optional
        Where the weights, the log and, until it is finished, a checkpoint are kept. A killed training goes on
        there and ends with the same weights; a finished one is read.
    device : str
    devices, nodes, strategy
        How many processes train it together, see `Ranks`; on one machine they are started here. The batch of the
        settings is that of all of them, and but for dropout and the like, which differ from process to process, they
        train as one does, as far as sums of floats agree. `nodes` is for `xfer.train`, `compare` and `guide`.
    key : str
        What else the result depends on, such as the loss's own parameters.
    facts : mapping, optional
        What else is written into the file of the weights: JSON.
    progress : callable
        A step is a batch.

    Raises
    ------
    InputError
        If a part is empty, the parts share faces or subjects, an expression has no training face, or a guided loss is
        to follow landmarks of pictures of another size; if there are fewer GPUs than devices, or a network with batch
        norm is to be trained by several processes on CPUs.
    TrainingError
        If the loss is not finite, or memory runs out with small batches too.

    Returns
    -------
    Fitted
    """
    ranks = Ranks(devices, nodes, strategy)
    ranks.require(device)
    ranks.require_whole_batches(model, name, device)
    settings = settings.change(processes=ranks.processes)
    if isinstance(faces, Dataset):
        both = np.union1d(np.asarray(train, np.intp), np.asarray(validation, np.intp))
        faces = read(faces, settings.size, only=both, scratch=folder, shared=ranks.processes > 1)
    parts = faces.labelled(train), faces.labelled(validation)
    require(faces, *parts, settings, name)
    if isinstance(loss, GuidedLoss):
        require_landmarks(faces, parts[0], name)
    where = torch.device(device)
    precision, remark = usable_precision(settings.precision, where)
    whole = _key(model, faces, *parts, settings, loss, key)
    files = _files(folder, name)
    task = _Task(
        model, faces, *parts, settings, loss, name, where, precision, whole, facts or {}, files, ranks, progress
    )
    fitted = _finished(task) or _train(task)
    load_into(model, fitted.state, name)
    model.eval()
    remarks = (*((remark,) if remark else ()), *_shrunk(fitted.batch, settings))
    return Fitted(**{**vars(fitted), "remarks": remarks})


def _files(folder: Path | None, name: str) -> "Files | None":
    from xfer.training.loop import Files

    if folder is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    return Files.of(folder, name)


def _key(
    model: nn.Module,
    pixels: Pixels,
    train: NDArray[np.intp],
    validation: NDArray[np.intp],
    settings: Settings,
    loss: Loss,
    more: str,
) -> str:
    """A digest of all that the weights follow from, but the machine and the libraries."""
    ids = [[pixels.ids[r] for r in pixels.rows(part)] for part in (train, validation)]
    labels = pixels.labels[pixels.rows(train)].tolist()
    of_loss = getattr(loss, "digest", getattr(loss, "__qualname__", ""))
    told = [settings.config(), pixels.classes, ids, labels, of_loss, more]
    whole = sha256(json.dumps(told, sort_keys=True).encode())
    for tensor_name, tensor in model.state_dict().items():
        whole.update(f"{tensor_name} {tuple(tensor.shape)} {tensor.dtype}".encode())
        whole.update(memoryview(tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()))
    return whole.hexdigest()


def _finished(task: _Task) -> Fitted | None:
    """A training that is in the folder already."""
    files = task.files
    if files is None or not files.weights.is_file() or not files.log.is_file():
        return None
    try:
        state, facts = read_weights(files.weights)
    except InputError:  # damaged: trained again
        return None
    if facts.get("key") != task.key:
        return None
    files.checkpoint.unlink(missing_ok=True)
    return _fitted(task, state, pd.read_csv(files.log), facts)


def _fitted(task: _Task, state: dict[str, Tensor], log: pd.DataFrame, facts: dict) -> Fitted:
    path = task.files.weights if task.files else None
    return Fitted(
        state=state,
        log=log,
        epoch=int(facts["epoch"]),
        accuracy=float(facts["validation_accuracy"]),
        batch=int(facts["batch"]),
        precision=str(facts["precision"]),
        remarks=(),
        path=path,
        digest=digest(path) if path else "",
    )


def _train(task: _Task) -> Fitted:
    """Train, with half the batch again each time that memory runs out."""
    from xfer.training.loop import Progress, saved

    held = saved(task.files.checkpoint, task.key) if task.files else None
    progress = held or Progress(task.key, task.settings.batch)
    start = {name: tensor.detach().to("cpu", copy=True) for name, tensor in task.model.state_dict().items()}
    while True:
        try:
            return _attempt(task, progress, resume=held is not None)
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
        smaller = progress.batch // 2
        if smaller < max(_FEWEST, task.ranks.processes):
            raise TrainingError(
                f"{task.name}: out of memory with {progress.batch} faces of {task.settings.size} px in a batch; "
                "use smaller faces or a smaller network"
            )
        task.model.load_state_dict(start)
        held, progress = None, Progress(task.key, smaller)


def _attempt(task: _Task, progress: "Progress", *, resume: bool) -> Fitted:
    from xfer.training.loop import Keeper

    settings, files = task.settings, task.files
    facts = {
        **task.facts,
        "key": task.key,
        "batch": progress.batch,
        "precision": task.precision,
        "settings": settings.config(),
        "classes": list(task.pixels.classes),
    }
    keeper = Keeper(progress, settings, files, facts)
    if not progress.finished(settings):
        told = facts, progress, resume
        kept = replace(task, progress=silent)
        keeper = together(task.ranks, task.device.type, _epochs, (task, *told), (kept, *told))
    done = keeper.progress
    log = pd.DataFrame(done.rows, columns=list(LOG))
    facts |= {"epoch": done.best["epoch"], "validation_accuracy": done.best["validation_accuracy"]}
    if files is None:
        return _fitted(task, keeper.best, log, facts)
    files.best.replace(files.weights)
    files.checkpoint.unlink(missing_ok=True)
    return _fitted(task, read_weights(files.weights)[0], log, facts)


def _epochs(place: Place, task: _Task, facts: dict[str, Any], progress: "Progress", resume: bool) -> "Keeper":
    """The epochs that are left, in one of the processes that train together or in the only one."""
    from xfer.training.loop import Keeper, Module, run
    from xfer.training.strategies import shared

    settings, files, device = task.settings, task.files, place.device(task.device)
    keeper = Keeper(progress, settings, files, facts)
    model = shared(task.model, place, device)
    module: Module
    train = Batches(task.pixels, task.train, settings, progress.batch, lambda: module.current_epoch, place)
    held = Batches(task.pixels, task.validation, settings, progress.batch, place=place)
    left = (settings.epochs - len(progress.rows)) * len(train)
    tick = task.progress(f"{task.name}: training", left)
    module = Module(model, task.loss, settings, settings.epochs * len(train), task.name, tick, place)
    if settings.channels_last:
        model.to(memory_format=torch.channels_last)
    try:
        checkpoint = files.checkpoint if files and resume else None
        run(module, keeper, (train, held), settings, task.precision, device, checkpoint, place)
    finally:
        model.cpu()
    return keeper


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on whatever device."""
    told = str(error).lower()
    known = ("out of memory", "can't allocate memory", "not enough memory")
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or any(words in told for words in known)


def _shrunk(batch: int, settings: Settings) -> tuple[str, ...]:
    if batch == settings.batch:
        return ()
    return (f"memory ran out with {settings.batch} faces in a batch; trained with {batch}",)
