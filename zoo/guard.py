"""The fence around foreign code: whatever a plugin raises becomes one ZooError, and fd 1 stays clean."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from zoo.errors import ZooError

# Counted by our own SIGINT handlers. A KeyboardInterrupt without a signal was raised by the plugin itself, not by the person.
_signals = 0


def sigint_seen() -> None:
    """Tell the fence that a KeyboardInterrupt which comes now is the person's."""
    global _signals
    _signals += 1


@contextmanager
def guarded(label: str, error: type[ZooError]) -> Iterator[None]:
    """Turn anything raised inside, SystemExit included, into `error` naming `label`; a ZooError passes as it is."""
    before = _signals
    try:
        yield
    except ZooError:
        raise
    except BaseException as caught:
        if isinstance(caught, GeneratorExit) or (isinstance(caught, KeyboardInterrupt) and _signals > before):
            raise
        raise error(f"{label}: {describe(caught)}") from caught


def describe(error: BaseException) -> str:
    """Return one line about an exception: its type, its message, and for syntax errors the place."""
    if isinstance(error, SyntaxError):
        return f"SyntaxError: {error.msg} ({error.filename}, line {error.lineno})"
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@contextmanager
def stdout_on_stderr() -> Iterator[None]:
    """Point sys.stdout and file descriptor 1 at stderr, so that an import that prints cannot spoil `--json`."""
    sys.stdout.flush()
    saved, stream = os.dup(1), sys.stdout
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    try:
        yield
    finally:
        sys.stdout = stream
        os.dup2(saved, 1)
        os.close(saved)
