"""The units of a run as Ray tasks: begun in their order, begun again when their process or node is lost."""

import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

from xfer.errors import InputError, TrainingError
from xfer.progress import Stage
from xfer.study import stages
from xfer.study.engine.ray_worker import Asked, Mouth, RefusedError, trouble, versions, work
from xfer.study.engine.work import AHEAD, BEAT, Follow, Log, Needs, Relay, Work

if TYPE_CHECKING:
    from xfer.study.engine.freight import Freight

_AGAIN = 3
"""How often a unit is begun again whose process was lost; for a lost node always."""
_PATIENCE = 600.0
"""Seconds without a node that has room for a unit, after which the run gives up."""
_FAREWELL = 10.0
"""Seconds that nodes have at the end of a run to remove what they were given."""
_WORDS = {"CPU": "cores", "GPU": "GPUs", "memory": "GB of memory"}
_VARIABLES = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "RAY_EXPERIMENTAL_NOSET_CUDA_VISIBLE_DEVICES": "1"}
"""As for local workers; a unit sets torch's threads itself, and `ray_worker.work` says which GPU is a unit's."""
_PINNED = {"max_retries": 0, "runtime_env": {"env_vars": _VARIABLES}}
"""Options that all tasks have."""


class Board:
    """What workers report, heard by one run.

    Attributes
    ----------
    mouth : Mouth
        What workers are given.
    """

    def __init__(self, ray: Any, progress: Stage) -> None:
        here = ray.get_runtime_context()
        self.mouth = Mouth(_queue(here.get_node_id(), here.get_job_id()), uuid4().hex)
        self._relay = Relay(progress)

    def read(self) -> list[Log]:
        """Hand what came to the progress of the run, and give logs back; what is left of another run is neither."""
        queue, own = self.mouth
        came = [event for run, event in queue.get_nowait_batch(queue.qsize()) if run == own]
        for event in came:
            if len(event) == 3:
                self._relay(event)
        return [event for event in came if len(event) == 2]


@lru_cache(1)
def _queue(node: str, job: str) -> Any:
    """A queue of Ray's on this node: a process, the same for all runs of a connection, which ends with it."""
    from ray.util.queue import Queue

    return Queue(actor_options={"num_cpus": 0, "max_restarts": -1, "scheduling_strategy": _on(node)})


def _on(node: str) -> Any:
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    return NodeAffinitySchedulingStrategy(node, soft=False)


def farewell(ray: Any, run: str) -> None:
    """Let the nodes remove what they were given; who does not answer soon removes it in another run."""
    from xfer.study.engine.freight import forget

    with suppress(Exception):
        task = ray.remote(forget)
        nodes = [node["NodeID"] for node in ray.nodes() if node["Alive"]]
        said = [task.options(num_cpus=0, scheduling_strategy=_on(node), **_PINNED).remote(run) for node in nodes]
        ray.wait(said, num_returns=len(said), timeout=_FAREWELL)


class Tasks:
    """The units of a run as tasks."""

    def __init__(
        self,
        ray: Any,
        compute: Any,
        needs: Needs,
        demands: Mapping[str, float],
        board: Board,
        freight: "Freight | None" = None,
    ) -> None:
        self._ray, self._compute, self._needs, self._demands, self._board = ray, compute, needs, demands, board
        self._freight = freight
        self._asked = Asked(versions(), self._seen_by_all(), str(Path.cwd()), freight.run if freight else "")
        self._sent: dict[int, Any] = {}
        self._seen, self._room = time.monotonic(), 0
        self._task = ray.remote(max_calls=0)(work)  # a process stays, and a network in it

    def _seen_by_all(self) -> tuple[Path | str, ...]:
        """What workers must see, but for what they take along."""
        taken = self._freight.home if self._freight else None
        files = self._needs.files
        return tuple(each for each in files if not (taken and isinstance(each, Path) and each.is_relative_to(taken)))

    def check(self) -> None:
        """Refuse a cluster that has no room for a unit, or a node that must not compute.

        Raises
        ------
        InputError
        """
        nodes, workers = self._nodes(), self._needs.workers
        room = sum(nodes.values())
        told = _told(self._demands)
        if not room:
            raise InputError(f"--engine ray: no node has {told}, which one unit takes; {self._largest()}")
        if workers and workers > room:
            raise InputError(f"--workers {workers}: the cluster has room for {room} units side by side ({told} each)")
        probe = self._ray.remote(trouble)
        probes = {
            node: probe.options(num_cpus=0, scheduling_strategy=_on(node), **_PINNED).remote(self._asked)
            for node in nodes
        }
        names = {node["NodeID"]: node["NodeManagerHostname"] for node in self._ray.nodes()}
        for node, reference in probes.items():
            if why := self._found(reference):
                raise InputError(f"--engine ray: node {names[node]} {why}")

    def _found(self, reference: Any) -> str:
        """What a node answered; one that is lost meanwhile is no trouble."""
        errors = self._ray.exceptions
        try:
            return str(self._ray.get(reference))
        except errors.RayTaskError as error:
            return f"cannot run xfer ({_last(error)}); install the same xfer-kit there"
        except errors.RuntimeEnvSetupError as error:
            return f"cannot start a worker ({_last(error)})"
        except errors.RayError:
            return ""

    def run(self, units: Sequence[Work], follow: Follow[Work, Any] | None) -> Iterator[tuple[Work, Any]]:
        """Every unit with its result, as they finish; one that was lost begins before those that wait."""
        waiting = deque((unit, 0) for unit in units)
        begun = dict[Any, tuple[Work, int]]()
        try:
            while waiting or begun:
                while waiting and len(begun) < self._limit():
                    unit, lost = waiting.popleft()
                    begun[self._begin(unit)] = unit, lost
                for reference in self._finished(list(begun)):
                    unit, lost = begun.pop(reference)
                    result = self._result(reference)
                    if isinstance(result, _Lost):
                        if (lost := lost + result.counts) <= _AGAIN:
                            waiting.appendleft((unit, lost))
                            continue
                        result = TrainingError(f"its process was killed {lost} times, {result.why}")
                    waiting.extend((each, 0) for each in (follow(unit, result) if follow else ()))
                    yield unit, result
        finally:
            for reference in begun:
                with suppress(Exception):
                    self._ray.cancel(reference, force=True)

    def _finished(self, begun: list[Any]) -> list[Any]:
        """Tasks that ended, after a beat at most; what workers report is read meanwhile."""
        done: list[Any] = []
        if begun:
            done, _ = self._ray.wait(begun, timeout=BEAT)
        else:
            time.sleep(BEAT)
        with suppress(self._ray.exceptions.RayError):
            for log in self._board.read():
                if self._freight:
                    self._freight.follow(log)
        return done

    def _begin(self, unit: Any) -> Any:
        """A task for a unit.

        Raises
        ------
        TrainingError
            If Ray has no room for what the unit reads.
        """
        options = {"num_cpus": self._demands["CPU"], "num_gpus": self._demands.get("GPU", 0), **_PINNED}
        if "memory" in self._demands:
            options["memory"] = int(self._demands["memory"])
        shared, name = None, self._needs.shared
        try:
            load = self._freight.load(self._needs.reads(unit)) if self._freight else None
            if name:
                value = getattr(unit, name)
                if id(value) not in self._sent:
                    self._sent[id(value)] = self._ray.put(value)
                shared, unit = (name, self._sent[id(value)]), replace(unit, **{name: None})
        except self._ray.exceptions.RayError as error:
            why = f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"
            room = "make room on the disk of this machine, where Ray keeps them; what is finished is kept"
            raise TrainingError(f"--engine ray: has no room for what units read ({why}); {room}") from None
        at_hand = self._compute, unit, shared, self._asked, self._board.mouth, load
        return self._task.options(**options).remote(*at_hand)

    def _result(self, reference: Any) -> Any:
        """What a task returned, or that its process or node is gone.

        Raises
        ------
        InputError
            If a worker refused.
        OSError
            What the unit raised.
        """
        errors = self._ray.exceptions
        try:
            found, seconds, files = self._ray.get(reference)
        except errors.RayTaskError as error:
            return TrainingError(f"its worker failed: {_last(error)}")
        except errors.ObjectFetchTimedOutError as error:
            return _Lost(1, f"or its node was out of reach ({type(error).__name__})")
        except (errors.NodeDiedError, errors.ObjectLostError):  # before or after it had ended
            return _Lost(0, "")
        except errors.RayError as error:
            return _Lost(1, f"most likely for its memory ({type(error).__name__})")
        stages.worked_elsewhere(seconds)
        if self._freight:
            self._freight.unload(files)
        if isinstance(found, RefusedError | OSError):
            raise found
        return found

    def _limit(self) -> int:
        """How many tasks may be open; the cluster is looked at once a beat.

        Raises
        ------
        TrainingError
            If for `_PATIENCE` no node had room.
        """
        now = time.monotonic()
        if self._room and now < self._seen + BEAT:
            return self._needs.workers or AHEAD * self._room
        self._room = sum(self._nodes().values())
        if self._room:
            self._seen = now
        elif now > self._seen + _PATIENCE:
            minutes = f"{_PATIENCE / 60:g} min"
            raise TrainingError(f"no node has had room for a unit for {minutes}; what is finished is kept")
        return self._needs.workers or AHEAD * self._room

    def _nodes(self) -> dict[str, int]:
        """The nodes that have room for a unit, and for how many."""
        alive = [node for node in self._ray.nodes() if node["Alive"]]
        room = {node["NodeID"]: self._fits(node["Resources"]) for node in alive}
        return {node: count for node, count in room.items() if count}

    def _fits(self, there: Mapping[str, float]) -> int:
        """How many units a node's resources are enough for.

        A little more than there is passes: shares of a GPU are sums of floats.
        """
        return int(min(there.get(name, 0) / amount for name, amount in self._demands.items()) + 1e-6)

    def _largest(self) -> str:
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        most = {name: max((node.get(name, 0) for node in nodes), default=0) for name in self._demands}
        return f"the most of one node are {_told(most)}"


def _told(resources: Mapping[str, float]) -> str:
    """Resources in words."""
    scale = {"memory": 1e-9}
    return ", ".join(f"{amount * scale.get(name, 1):.3g} {_WORDS[name]}" for name, amount in resources.items())


class _Lost(NamedTuple):
    """The end of a task that has no result.

    Attributes
    ----------
    counts : int
        0 where the unit took no part in it.
    why : str
    """

    counts: int
    why: str


def _last(error: Exception) -> str:
    """The last line of what a worker's error says."""
    lines = [line.strip() for line in str(getattr(error, "cause", None) or error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
