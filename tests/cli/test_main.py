from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from zoo.cli.main import COMMANDS, main
from zoo.components import import_object
from zoo.version import __version__

ZOO = str(Path(sys.executable).with_name("zoo"))
HEAVY = ("torch", "numpy", "timm", "torchvision", "PIL", "scipy", "sklearn")


def run(*args: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(args, capture_output=True, text=True, env={**os.environ, **environment}, check=False)


def imported(*arguments: str) -> set[str]:
    """Return the modules that one command line imports, in a process of its own."""
    code = f"import sys\nfrom zoo.cli.main import main\nmain({list(arguments)!r})\nprint(*sys.modules, file=sys.stderr)"
    return set(run(sys.executable, "-c", code).stderr.splitlines()[-1].split())


def test_help_imports_no_command() -> None:
    modules = imported("--help")
    assert not modules & set(HEAVY)
    assert not modules & {"zoo.cli.listing", "zoo.cli.train", "zoo.plugins", "zoo.registry"}


@pytest.mark.parametrize(
    "arguments", [("list",), ("list", "--json"), ("show", "conv-net-momentum"), ("schema",), ("plugin", "list")]
)
def test_looking_around_imports_nothing_heavy(arguments: tuple[str, ...]) -> None:
    assert not imported(*arguments) & set(HEAVY)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_there_and_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert import_object(COMMANDS[name][0]).name == name  # type: ignore[attr-defined]  # commands have names
    assert main([name, "--help"]) == 0
    assert "Usage: zoo" in capsys.readouterr().out


def test_without_arguments_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    out, err = capsys.readouterr()
    assert all(name in out for name in COMMANDS)
    assert err == ""


def test_version_from_the_installed_script_and_as_a_module() -> None:
    assert run(ZOO, "--version").stdout == f"zoo {__version__}\n"
    assert run(sys.executable, "-m", "zoo", "--version").stdout == f"zoo {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["lisst"], "error: unknown command 'lisst'\n  possible: did you mean 'list'?\n  try: zoo --help\n"),
        (["--nonsense"], "error: No such option '--nonsense'.\n  try: zoo --help\n"),
        (["predict"], "error: Missing argument 'RUN'.\n  try: zoo predict --help\n"),
        (["--registry", "missing.yaml", "list"], "missing.yaml"),
    ],
)
def test_bad_usage_is_one_message_and_exit_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert out == ""
    assert "Traceback" not in err


def test_debug_shows_where_an_error_came_from(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--debug", "list", "nonsense"]) == 2
    err = capsys.readouterr().err
    assert "Traceback (most recent call last)" in err
    assert "error: unknown kind 'nonsense'" in err


def test_an_unexpected_error_is_one_line_and_says_how_to_see_more(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--registry", str(tmp_path / "\0"), "list"]) in (1, 2)
    err = capsys.readouterr().err
    assert err.startswith("error: ")
    assert "Traceback" not in err


def test_a_closed_pipe_ends_quietly() -> None:
    shell = f"set -o pipefail; {ZOO} list --json | true"
    done = run("bash", "-c", shell)
    assert done.stderr == ""
    assert done.returncode in (0, 141)


def test_the_shell_can_complete_commands_kinds_and_options() -> None:
    def complete(words: str, position: int) -> list[str]:
        done = run(ZOO, _ZOO_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(position))
        return [line.partition(",")[2] for line in done.stdout.splitlines()]

    assert complete("zoo pre", 1) == ["predict"]
    assert complete("zoo list opt", 2) == ["optimizer"]
    assert "--resume" in complete("zoo train --res", 2)
    assert "resnet50-momentum" in complete("zoo train res", 2)
