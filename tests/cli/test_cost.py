from __future__ import annotations

import json
from typing import Any

import pytest

from zoo.cli.main import main

SMALL = ("data.train_size=100", "training.batch_size=20")


def document(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    assert main(["cost", *arguments, "--json"]) == 0
    rows: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return rows


def test_counted_figures_of_several_recipes(capsys: pytest.CaptureFixture[str]) -> None:
    rows = document(capsys, "row-lstm-adamw", "lenet5-adamw", "data.image_size=28", "--count-only")
    assert [row["recipe"] for row in rows] == ["row-lstm-adamw", "lenet5-adamw"]
    assert rows[1] == {
        "recipe": "lenet5-adamw",
        "architecture": "lenet5",
        "input": [1, 28, 28],
        "classes": 10,
        "parameters": 61_706,
        "macs": 416_520,
        "activations": 6 * 784 + 16 * 100 + 120 + 84 + 10,
    }
    assert rows[0]["macs"] == 2_236_416 + 1280 and rows[0]["activations"] == 28 * 128 + 10


def test_measured_figures_come_with_where_they_were_measured(capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = document(capsys, "lenet5-adamw", *SMALL, "--seconds", "0", "--device", "cpu", "--threads", "1")
    assert row["parameters"] > 0 and row["latency"]["64"]["median"] > 0 and row["batch_size"] == 20
    assert row["environment"]["device"] == "cpu" and row["environment"]["threads"] == 1


def test_the_tables_have_one_row_for_each_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    names = ["lenet5-adamw", "conv-net-momentum"]
    assert main(["cost", *names, *SMALL, "--seconds", "0", "--device", "cpu"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if line.startswith(tuple(names))] == names * 2
    assert "1 thread" in lines[-1] and "medians and quartiles" in lines[-1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "zoo cost needs the name of a recipe"),
        (["data.image_size=28"], "zoo cost needs the name of a recipe"),
        (["lenet5-adam"], "did you mean 'lenet5-adamw'"),
        (["lenet5-adamw", "--threads", "0"], "threads must be 1 or more, got 0 instead"),
        (["lenet5-adamw", "--device", "tpu"], "unknown device 'tpu'"),
    ],
)
def test_bad_input_is_one_message_and_exit_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cost", *arguments]) == 2
    out, err = capsys.readouterr()
    assert message in err and out == "" and "Traceback" not in err
