"""How processes that train together find one another: who started them, their store and their process group."""

import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed

from xfer.errors import InputError
from xfer.training.ranks import Place, Ranks

distributed: Any = torch.distributed
"""Without types: its stores are not exported explicitly."""

PATIENCE = timedelta(minutes=10)
"""How long processes wait for one another, at the beginning of a training and in it."""
_LOOPBACK = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")


def launcher() -> str:
    """Who started this process as one of several: ``torchrun``, ``srun``, or "" for nobody."""
    if distributed.is_torchelastic_launched():
        return "torchrun"
    return "srun" if int(os.environ.get("SLURM_STEP_NUM_TASKS", 1)) > 1 else ""


def found(ranks: Ranks) -> tuple[Place, Any] | None:
    """Which of the processes that were started together this is, and their store; None where it is alone."""
    name = launcher()
    if not name:
        if ranks.nodes > 1:
            raise InputError(f"{ranks}: start it on all nodes with srun or torchrun, a process for each device")
        return None
    from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
    from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment

    wanted = {"torchrun": "--nnodes {} --nproc-per-node {}", "srun": "--nodes {} --ntasks-per-node {}"}[name]
    wanted = wanted.format(ranks.nodes, ranks.devices)
    try:
        there: Any = TorchElasticEnvironment() if name == "torchrun" else SLURMEnvironment(auto_requeue=False)
        if there.world_size() != ranks.processes:
            raise RuntimeError
        there.validate_settings(ranks.devices, ranks.nodes)
    except (RuntimeError, ValueError):  # Lightning's: what srun was not told, or was told otherwise
        raise InputError(f"{ranks}: does not fit what {name} started; give it {wanted}") from None
    place = Place(ranks, there.global_rank(), there.local_rank(), there.node_rank())
    os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = there.main_address, str(there.main_port)
    try:
        store, _, _ = next(distributed.rendezvous("env://", place.rank, ranks.processes, timeout=PATIENCE))
    except RuntimeError as error:  # a port that is taken, or a process that never came
        told = (str(error).splitlines() or [""])[0]
        raise ConnectionError(
            f"{ranks}: the processes do not meet at {there.main_address}:{there.main_port} ({told}); start all of "
            "them, or set another MASTER_PORT"
        ) from None
    return place, distributed.PrefixStore("xfer", store)


@contextmanager
def group(store: Any, call: int, kind: str, place: Place, *, here: bool) -> Iterator[None]:
    """The process group of a call."""
    before, hook = {name: os.environ.get(name) for name in _LOOPBACK}, sys.excepthook
    if here and (loopback := _loopback()):
        os.environ.update(dict.fromkeys(_LOOPBACK, loopback))
    try:
        distributed.init_process_group(
            "gloo" if kind == "cpu" else "cpu:gloo,cuda:nccl",
            store=distributed.PrefixStore(f"group {call}", store),
            rank=place.rank,
            world_size=place.ranks.processes,
            timeout=PATIENCE,
        )
        yield
    finally:
        if distributed.is_initialized():
            distributed.destroy_process_group()
        sys.excepthook = hook  # torch sets its own
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value


def _loopback() -> str:
    """The name of the network interface that no other machine reaches; "" where it cannot be told."""
    names = [name for _, name in socket.if_nameindex()] if hasattr(socket, "if_nameindex") else []
    return next((name for name in ("lo", "lo0") if name in names), "")
