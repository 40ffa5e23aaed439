"""A thread that works beside a block."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def beside(work: Callable[[threading.Event], None]) -> Iterator[None]:
    """Let a thread work while the block runs: it is given an event that tells the end, and is waited for.

    >>> told = []
    >>> with beside(lambda over: told.append(over.wait())):
    ...     told.append("block")
    >>> told
    ['block', True]
    """
    over = threading.Event()
    thread = threading.Thread(target=work, args=(over,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
