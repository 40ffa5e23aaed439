"""Progress: what work tells, what a notebook shows of it, and what an interruption leaves, in a real kernel too."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import IPython.display
import nbformat
import pandas as pd
import pytest
import torch
from nbclient import NotebookClient
from torch import nn

import xfer
from xfer import progress
from xfer.progress import Board, Interrupted, followed, silent
from xfer.report import notebooks


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


class Cell:
    """The output of a cell: what was displayed, and what took its place."""

    def __init__(self) -> None:
        self.shown: list[dict[str, str]] = []
        self.displayed = 0

    def display(self, bundle: dict[str, str], raw: bool, display_id: bool) -> "Cell":
        assert (raw, display_id) == (True, True)
        self.displayed += 1
        self.shown.append(bundle)
        return self

    def update(self, bundle: dict[str, str], raw: bool) -> None:
        self.shown.append(bundle)

    @property
    def lines(self) -> list[str]:
        return self.shown[-1]["text/plain"].splitlines()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> Cell:
    """The cell that a kernel would run."""
    cell = Cell()
    monkeypatch.setattr(IPython.display, "display", cell.display)
    monkeypatch.setattr(progress, "kernel_runs", lambda: True)
    return cell


def work(clock: Clock, seconds: float, steps: int, end: BaseException | None = None) -> Callable[..., str]:
    """Work of one stage, in even steps."""

    @followed("It goes on.")
    def run(*, progress: progress.Stage = silent) -> str:
        tick = progress("net: training", steps)
        for _ in range(steps):
            clock.now += seconds / steps
            tick()
        if end is not None:
            raise end
        return "made"

    return run


def test_short_work_shows_nothing(cell: Cell, clock: Clock) -> None:
    assert work(clock, 1.9, 10)() == "made"
    assert cell.shown == []


def test_long_work_is_one_output_that_is_drawn_over(cell: Cell, clock: Clock) -> None:
    assert work(clock, 20.0, 4000)() == "made"
    assert cell.displayed == 1
    assert len(cell.shown) <= 4 * 20 + 1, "four times a second, however fast the steps come"
    assert cell.shown[0]["text/plain"].endswith(" of 4000, 200.0 a second, 18 s left")
    assert cell.lines == ["Done after 20 s."]


def test_an_interruption_is_one_line_that_says_what_it_means(cell: Cell, clock: Clock) -> None:
    with pytest.raises(Interrupted) as caught:
        work(clock, 12.0, 100, KeyboardInterrupt())()
    assert isinstance(caught.value, KeyboardInterrupt)
    assert caught.value._render_traceback_() == ["Interrupted after 12 s. It goes on."]
    assert cell.lines == ["Interrupted after 12 s."]


def test_an_error_stays_what_it_is(cell: Cell, clock: Clock) -> None:
    with pytest.raises(ValueError, match=r"^torn$"):
        work(clock, 12.0, 100, ValueError("torn"))()
    assert cell.lines == ["Ended by an error after 12 s."]


@pytest.mark.parametrize("given", [False, silent])
def test_who_wants_nothing_is_shown_nothing(cell: Cell, clock: Clock, given: Any) -> None:
    assert work(clock, 60.0, 100)(progress=given) == "made"
    assert cell.shown == []


def test_another_progress_is_told_instead(cell: Cell, clock: Clock) -> None:
    told: list[str] = []

    def own(stage: str, steps: int) -> Callable[[], None]:
        told.append(f"{stage} {steps}")
        return lambda: None

    work(clock, 60.0, 3)(progress=own)
    assert (told, cell.shown) == (["net: training 3"], [])


def test_outside_a_kernel_nothing_is_shown(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(IPython.display, "display", lambda *args, **options: pytest.fail("shown"))
    assert not progress.kernel_runs()
    with pytest.raises(KeyboardInterrupt) as caught:
        work(clock, 60.0, 3, KeyboardInterrupt())()
    assert type(caught.value) is KeyboardInterrupt


def test_a_units_next_stage_takes_the_place_of_the_last_and_few_are_shown(cell: Cell, clock: Clock) -> None:
    board = Board()
    clock.now += 5
    board("net 0: training", 10)  # stopped early, it never ends
    for i in range(6):
        clock.now += 1
        board(f"net {i}: heatmaps", 10)
    assert cell.lines == [*(f"net {i}: heatmaps: 0 of 10" for i in (2, 3, 4, 5)), "and 2 more"]


def test_what_is_done_goes(cell: Cell, clock: Clock) -> None:
    board = Board()
    first, second = board("first", 1), board("second", 2)
    clock.now += 4
    first()
    assert cell.lines == ["second: 0 of 2"]
    clock.now += 4
    second()
    assert cell.lines == ["second: 1 of 2, 8.0 s each, 8 s left"]


def test_a_late_step_draws_nothing(cell: Cell, clock: Clock) -> None:
    board = Board()
    clock.now += 4
    tick = board("net", 10)
    board.close("Interrupted")
    clock.now += 1
    tick()
    assert cell.lines == ["Interrupted after 4 s."]


def test_names_are_text_and_bars_have_names(cell: Cell, clock: Clock) -> None:
    board = Board()
    clock.now += 4
    board("<b>net</b>", 10)
    markup = cell.shown[-1]["text/html"]
    assert "<b>" not in markup
    assert '<progress value="0" max="10" aria-label="&lt;b&gt;net&lt;/b&gt;"' in markup


def test_explaining_tells_every_pass_and_every_face_with_parts_hidden() -> None:
    told: dict[str, list[int]] = {}

    def stage(name: str, steps: int) -> Callable[[], None]:
        counts = told.setdefault(name, [0, 0])
        counts[0] += steps

        def tick() -> None:
            counts[1] += 1

        return tick

    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2))
    settings = {"perturbation": {"samples": 7}}
    options = {"layer": "1", "batch_size": 2, "settings": settings, "progress": stage}
    xfer.explain(net, torch.rand(3, 3, 12, 12), "grad_cam,rise", **options)
    assert told["explaining"] == [4, 4], "two batches, in each the layer and what hides parts"
    assert told["hiding parts of faces"][0] == told["hiding parts of faces"][1] >= 3 * 7


CHANGES = {"drawn": 48, "pretrained": "no", "training": {"epochs": 1}, "metrics": "iou", "draws": 0}
TRAIN = 'xfer.train("songnet_bn", drawn=48, training={"epochs": 9}, out="long")[0].accuracy'
INTERRUPT = """
import os, pathlib, signal, threading, time

def interrupt():
    while not list(pathlib.Path("long").glob("checkpoints/*.ckpt")):
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)

threading.Thread(target=interrupt).start()
"""


class Kernel:
    """A kernel in a folder, and the notebook that it runs."""

    def __init__(self, home: Path) -> None:
        self.home, self.notebook = home, nbformat.reads(notebooks.study_notebook(), as_version=4)
        self.client = NotebookClient(
            self.notebook, kernel_name="python3", timeout=1800, startup_timeout=600, iopub_timeout=120,
            allow_errors=True, resources={"metadata": {"path": home}},
        )  # fmt: skip

    def run(self, source: str) -> list[Any]:
        """What a cell puts out."""
        self.notebook.cells.append(nbformat.v4.new_code_cell(source))
        outputs: list[Any] = self.client.execute_cell(self.notebook.cells[-1], len(self.notebook.cells) - 1).outputs
        return outputs


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """A kernel in which ``study.ipynb`` ran from top to bottom, but for the cell that a user changes."""
    kernel = Kernel(tmp_path_factory.mktemp("begun"))
    (kernel.home / notebooks.SETTINGS).write_text(notebooks.settings_text())
    first = next(cell for cell in kernel.notebook.cells if cell.cell_type == "code")
    assert first.source.startswith("changes = {}  # your faces: ")
    first.source = first.source.replace("changes = {}", f"changes = {CHANGES!r}") + "\nxfer.progress.PATIENCE = 0"
    with kernel.client.setup_kernel():
        for number, cell in enumerate(kernel.notebook.cells):
            kernel.client.execute_cell(cell, number)
        yield kernel


def test_the_notebook_of_init_runs_as_written(kernel: Kernel) -> None:
    outputs = [out for cell in kernel.notebook.cells for out in cell.get("outputs", ())]
    assert [out for out in outputs if out.output_type in ("error", "stream")] == []
    shown = " ".join(out.data.get("text/plain", "") for out in outputs)
    assert "songnet_bn" in shown
    assert "report.html" in outputs[-1].data["text/html"]
    (compared,) = (cell for cell in kernel.notebook.cells if cell.source.startswith("study = xfer.compare("))
    told, folder = compared.outputs
    assert told.data["text/plain"].startswith("Done after ")
    assert folder.output_type == "execute_result"


def test_an_interrupted_training_goes_on_from_its_last_epoch(kernel: Kernel) -> None:
    told, ended = kernel.run(INTERRUPT + TRAIN)
    assert told.data["text/plain"].startswith("Interrupted after ")
    assert ended.ename == "Interrupted"
    assert ended.traceback == [f"{told.data['text/plain']} {xfer._KEPT}"]
    log = kernel.home / "long" / "checkpoints" / "songnet_bn-f0.csv"
    before = pd.read_csv(log)
    assert 0 < len(before) < 9
    told, accuracy = kernel.run(TRAIN)
    assert told.data["text/plain"].startswith("Done after ")
    assert 0 <= float(accuracy.data["text/plain"]) <= 1
    after = pd.read_csv(log)
    assert after["epoch"].tolist() == list(range(1, 10))
    resumed = after.head(len(before)).drop(columns="seconds")
    pd.testing.assert_frame_equal(resumed, before.drop(columns="seconds"))


def test_stages_of_other_threads_are_shown_in_the_cell(kernel: Kernel) -> None:
    source = """
board = xfer.progress.Board()
thread = threading.Thread(target=lambda: (time.sleep(0.3), board("elsewhere", 3)))
thread.start()
thread.join()
"""
    (told,) = kernel.run(source)
    assert told.data["text/plain"] == "elsewhere: 0 of 3"


def test_an_interrupted_explanation_leaves_the_network_as_it_was(kernel: Kernel) -> None:
    made = """
import torch
from torch import nn
net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)).train()
images = torch.rand(4, 3, 32, 32)
seen = []
def watch(module, given, out):
    seen.append(len(out))
    if len(seen) == 40:
        os.kill(os.getpid(), signal.SIGINT)
handle = net.register_forward_hook(watch)
xfer.explain(net, images, "occlusion,rise", batch_size=4)
"""
    ended = kernel.run(made)[-1]
    assert (ended.ename, len(ended.traceback)) == ("Interrupted", 1)
    (left,) = kernel.run("handle.remove(); net.training, all(p.requires_grad for p in net.parameters())")
    assert left.data["text/plain"] == "(True, True)"
    assert kernel.run("xfer.explain(net, images, 'occlusion', progress=False).shape")[0].output_type == "execute_result"
