from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from zoo.errors import ComponentError, DataError, PluginError
from zoo.guard import describe, guarded, sigint_seen, stdout_on_stderr


def open_descriptors() -> int:
    """Return how many file descriptors this process holds, or 0 where the system does not say."""
    folder = Path("/proc/self/fd")
    return len(list(folder.iterdir())) if folder.exists() else 0


@pytest.mark.parametrize(
    ("raised", "line"),
    [
        (ValueError("two\n  lines"), "ValueError: two lines"),
        (RuntimeError(), "RuntimeError"),
        (SystemExit(3), "SystemExit: 3"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
        (SyntaxError("invalid syntax", ("net.py", 4, 1, "x =")), "SyntaxError: invalid syntax (net.py, line 4)"),
    ],
)
def test_whatever_is_raised_becomes_one_error_in_one_line(raised: BaseException, line: str) -> None:
    assert describe(raised) == line
    with pytest.raises(PluginError) as caught, guarded("plugin 'acme'", PluginError):
        raise raised
    assert caught.value.problem == f"plugin 'acme': {line}"
    assert caught.value.__cause__ is raised


def test_an_error_of_ours_passes_as_it_is() -> None:
    error = DataError("no images")
    with pytest.raises(DataError) as caught, guarded("a factory", ComponentError):
        raise error
    assert caught.value is error


def test_nothing_raised_changes_nothing() -> None:
    with guarded("a factory", ComponentError):
        value = 1
    assert value == 1


def test_a_generator_can_still_be_closed_inside_the_fence() -> None:
    with pytest.raises(GeneratorExit), guarded("a factory", ComponentError):
        raise GeneratorExit


def test_an_interrupt_of_the_person_passes() -> None:
    with pytest.raises(KeyboardInterrupt), guarded("plugin 'acme'", PluginError):
        sigint_seen()
        raise KeyboardInterrupt


def test_a_signal_that_came_before_is_no_excuse() -> None:
    sigint_seen()
    with pytest.raises(PluginError, match="KeyboardInterrupt"), guarded("plugin 'acme'", PluginError):
        raise KeyboardInterrupt


def test_what_is_written_to_stdout_inside_comes_out_on_stderr(capfd: pytest.CaptureFixture[str]) -> None:
    print("before")
    with stdout_on_stderr():
        print("printed")
        os.write(1, b"written\n")
        subprocess.run([sys.executable, "-c", "print('a child')"], check=True)
    print("after")
    captured = capfd.readouterr()
    assert captured.out == "before\nafter\n"
    assert set(captured.err.splitlines()) == {"printed", "written", "a child"}


def test_stdout_is_given_back_after_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    stream, descriptors = sys.stdout, open_descriptors()
    with pytest.raises(ZeroDivisionError), stdout_on_stderr():
        raise ZeroDivisionError
    os.write(1, b"out\n")
    assert sys.stdout is stream and open_descriptors() == descriptors
    assert capfd.readouterr().out == "out\n"
