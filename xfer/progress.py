"""Progress: how long work tells whoever waits for it, and what a notebook shows of it."""

import functools
import html
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

Stage = Callable[[str, int], Callable[[], None]]
"""Called with a stage's name and number of steps; returns what is called after every step."""

P = ParamSpec("P")
Result = TypeVar("Result")

PATIENCE = 2.0
"""Seconds that work takes without a word."""
_REDRAW = 0.25
"""Seconds between two looks at it."""
_BARS = 4


def silent(stage: str, steps: int) -> Callable[[], None]:
    """The progress that shows nothing."""
    return lambda: None


def duration(seconds: float) -> str:
    """A time as people say it.

    >>> duration(34.2), duration(250), duration(3900)
    ('34 s', '4 min 10 s', '1 h 5 min')
    """
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def rate(speed: float) -> str:
    """Steps a second in words.

    >>> rate(3.0), rate(0.2)
    ('3.0 a second', '5.0 s each')
    """
    return f"{speed:.1f} a second" if speed >= 1 else f"{1 / speed:.1f} s each"


def pace(done: int, steps: int, seconds: float) -> str:
    """How far, how fast, how long still.

    >>> pace(30, 120, 10.0)
    '30 of 120, 3.0 a second, 30 s left'
    >>> pace(2, 4, 10.0)
    '2 of 4, 5.0 s each, 10 s left'
    >>> pace(0, 4, 10.0)
    '0 of 4'
    """
    if not done or seconds <= 0:
        return f"{done} of {steps}"
    return f"{done} of {steps}, {rate(done / seconds)}, {duration((steps - done) * seconds / done)} left"


def kernel_runs() -> bool:
    """Whether this Python is a notebook's kernel."""
    if (ipython := sys.modules.get("IPython")) is None:
        return False
    return getattr(ipython.get_ipython(), "kernel", None) is not None


class Interrupted(KeyboardInterrupt):
    """Work that was interrupted in a notebook, which shows the line alone."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


def followed(afterwards: str = "") -> Callable[[Callable[P, Result]], Callable[P, Result]]:
    """Let a function show in a notebook how far it is, where its ``progress`` says nothing else.

    Parameters
    ----------
    afterwards : str
        What an interruption means for the work.
    """

    def wrap(work: Callable[P, Result]) -> Callable[P, Result]:
        @functools.wraps(work)
        def run(*args: P.args, **options: P.kwargs) -> Result:
            given: Any = options.pop("progress", None)
            if given is not None or not kernel_runs():
                options["progress"] = given or silent
                return work(*args, **options)
            board = options["progress"] = Board()
            try:
                result = work(*args, **options)
            except KeyboardInterrupt:
                board.close("Interrupted")
                raise Interrupted(f"Interrupted after {board.age}. {afterwards}".strip()) from None
            except BaseException:
                board.close("Ended by an error")
                raise
            board.close("Done")
            return result

        return run

    return wrap


@dataclass
class _Bar:
    stage: str
    steps: int
    began: float
    done: int = 0

    def told(self, now: float) -> str:
        return f"{self.stage}: {pace(self.done, self.steps, now - self.began)}"


class Board:
    """The stages that are being worked on, as one output of a cell that is drawn over and over.

    It is an ordinary output with an id, no widget: it needs nothing in the browser, and a saved notebook keeps its last
    line. Work of less than `PATIENCE` shows nothing. Stages may come from any thread.
    """

    def __init__(self) -> None:
        self._began = self._drawn = time.monotonic()
        self._bars: list[_Bar] = []
        self._handle: Any = None
        self._closed = False
        self._lock = threading.Lock()

    @property
    def age(self) -> str:
        """Since when it is there."""
        return duration(time.monotonic() - self._began)

    def __call__(self, stage: str, steps: int) -> Callable[[], None]:
        """Be told of a stage and its steps; a new stage of the same unit takes the place of the last one."""
        bar, unit = _Bar(stage, max(steps, 1), time.monotonic()), stage.partition(":")[0]
        with self._lock:
            self._bars = [each for each in self._bars if each.stage.partition(":")[0] != unit] + [bar]
        self._draw()

        def tick() -> None:
            bar.done += 1
            if bar.done >= bar.steps:
                with self._lock:
                    self._bars = [each for each in self._bars if each is not bar]
            self._draw()

        return tick

    def close(self, word: str) -> None:
        """Leave one line, where anything was shown; nothing is drawn after it."""
        with self._lock:
            self._closed = True
            if self._handle is not None:
                self._show(f"{word} after {self.age}.", f'<div role="status">{word} after {self.age}.</div>')

    def _draw(self) -> None:
        now = time.monotonic()
        if now - self._began < PATIENCE or now - self._drawn < _REDRAW:
            return
        with self._lock:
            if self._closed:
                return
            self._drawn = now
            bars = self._bars[-_BARS:]
            told = [bar.told(now) for bar in bars]
            if more := len(self._bars) - len(bars):
                told.append(f"and {more} more")
            lines = [_line(bar, text) for bar, text in zip(bars, told, strict=False)] + [
                f"<div>{text}</div>" for text in told[len(bars) :]
            ]
            self._show("\n".join(told), "".join(lines))

    def _show(self, text: str, markup: str) -> None:
        from IPython.display import display

        bundle = {"text/plain": text, "text/html": markup}
        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)


def _line(bar: _Bar, text: str) -> str:
    told = html.escape(text)
    return (
        f'<div><progress value="{bar.done}" max="{bar.steps}" aria-label="{html.escape(bar.stage)}" '
        f'style="width: 12em; margin-right: 0.8em; vertical-align: middle"></progress>{told}</div>'
    )
