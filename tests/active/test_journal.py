"""What a simulation keeps, line by line and row by row."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from fixtures.benches import of_labels

from zoo.active.journal import CORRECT, CURVE, QUERIES, STOP, TIMINGS, Journal, ask, curve, labelled
from zoo.active.oracle import Oracle
from zoo.errors import RunError
from zoo.training.run import Run

MATERIAL = of_labels(np.arange(9) % 3, known=np.arange(9) != 7, groups=np.arange(9) // 2)
ORACLE = Oracle(MATERIAL, seed=0, noise=0.0)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(Run(tmp_path))


def test_what_was_asked_is_there_with_its_answers(journal: Journal) -> None:
    ask(journal, 0, np.array([4, 0]), MATERIAL, ORACLE)
    ask(journal, 1, np.array([7, 2, 3]), MATERIAL, ORACLE, scores=[3.0, 2.0, 1.0])
    assert journal.lines(QUERIES) == [
        {"round": 0, "ids": ["00004", "00000"], "answers": ["class 1", "class 0"], "repeats": 0.0},
        {
            "round": 1,
            "ids": ["00007", "00002", "00003"],
            "answers": ["unknown", "class 2", "class 0"],
            "repeats": pytest.approx(1 / 3),
            "scores": [3.0, 2.0, 1.0],
        },
    ]
    labels = labelled(journal, MATERIAL, ORACLE)
    assert (labels.rows.tolist(), labels.classes.tolist()) == ([4, 0, 2, 3], [1, 0, 2, 0])
    assert labels.unknown.tolist() == [7] and labels.answers == 5
    assert labels.open(9).tolist() == [1, 5, 6, 8]


def test_a_curve_tells_of_how_many_classes_the_labels_are(journal: Journal) -> None:
    for round, rows in enumerate(([4, 0], [7, 2], [3, 6])):
        ask(journal, round, np.array(rows), MATERIAL, ORACLE)
        journal.add_row(CORRECT, round, np.zeros(1, np.uint8))
        journal.add(CURVE, {"round": round, "answers": 2 * round + 2})
    found = curve(journal.run.path, "margin", 0, 8, unknown=True)
    # Classes 1 and 0; then 2 as well, and an unknown one; then two more of class 0: shares of 1/5, 3/5 and 1/5.
    spread = math.exp(-(0.4 * math.log(0.2) + 0.6 * math.log(0.6)))
    assert [row["labelled"]["classes"] for row in found.rounds] == pytest.approx([2, 3, spread])


def test_nothing_was_asked_at_first(journal: Journal) -> None:
    assert journal.lines(QUERIES) == []
    labels = labelled(journal, MATERIAL, ORACLE)
    assert labels.answers == 0 and labels.open(9).tolist() == list(range(9))


@pytest.mark.parametrize("name", [QUERIES, CURVE, TIMINGS])
@pytest.mark.parametrize("half", [b'{"ro', b"\xc3", b'{"round": 2}'])
def test_a_line_without_its_end_is_none_and_is_cut_off_by_the_one_that_writes(
    name: str, half: bytes, journal: Journal
) -> None:
    journal.add(name, {"round": 0, "name": "é"})
    journal.add(name, {"round": 1})
    path = journal.run.path / name
    whole = path.read_bytes()
    path.write_bytes(whole + half)
    assert [line["round"] for line in journal.lines(name)] == [0, 1]
    assert path.read_bytes() == whole + half
    journal.mend()
    assert path.read_bytes() == whole and not (journal.run.path / ({QUERIES, CURVE} - {name}).pop()).exists()


def test_lines_that_are_damaged_are_told(journal: Journal) -> None:
    (journal.run.path / CURVE).write_bytes(b'{"round": 0}\nround 1\n')
    with pytest.raises(RunError, match=r"curve\.jsonl is damaged"):
        journal.lines(CURVE)


def test_a_row_of_a_round_begun_anew_takes_the_place_of_the_one_before(journal: Journal) -> None:
    rows = np.array([[1, 0, 1, 1, 0, 0, 0, 1, 1], [0, 1, 1, 1, 0, 0, 1, 1, 1]], bool)
    for round in (0, 1, 1):
        journal.add_row(CORRECT, round, np.packbits(rows[round]))
    journal.add(CURVE, {"round": 0})
    assert np.array_equal(journal.correct(9), rows[:1])  # the second is not part of the curve yet
    journal.add(CURVE, {"round": 1})
    assert np.array_equal(journal.correct(9), rows)
    assert (journal.run.path / CORRECT).stat().st_size == 4


def test_a_half_written_row_is_written_over(journal: Journal) -> None:
    first, second = np.arange(5, dtype="<i4"), np.arange(5, 10, dtype="<i4")
    journal.add_row(STOP, 0, first)
    with (journal.run.path / STOP).open("ab") as file:
        file.write(second.tobytes()[:7])
    journal.add_row(STOP, 1, second)
    for round in (0, 1):
        journal.add(CURVE, {"round": round})
    assert journal.stop_classes(5).tolist() == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]


def test_tables_that_are_too_short_are_told(journal: Journal) -> None:
    journal.add(CURVE, {"round": 0})
    with pytest.raises(RunError, match=r"correct\.bits is damaged"):
        journal.correct(9)
    with pytest.raises(RunError, match=r"stop\.classes has lost its end"):
        journal.add_row(STOP, 1, np.zeros(4, "<i4"))
