from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from zoo.console.output import print_json, print_note, print_problem, print_result
from zoo.errors import Problem, RecipeError, ZooError


def test_a_problem_says_what_was_asked_what_is_possible_and_what_to_type(capsys: pytest.CaptureFixture[str]) -> None:
    print_problem(ZooError("unknown recipe 'x'", possible="did you mean 'y'?", hint="zoo list recipe"))
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "error: unknown recipe 'x'\n  possible: did you mean 'y'?\n  try: zoo list recipe\n"


def test_long_messages_are_not_folded_and_brackets_are_text(capsys: pytest.CaptureFixture[str]) -> None:
    message = "file [bold]" + "x" * 300
    print_problem(ZooError(message))
    assert capsys.readouterr().err == f"error: {message}\n"


def test_all_problems_of_a_file_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    print_problem(RecipeError([Problem("a.yaml:1:2", "one"), Problem("a.yaml:3:4", "two")]))
    assert capsys.readouterr().err == "error: a.yaml:1:2: one\n  a.yaml:3:4: two\n"


def test_json_is_one_utf8_document_without_nan(capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    print_json([{"class": "猫", "loss": math.nan, "path": Path("a/b")}])
    out, _ = capfdbinary.readouterr()
    assert "猫".encode() in out
    assert json.loads(out) == [{"class": "猫", "loss": None, "path": "a/b"}]


def test_results_and_notes_go_to_their_streams(capsys: pytest.CaptureFixture[str]) -> None:
    print_result("a result")
    print_note("a note")
    assert capsys.readouterr() == ("a result\n", "a note\n")


def test_no_color_is_honoured(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    print_problem(ZooError("x"))
    assert "\x1b[" in capsys.readouterr().err
    monkeypatch.setenv("NO_COLOR", "1")
    print_problem(ZooError("x"))
    assert "\x1b[3" not in capsys.readouterr().err
