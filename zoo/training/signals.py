"""SIGINT and SIGTERM as a question that the loop asks at the edge of a step."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from zoo.guard import sigint_seen


@contextmanager
def caught_signals() -> Iterator[Callable[[], int]]:
    """Give a function that returns the number of the signal seen, or 0; a second SIGINT ends at once.

    Only the main thread can catch signals; elsewhere the answer is always 0.
    """
    seen = [0]
    if threading.current_thread() is not threading.main_thread():
        yield lambda: 0
        return

    def note(signum: int, frame: FrameType | None) -> None:
        if signum == signal.SIGINT:
            sigint_seen()
            if seen[0]:
                raise KeyboardInterrupt
        seen[0] = signum

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: seen[0]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
