"""Progress: how long work tells whoever waits for it."""

from collections.abc import Callable

Stage = Callable[[str, int], Callable[[], None]]
"""Called with a stage's name and number of steps; returns what is called after every step."""


def silent(stage: str, steps: int) -> Callable[[], None]:
    """The progress that shows nothing."""
    return lambda: None
