"""What benchmarks of accuracy share: finished runs in a file of lines, and the page that is written from it."""

from __future__ import annotations

import hashlib
import json
import platform
import statistics
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import index

import zoo

FOLDER = Path(__file__).parents[2] / "docs/results"
SEEDS = (0, 1, 2)

Row = dict[str, Any]


class Study(Protocol):
    """Seeds of one recipe on one data set; the mean test accuracy is wanted within `bar` and `ceiling`, where there are such."""

    @property
    def recipe(self) -> str: ...
    @property
    def bar(self) -> float | None: ...
    @property
    def ceiling(self) -> float | None: ...


@dataclass(frozen=True)
class Results:
    """The finished runs of one benchmark, `docs/results/NAME.jsonl`, and its page beside it."""

    name: str

    def rows(self) -> list[Row]:
        """Return all finished runs of the file."""
        path = FOLDER / f"{self.name}.jsonl"
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []

    def has(self, key: str) -> bool:
        """Return whether a run of this fingerprint is finished."""
        return any(row["key"] == key for row in self.rows())

    def append(self, row: Row) -> None:
        """Add a finished run, and say so."""
        FOLDER.mkdir(parents=True, exist_ok=True)
        with (FOLDER / f"{self.name}.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        figures = f"test {row['test']:.4f}, validation {row['validation']:.4f}, {row['minutes']} minutes"
        print(f"{row['study']} seed {row['seed']}: {figures}", flush=True)

    def write_page(self, heading: str, studies: Mapping[str, Study]) -> None:
        """Write the page: the heading, and one line of a table for each study that has results; and the index of all pages."""
        lines = [
            heading,
            "",
            "| study | recipe | parameters | epochs | validation | test | wanted | seeds | minutes | processor |",
            "|---|---|---:|---:|---:|---:|---:|---:|---:|---|",
        ]
        rows = self.rows()
        lines += [line_of(name, study, found) for name, study in studies.items() if (found := current(name, rows))]
        (FOLDER / f"{self.name}.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
        index.write(FOLDER)

    def met(self, name: str, study: Study) -> bool | None:
        """Return whether the mean over all seeds is as wanted; None while seeds are missing or there is no bar."""
        found = current(name, self.rows())
        if study.bar is None or len(found) < len(SEEDS):
            return None
        mean = statistics.fmean(row["test"] for row in found)
        return study.bar <= mean and (study.ceiling is None or mean <= study.ceiling)


def fingerprint(recipe: zoo.Recipe) -> str:
    """Return a digest of what the recipe and its bases say: not of defaults, nor of the place of data and weights."""
    shown = {**recipe.to_dict(), "regularizers": {r["name"]: r for r in recipe.to_dict()["regularizers"]}}
    for block in ("acquisition", "search" * (recipe.freeze is None), "target"):
        shown.pop(block, None)
    said = {path: value for path, value in leaves(shown) if "default" not in recipe.origins[path]}
    for path in {"data.path", "weights"} & set(said):
        said[path] = Path(said[path]).name
    return hashlib.blake2b(json.dumps(said, sort_keys=True).encode(), digest_size=8).hexdigest()


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every value of a tree with its dotted path."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, f"{path}.{key}" if path else key)
    elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
        for index, item in enumerate(value):
            yield from leaves(item, f"{path}[{index}]")
    else:
        yield path, value


def facts(run: zoo.Run) -> Row:
    """Return what a line says of any run: its length, figures of the best epoch, time, and what it ran on."""
    summary: dict[str, Any] = run.summary or {}
    environment = run.manifest["environment"]
    timings = [json.loads(line) for line in (run.path / "timings.jsonl").read_text().splitlines()]
    return {
        "epochs": summary["epochs"],
        "best_epoch": summary["best"]["epoch"],
        "samples": run.manifest["samples"],
        "parameters": run.manifest["parameters"],
        "validation": summary["validation"]["accuracy"],
        "test": summary["test"]["accuracy"],
        "minutes": round(sum(t["seconds"] for t in timings) / 60, 2),
        "threads": environment["threads"],
        "processor": environment["processor"],
        "system": platform.system(),
        "torch": environment["torch"],
    }


def current(name: str, rows: list[Row]) -> list[Row]:
    """Return the runs of a study by seed; of several of one seed, the newest."""
    return list({row["seed"]: row for row in rows if row["study"] == name}.values())


def line_of(name: str, study: Study, found: list[Row]) -> str:
    """Return the study's line of the table."""
    first = found[0]
    bar = "" if study.bar is None else f"{100 * study.bar:.1f}"
    bar += "" if study.ceiling is None else f" … {100 * study.ceiling:.1f}"
    minutes = statistics.fmean(row["minutes"] for row in found)
    where = f"{first['processor']}, {first['threads']} thread{'s' * (first['threads'] > 1)}"
    return (
        f"| {name} | `{study.recipe}` | {first['parameters']:,} | {first['epochs']} | {percent(found, 'validation')} "
        f"| {percent(found, 'test')} | {bar} | {len(found)} | {minutes:.{0 if minutes >= 10 else 1}f} | {where} |"
    )


def percent(rows: list[Row], figure: str) -> str:
    """Return mean ± deviation in percent."""
    values = [100 * row[figure] for row in rows]
    spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.2f}{spread}"
