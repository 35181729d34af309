from __future__ import annotations

from typing import Any

from rich.console import Console

from zoo.console.cost import cost_card

COUNTED: dict[str, Any] = {
    "recipe": "net",
    "input": (1, 28, 28),
    "parameters": 61_706,
    "macs": 416_520,
    "activations": 6_518,
}
TIMING = {"lower_quartile": 0.0015, "median": 0.002, "upper_quartile": 0.0025, "calls": 30}
MEASURED: dict[str, Any] = {
    **COUNTED,
    "latency": {"1": TIMING, "64": {**TIMING, "median": 0.02}},
    "images_per_second": {"training": 1234.4, "inference": 3200.0},
    "cpu_seconds_per_thousand": {"training": 0.8126, "inference": 0.3},
    "memory_bytes": {"training": 3 * 2**20, "inference": 2**19},
    "load_before": 0.51,
    "load_after": None,
    "environment": {"processor": "Fast × 2", "device": "cpu", "precision": "fp32", "threads": 2},
}


def lines(rows: list[dict[str, Any]]) -> list[str]:
    console = Console(width=200)
    with console.capture() as capture:
        console.print(cost_card(rows))
    return capture.get().splitlines()


def test_counts_alone_are_one_table() -> None:
    head, row = lines([COUNTED])
    assert head.split() == ["recipe", "input", "parameters", "MACs", "activations"]
    assert row.split() == ["net", "1×28×28", "61,706", "416,520", "6,518"]


def test_what_was_measured_follows_with_where_it_was() -> None:
    found = lines([MEASURED])
    assert found[4].split() == [
        "net", "2", "(1.5–2.5)", "20", "(1.5–2.5)", "3,200", "1,234", "0.3", "0.813", "0.5", "3.0"
    ]  # fmt: skip
    assert found[-1].startswith("on Fast × 2, cpu, fp32, 2 threads; medians")
    loaded = lines([{**MEASURED, "load_after": 1.26}])
    assert "2 threads, load 0.5 before and 1.3 after;" in loaded[-1]
