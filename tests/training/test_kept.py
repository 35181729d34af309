from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from zoo.errors import RunError
from zoo.training import kept
from zoo.training.kept import Rows, drop, load

WHOLE = np.random.default_rng(0).random((100, 6), dtype=np.float32)
EDGES = [0, 30, 60, 90, 100]


@pytest.fixture(autouse=True)
def blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write every batch."""
    monkeypatch.setattr(kept, "BLOCK", 1)


def batches(rows: Rows, until: int = 4) -> list[int]:
    """Add the batches that are not there, up to number `until`, and return their numbers."""
    numbers = list(range(rows.resume(EDGES), until))
    for number in numbers:
        rows.add(WHOLE[EDGES[number] : EDGES[number + 1]])
    return numbers


def test_an_array_is_put_together_on_disk_and_read_from_there(tmp_path: Path) -> None:
    with Rows(tmp_path / "folder" / "a.npy", 100) as rows:
        assert batches(rows) == [0, 1, 2, 3] and rows.done == 100
        whole = rows.finish()
    assert isinstance(whole, np.memmap) and np.array_equal(whole, WHOLE)
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["a.npy"]
    again = load(tmp_path / "folder" / "a.npy")
    assert isinstance(again, np.memmap) and again.dtype == np.float32 and np.array_equal(again, WHOLE)


def test_a_pass_that_was_stopped_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    for until, expected in ((2, [0, 1]), (3, [2])):
        with Rows(path, 100) as rows:
            assert batches(rows, until) == expected
        assert not path.exists() and load(path) is None
    with Rows(path, 100) as rows:
        assert rows.done == 90 and batches(rows) == [3]
        assert np.array_equal(rows.finish(), WHOLE)


def test_what_waits_is_written_when_a_pass_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "BLOCK", 2**20)

    def work() -> Iterator[int]:
        with Rows(tmp_path / "a.npy", 100) as rows:
            rows.add(WHOLE[:30])
            yield rows.done

    steps = work()
    assert next(steps) == 0
    steps.close()
    with Rows(tmp_path / "a.npy", 100) as rows:
        assert rows.done == 30


def test_batches_cut_elsewhere_drop_the_rows_of_one_that_is_there_in_part(tmp_path: Path) -> None:
    with Rows(tmp_path / "a.npy", 100) as rows:
        batches(rows, 2)
    with Rows(tmp_path / "a.npy", 100) as rows:
        assert rows.done == 60 and rows.resume([0, 50, 100]) == 1 and rows.done == 50
        rows.add(WHOLE[50:])
        assert np.array_equal(rows.finish(), WHOLE)


@pytest.mark.parametrize("damage", ["cut", "no count", "no header", "no count that is one"])
def test_what_a_crash_has_damaged_begins_anew(tmp_path: Path, damage: str) -> None:
    with Rows(tmp_path / "a.npy", 100) as rows:
        batches(rows, 2)
    part, count = tmp_path / "a.part", tmp_path / "a.json"
    if damage == "no count":
        count.unlink()
    elif damage == "no count that is one":
        count.write_text("[]")
    else:
        part.write_bytes(part.read_bytes()[:-1] if damage == "cut" else b"")
    with Rows(tmp_path / "a.npy", 100) as rows:
        assert rows.done == 0 and batches(rows) == [0, 1, 2, 3]
        assert np.array_equal(rows.finish(), WHOLE)


def test_rows_past_the_last_that_was_counted_are_not_trusted(tmp_path: Path) -> None:
    with Rows(tmp_path / "a.npy", 100) as rows:
        batches(rows, 2)
    with (tmp_path / "a.part").open("ab") as file:
        file.write(bytes(60))
    with Rows(tmp_path / "a.npy", 100) as rows:
        assert rows.done == 60 and batches(rows) == [2, 3]
        assert np.array_equal(rows.finish(), WHOLE)


def test_a_second_process_keeps_its_rows_in_memory(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from zoo.training.kept import Rows\n"
        "with Rows(Path(sys.argv[1]), 100): print('open', flush=True); sys.stdin.read()\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "a.npy")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert other.stdout is not None and other.stdout.readline() == b"open\n"
    with Rows(tmp_path / "a.npy", 100) as rows:
        batches(rows)
        whole = rows.finish()
    assert not isinstance(whole, np.memmap) and np.array_equal(whole, WHOLE)
    other.communicate()
    assert not (tmp_path / "a.npy").exists()


@contextmanager
def full_at(size: int) -> Iterator[None]:
    """Let the system refuse files of more bytes, as a full disk would."""
    limits, handler = resource.getrlimit(resource.RLIMIT_FSIZE), signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


@pytest.mark.parametrize("size", [50, 1000, 2000])
def test_where_the_disk_is_full_the_pass_goes_on_in_memory(tmp_path: Path, size: int) -> None:
    with full_at(size), Rows(tmp_path / "a.npy", 100) as rows:
        batches(rows)
        whole = rows.finish()
    assert np.array_equal(whole, WHOLE)
    assert not any(path.suffix in {".npy", ".part", ".json"} for path in tmp_path.iterdir())


def test_a_place_that_cannot_be_and_none_are_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "a.npy", None):
        with Rows(path, 100) as rows:
            batches(rows)
            assert np.array_equal(rows.finish(), WHOLE)


def test_a_file_that_was_taken_away_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="was changed while it was written"), Rows(tmp_path / "a.npy", 100) as rows:
        batches(rows, 2)
        (tmp_path / "a.part").unlink()
        rows.add(WHOLE[60:])
        rows.finish()


def test_the_ones_used_longest_ago_go_first_and_those_in_use_stay(tmp_path: Path) -> None:
    for age, name in enumerate(["new.npy", "old.part", "older.npy", "oldest.npy"]):
        (tmp_path / name).write_bytes(bytes(500))
        os.utime(tmp_path / name, (10_000 - age, 10_000 - age))
    (tmp_path / "old.json").write_text("3")
    drop(tmp_path, 1000, {tmp_path / "older.npy"})
    assert {file.name for file in tmp_path.iterdir()} == {"new.npy", "old.part", "old.json", "older.npy"}
    drop(tmp_path, 600, set())
    assert {file.name for file in tmp_path.iterdir()} == {"new.npy"}
