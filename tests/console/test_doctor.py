from __future__ import annotations

import io

from rich.console import Console

from zoo.console.doctor import Check, checks_table


def test_what_needs_care_is_marked_and_says_what_to_type() -> None:
    stream = io.StringIO()
    checks = [Check("python", "3.12"), Check("runs", "cannot be written", ok=False, hint="zoo train RECIPE --run DIR")]
    Console(file=stream, width=80).print(checks_table(checks))
    lines = [line.split() for line in stream.getvalue().splitlines()]
    assert lines[0] == ["✓", "python", "3.12"]
    assert lines[1][:2] == ["✗", "runs"]
    assert lines[2] == ["try:", "zoo", "train", "RECIPE", "--run", "DIR"]
