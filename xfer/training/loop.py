"""The loop, which is Lightning's: epochs, validation, the choice of an epoch, checkpoints to go on from."""

import logging
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from math import isfinite, nan
from pathlib import Path
from typing import Any

import lightning.pytorch as lightning
import pandas as pd
import torch
from lightning.fabric.plugins import CheckpointIO
from torch import Tensor, nn
from torch.nn import functional

from xfer.errors import TrainingError
from xfer.training.batches import Batch, Batches, Loss
from xfer.training.guided import ABSENT_COLUMNS, GuidedLoss
from xfer.training.optimiser import optimiser, schedule
from xfer.training.ranks import ALONE, Place
from xfer.training.settings import Settings
from xfer.training.strategies import options
from xfer.training.weights import put, write_weights

SEED_STEP = 1_000_003
RANK_STEP = 10_007
"""Between the seeds of two processes that train together: more than there are epochs."""
_LOGGERS = ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero")
_DEPRECATED = r"`isinstance\(treespec, LeafSpec\)` is deprecated"
"""How lightning 2.6.6 calls torch 2.15."""


@dataclass
class Progress:
    """What a training knows between two epochs, besides the weights: plain values only.

    Attributes
    ----------
    key : str
        What the training depends on, as a digest.
    batch : int
    rows : list of dict
        The log.
    best : dict
        The row of the chosen epoch.
    """

    key: str
    batch: int
    rows: list[dict[str, float]] = field(default_factory=list)
    best: dict[str, float] = field(default_factory=dict)

    def enter(self, row: dict[str, float]) -> bool:
        """Add an epoch; whether it is the best: more faces right, and of equals the lower loss."""
        self.rows.append(row)
        if not self.best or _merit(row) > _merit(self.best):
            self.best = row
            return True
        return False

    def finished(self, settings: Settings) -> bool:
        """Whether all epochs are trained, or `patience` of them without a better one."""
        done = len(self.rows)
        waited = done - self.best["epoch"] if self.best else 0
        return done >= settings.epochs or bool(settings.patience and waited >= settings.patience)


def _merit(row: Mapping[str, float]) -> tuple[float, float]:
    return row["validation_accuracy"], -row["validation_loss"]


class Module(lightning.LightningModule):
    """A network with its loss and optimiser; this process's sums of an epoch are kept here."""

    def __init__(
        self,
        model: nn.Module,
        loss: Loss,
        settings: Settings,
        steps: int,
        name: str,
        tick: Callable[[], None],
        place: Place = ALONE,
    ) -> None:
        super().__init__()
        self.model, self._place = model, place
        self._loss, self._settings, self._steps, self._name, self._tick = loss, settings, steps, name, tick
        self.sums: dict[str, float] = {}

    def configure_optimizers(self) -> Any:
        """The optimiser and its rate, by the step."""
        chosen = optimiser(self.model, self._settings, fused=self.device.type in ("cpu", "cuda"))
        rate = schedule(chosen, self._settings, self._steps)
        if rate is None:
            return chosen
        return {"optimizer": chosen, "lr_scheduler": {"scheduler": rate, "interval": "step"}}

    def transfer_batch_to_device(self, batch: Batch, device: torch.device, dataloader_idx: int) -> Batch:
        """A batch knows how to move."""
        return batch.to(device)

    def on_train_epoch_start(self) -> None:
        """Dropout follows from the seed, the epoch and the process alone; no two processes drop the same."""
        first = self._settings.seed * SEED_STEP + self.current_epoch + SEED_STEP // 2
        torch.manual_seed(first + self._place.rank * RANK_STEP)
        names = ("faces", "loss", "held", "held_loss", "held_right", "guided", "term", *ABSENT_COLUMNS.values())
        self.sums = dict.fromkeys(names, 0.0)
        self._started = time.perf_counter()

    def training_step(self, batch: Batch, number: int) -> Tensor:
        """The loss of a batch, by this process's share of it."""
        value = self._loss(self.model, batch)
        (told,) = self._place.total(float(value.detach()) / self._place.ranks.processes)
        if not isfinite(told):
            raise self._lost(f"the loss is {told} in epoch {self.current_epoch + 1}, batch {number + 1}")
        self.sums["faces"] += batch.faces
        self.sums["loss"] += told * batch.faces
        if isinstance(self._loss, GuidedLoss):
            self._guided(self._loss)
        self._rate = self.trainer.optimizers[0].param_groups[0]["lr"]
        self._tick()
        return value

    def _guided(self, loss: GuidedLoss) -> None:
        """Count who took part in a batch's term, and why others did not."""
        term, faces = loss.told
        self.sums["guided"] += faces
        self.sums["term"] += faces * term if faces else 0.0
        for name, count in loss.absent.items():
            self.sums[ABSENT_COLUMNS[name]] += count

    def _lost(self, what: str) -> TrainingError:
        """The error that ends a training whose loss is not finite."""
        kept = "the last good epoch is kept; " if self.current_epoch else ""
        weight = "the guide's weight or " if isinstance(self._loss, GuidedLoss) else ""
        return TrainingError(f"{self._name}: {what}; {kept}lower {weight}the learning rate, or train in precision 32")

    def on_before_optimizer_step(self, optimizer: torch.optim.Optimizer) -> None:
        """Clip the gradient."""
        if self._settings.clip:
            nn.utils.clip_grad_norm_(self.model.parameters(), self._settings.clip)

    def validation_step(self, batch: Batch, number: int) -> None:
        """Cross entropy, whatever the loss is, and the faces that are right."""
        logits = self.model(batch.images).float()
        if not batch.faces:
            return
        self.sums["held"] += batch.faces
        self.sums["held_loss"] += float(functional.cross_entropy(logits, batch.labels, reduction="sum"))
        self.sums["held_right"] += int((logits.argmax(dim=1) == batch.labels).sum())

    def row(self) -> dict[str, float]:
        """The epoch's line of the log, of all processes; but for the seconds the same in each."""
        sums = dict(zip(self.sums, self._place.total(*self.sums.values()), strict=True))
        row = {
            "epoch": self.current_epoch + 1,
            "train_loss": sums["loss"] / sums["faces"],
            "validation_loss": sums["held_loss"] / sums["held"],
            "validation_accuracy": sums["held_right"] / sums["held"],
            "lr": self._rate,
            "seconds": time.perf_counter() - self._started,
            "guide_term": sums["term"] / sums["guided"] if sums["guided"] else nan,
            "guided_faces": int(sums["guided"]),
            **{name: int(sums[name]) for name in ABSENT_COLUMNS.values()},
        }
        if not isfinite(row["validation_loss"]):
            raise self._lost(f"the validation loss is {row['validation_loss']} in epoch {row['epoch']}")
        return row


class Keeper(lightning.Callback):
    """After every epoch: the log, the weights of the best epoch, and a checkpoint to go on from.

    Of several processes each keeps the progress, which is the same in all, and the first writes.
    """

    state_key = "xfer"

    def __init__(self, progress: Progress, settings: Settings, files: "Files | None", facts: dict[str, Any]) -> None:
        self.progress, self._settings, self._files, self._facts = progress, settings, files, facts
        self.best: dict[str, Tensor] = {}

    def state_dict(self) -> dict[str, Any]:
        """Plain values, readable without unpickling code."""
        return vars(self.progress).copy()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """What `state_dict` gave."""
        self.progress = Progress(**state_dict)

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Choose, write, stop."""
        assert isinstance(pl_module, Module)
        better = self.progress.enter(pl_module.row())
        if better and not self._files:
            self.best = {k: v.detach().to("cpu", copy=True) for k, v in pl_module.model.state_dict().items()}
        if self._files:
            if trainer.is_global_zero:
                self._write(self._files, pl_module.model if better else None)
            trainer.save_checkpoint(self._files.checkpoint)
        trainer.should_stop = self.progress.finished(self._settings)

    def _write(self, files: "Files", best: nn.Module | None) -> None:
        if best is not None:
            told = self._facts | {k: self.progress.best[k] for k in ("epoch", "validation_accuracy")}
            write_weights(files.best, best.state_dict(), told)
        log = pd.DataFrame(self.progress.rows)
        put(files.log, lambda aside: log.to_csv(aside, index=False))


@dataclass(frozen=True)
class Files:
    """Where a training keeps itself; the last two are gone when it is finished."""

    weights: Path
    log: Path
    best: Path
    checkpoint: Path

    @classmethod
    def of(cls, folder: Path, name: str) -> "Files":
        """The files of one network in a folder."""
        return cls(
            folder / f"{name}.safetensors",
            folder / f"{name}.csv",
            folder / f"{name}.best.safetensors",
            folder / f"{name}.ckpt",
        )


class _Whole(CheckpointIO):
    """Checkpoints are written aside and renamed, and read without running code from them."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        def write(aside: Path) -> None:
            with aside.open("wb") as file:  # torch's own writer tells of a full disk in words no OSError has
                torch.save(checkpoint, file)

        put(Path(path), write)

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = True) -> dict[str, Any]:
        loaded: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        return loaded

    def remove_checkpoint(self, path: Any) -> None:
        Path(path).unlink(missing_ok=True)


def saved(path: Path, key: str) -> Progress | None:
    """What a checkpoint knows; None where there is none, it is damaged, or it is of another training."""
    if not path.is_file():
        return None
    try:
        held = torch.load(path, map_location="cpu", weights_only=True, mmap=True)["callbacks"][Keeper.state_key]
    except Exception:
        return None
    return Progress(**held) if held.get("key") == key else None


def run(
    module: Module,
    keeper: Keeper,
    batches: tuple[Batches, Batches],
    settings: Settings,
    precision: str,
    device: torch.device,
    checkpoint: Path | None,
    place: Place = ALONE,
) -> None:
    """Train until the epochs or the patience are used up, from a checkpoint where one is given."""
    devices, environment = options(place, device)
    with _quiet(), _repeatable(settings, device):
        module.model.train()
        trainer = lightning.Trainer(
            accelerator={"cuda": "gpu"}.get(device.type, device.type),
            **devices,
            precision="bf16-mixed" if precision == "bf16" else "32-true",
            max_epochs=settings.epochs,
            callbacks=[keeper],
            plugins=[environment, _Whole()],
            num_sanity_val_steps=0,
            logger=False,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            benchmark=False,
        )
        handler = signal.getsignal(signal.SIGINT)
        _keep_alive()
        try:
            trainer.fit(module, *batches, ckpt_path=checkpoint, weights_only=True)
        except SystemExit as end:
            if not isinstance(end.__context__, KeyboardInterrupt):
                raise
            signal.signal(signal.SIGINT, handler)
            raise KeyboardInterrupt from None


def _keep_alive() -> None:
    """Ignore the profiling signal where Python knows of no handler for it.

    Lightning puts back all handlers as Python knows them. It does not know that of a C library, such as MediaPipe's,
    whose next signal would end the process.
    """
    profiling = getattr(signal, "SIGPROF", None)
    alone = threading.current_thread() is threading.main_thread()
    if profiling and alone and signal.getsignal(profiling) is signal.SIG_DFL:
        signal.signal(profiling, signal.SIG_IGN)


@contextmanager
def _quiet() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", _DEPRECATED, FutureWarning)
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def _repeatable(settings: Settings, device: torch.device) -> Iterator[None]:
    """Threads, algorithms and the global generators as the settings want them, and back."""
    threads, strict = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    memory: Any = torch.utils.deterministic
    fill = memory.fill_uninitialized_memory
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        try:
            torch.set_num_threads(settings.threads or threads)
            torch.use_deterministic_algorithms(device.type == "cpu")
            memory.fill_uninitialized_memory = False
            yield
        finally:
            torch.set_num_threads(threads)
            torch.use_deterministic_algorithms(strict)
            memory.fill_uninitialized_memory = fill
