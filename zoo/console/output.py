"""The two streams: results go to stdout, progress and messages to stderr."""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager, nullcontext
from typing import IO, Any

from rich.console import Console, RenderableType
from rich.text import Text

from zoo.errors import ZooError

# A table in a pipe or a file is read by grep and by people with wide windows: no row is folded for 80 columns there.
WIDTH_OF_A_PIPE = 160


class _Console(Console):
    def on_broken_pipe(self) -> None:
        raise BrokenPipeError


def _console(stream: IO[str]) -> Console:
    width = None if stream.isatty() or os.environ.get("COLUMNS") else WIDTH_OF_A_PIPE
    return _Console(file=stream, width=width, markup=False, highlight=False, emoji=False)


def stdout() -> Console:
    """Return the console that carries results."""
    return _console(sys.stdout)


def stderr() -> Console:
    """Return the console that carries progress and messages."""
    return _console(sys.stderr)


def print_result(*renderables: RenderableType) -> None:
    """Print results on stdout."""
    console = stdout()
    for renderable in renderables:
        console.print(renderable)


def print_json(value: Any) -> None:
    """Print one JSON document on stdout, as UTF-8; numbers that are not finite become null."""
    import msgspec

    data = msgspec.json.format(msgspec.json.encode(value, enc_hook=str), indent=2)
    sys.stdout.flush()
    sys.stdout.buffer.write(data + b"\n")
    sys.stdout.buffer.flush()


def print_note(text: str) -> None:
    """Print one message on stderr."""
    stderr().print(Text(text, style="dim"), soft_wrap=True)


def working(text: str) -> AbstractContextManager[object]:
    """Return a context that shows on a terminal that something goes on which takes seconds, such as importing torch."""
    console = stderr()
    return console.status(Text(text, style="dim")) if console.is_terminal else nullcontext()


def print_problem(error: ZooError) -> None:
    """Print an error on stderr: what was asked, what is possible, what to type next."""
    stderr().print(problem(error), soft_wrap=True)


def problem(error: ZooError) -> Text:
    """Return the message of an error, without a closing line break."""
    text = Text.assemble(("error: ", "bold red"), error.problem)
    if error.possible:
        text.append("\n  possible: ", "bold").append(error.possible)
    if error.hint:
        text.append("\n  try: ", "bold").append(error.hint, "cyan")
    return text
