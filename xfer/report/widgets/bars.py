"""Stages of any work as bars: how far, how fast, how long still."""

import time
from collections.abc import Callable
from typing import Any

from ipywidgets import HTML, IntProgress, VBox

from xfer.progress import pace
from xfer.report.widgets.explorer import escaped

_TICK = 0.2
"""Seconds between two steps of a bar."""
_BARS = 4


class Bars(VBox):
    """The stages that are being worked on, the latest few; one that is done goes. Called as ``progress`` is."""

    children: tuple[Any, ...]

    def __call__(self, stage: str, steps: int) -> Callable[[], None]:
        """Be told of a stage and its steps."""
        bar, told = IntProgress(0, 0, max(steps, 1), layout={"width": "120px"}), HTML(escaped(stage))
        line = VBox([told, bar])
        self.children = (*self.children, line)[-_BARS:]
        began = last = time.monotonic()
        done = 0

        def tick() -> None:
            nonlocal done, last
            done += 1
            now = time.monotonic()
            if now - last < _TICK and done < steps:
                return
            last, bar.value = now, done
            told.value = escaped(f"{stage}: {pace(done, steps, now - began)}")
            if done >= steps:
                self.children = tuple(each for each in self.children if each is not line)

        return tick
