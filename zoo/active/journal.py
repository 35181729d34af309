"""What a simulation keeps in its folder, which is that of a run whose model is the last round's.

`queries.jsonl` has a line for each round with the samples that joined its training, `curve.jsonl` one with what its model was
worth, `correct.bits` which test images it got right, `stop.classes` what it took the stop set for, and `timings.jsonl` how long
each phase took; `asked.jpg`, once it is finished, shows some of what it asked for.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo import storage
from zoo.active.curves import Curve
from zoo.active.material import UNKNOWN, Material, Rows
from zoo.active.oracle import NOBODY, Oracle, repeats
from zoo.data.sources import FileImages
from zoo.errors import RunError
from zoo.training.run import Run

QUERIES, CURVE, TIMINGS = "queries.jsonl", "curve.jsonl", "timings.jsonl"
CORRECT, STOP = "correct.bits", "stop.classes"

Line = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Labels:
    """What has been asked so far: rows of train with the class that was answered, and those that are of no known class."""

    rows: Rows
    classes: Rows
    unknown: Rows

    @property
    def answers(self) -> int:
        """How many answers were given."""
        return len(self.rows) + len(self.unknown)

    def open(self, count: int) -> Rows:
        """Return the rows, of so many, that were not asked for."""
        free = np.ones(count, dtype=np.bool_)
        free[self.rows] = free[self.unknown] = False
        return np.flatnonzero(free)


class Journal:
    """The lines of a simulation on disk."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def lines(self, name: str) -> list[dict[str, Any]]:
        """Return the lines of a file, without one that is not finished."""
        path = self.run.path / name
        try:
            return [json.loads(line) for line in _finished(path).splitlines()]
        except ValueError as error:
            raise RunError(
                f"{path} is damaged: {error}", hint="remove the folder, and the simulation begins anew"
            ) from None

    def mend(self) -> None:
        """Cut off lines that were not finished, as the one that writes."""
        for name in (QUERIES, CURVE, TIMINGS):
            path = self.run.path / name
            if path.exists() and path.stat().st_size > (length := len(_finished(path))):
                storage.cut(path, length)

    def add(self, name: str, line: Line) -> None:
        """Append one line durably."""
        storage.append_line(self.run.path / name, json.dumps(line, ensure_ascii=False, allow_nan=False))

    def add_row(self, name: str, round: int, row: NDArray[Any]) -> None:
        """Append the row of a round to a table of numbers; a row that was there already, of a round begun anew, goes first."""
        storage.cut(self.run.path / name, round * row.nbytes)
        storage.append_bytes(self.run.path / name, row.tobytes())

    def correct(self, samples: int) -> NDArray[np.bool_]:
        """Return bool `(rounds, samples)`: which test images each round's model got right."""
        bits = self._table(CORRECT, np.dtype(np.uint8), -(-samples // 8))
        return np.unpackbits(bits, axis=1, count=samples).astype(np.bool_)

    def stop_classes(self, samples: int) -> NDArray[np.int32]:
        """Return int32 `(rounds, samples)`: what each round's model took the stop set for."""
        return self._table(STOP, np.dtype("<i4"), samples)

    def _table(self, name: str, kind: np.dtype[Any], width: int) -> NDArray[Any]:
        rounds = len(self.lines(CURVE))
        if not rounds:
            return np.empty((0, width), kind)
        try:
            return np.fromfile(self.run.path / name, kind, rounds * width).reshape(rounds, width)
        except (OSError, ValueError) as error:
            raise RunError(
                f"{self.run.path / name} is damaged: {error}", hint="remove the folder, and the simulation begins anew"
            ) from error


def _finished(path: Path) -> bytes:
    """Return the lines that have their end; an absent file has none."""
    text = path.read_bytes() if path.exists() else b""
    return text[: text.rfind(b"\n") + 1]


def labelled(journal: Journal, material: Material, oracle: Oracle) -> Labels:
    """Return what has been asked in all rounds so far. Raises RunError for ids that the data does not have."""
    places = material.rows
    asked = [name for line in journal.lines(QUERIES) for name in line["ids"]]
    strange = next((name for name in asked if name not in places), None)
    if strange is not None:
        raise RunError(
            f"{journal.run.path / QUERIES} has labels for {strange}, which the data does not have",
            possible="the data as it was when the simulation began",
            hint="restore it, or begin anew with another --run DIR",
        )
    rows = np.array([places[name] for name in asked], dtype=np.int64)
    answers = oracle.answers(rows)
    return Labels(rows[answers != NOBODY], answers[answers != NOBODY], rows[answers == NOBODY])


def ask(journal: Journal, round: int, rows: Rows, material: Material, oracle: Oracle, **more: Any) -> None:
    """Keep what joins the training of a round: ids, answers, and `more` of how they were chosen, such as their scores."""
    ids = [material.ids[row] for row in rows.tolist()]
    line = {"round": round, "ids": ids, "answers": oracle.words(rows), **more}
    if isinstance(images := material.dataset.splits["train"].images, FileImages):
        line["files"] = [images.paths[sample] for sample in material.dataset.splits["train"].samples[rows].tolist()]
    if material.grouped:
        line["repeats"] = repeats(material.groups[rows].tolist())
    journal.add(QUERIES, line)


def curve(folder: Path, strategy: str, seed: int, items: int, *, unknown: bool) -> Curve:
    """Return the curve of a simulation so far, each round with how its labels are spread over classes, what was asked after it and how
    well a gate did then.

    What share of it was of known classes is told where some of the pool is `unknown`.
    """
    run = Run(folder)
    journal = Journal(run)
    lines, queries = journal.lines(CURVE), journal.lines(QUERIES)
    spread = _classes(queries)
    rounds = tuple(
        {**line, "labelled": {"classes": spread[at]}, **_after(queries[at + 1 :], unknown)}
        for at, line in enumerate(lines)
    )
    # Another process may have written a round meanwhile.
    return Curve(strategy, seed, rounds, journal.correct(items)[: len(rounds)], run.summary is not None)


def _classes(queries: Sequence[Mapping[str, Any]]) -> list[float]:
    """Return how many classes the labels up to each round are of, rare ones counting little: exp of the entropy of their shares.

    Of labels spread evenly over C classes it is C (Hill, "Diversity and evenness", Ecology 1973, of order 1).
    """
    asked = (Counter(answer for answer in line["answers"] if answer != UNKNOWN) for line in queries)
    shares = (np.array([*each.values()]) / each.total() for each in accumulate(asked, add))
    return [float(np.exp(-(each * np.log(each)).sum())) for each in shares]


def _after(queries: Sequence[Mapping[str, Any]], unknown: bool) -> dict[str, Any]:
    if not queries:
        return {}
    line, asked = queries[0], len(queries[0]["answers"])
    told: dict[str, Any] = {"samples": asked}
    if unknown:
        told["known"] = sum(answer != UNKNOWN for answer in line["answers"]) / asked
    if "repeats" in line:
        told["repeats"] = line["repeats"]
    return {"queries": told, **({"gate": line["gate"]} if "gate" in line else {})}
