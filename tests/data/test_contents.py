from __future__ import annotations

import os
import time
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pytest

from zoo.data import contents
from zoo.data.sources import FileImages
from zoo.errors import ImageError

COUNT = 40


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Keep tables in a folder of the test's own, of few files too, and tell after every ten."""
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(contents, "FEW", 5)
    monkeypatch.setattr(contents, "BLOCK", 10)
    yield tmp_path / "cache/contents"
    contents._table.cache_clear()


@pytest.fixture
def images(tmp_path: Path) -> FileImages:
    """Return files that were changed an hour ago; nothing here decodes them."""
    (tmp_path / "files").mkdir()
    for number in range(COUNT):
        write(tmp_path / f"files/{number:02}", f"file {number:02}", time.time() - 3600)
    return FileImages(tmp_path / "files", tuple(f"{number:02}" for number in range(COUNT)))


def write(path: Path, text: str, modified: float) -> None:
    path.write_text(text)
    os.utime(path, (modified, modified))


def read(images: FileImages, positions: range = range(COUNT)) -> tuple[list[int], list[str]]:
    """Return what a new process is told on its way, and the digests."""
    contents._table.cache_clear()
    steps, told = contents.read(images, positions), []
    while True:
        try:
            told.append(next(steps))
        except StopIteration as end:
            return told, [row.tobytes().hex() for row in end.value]


def test_a_file_is_read_once_and_then_found_by_the_next_start(images: FileImages) -> None:
    expected = [blake2b(f"file {n:02}".encode(), digest_size=16).hexdigest() for n in range(COUNT)]
    assert read(images) == ([10, 20, 30, 40], expected)
    assert read(images) == ([], expected)
    assert read(images, range(39, 20, -2)) == ([], expected[39:20:-2])


@pytest.mark.parametrize("change", ["size", "time"])
def test_a_file_that_changed_is_read_again(images: FileImages, change: str) -> None:
    _, before = read(images)
    path = images.root / "07"
    modified = path.stat().st_mtime
    write(path, "file x7" if change == "time" else "file 07 and more", modified + 10 * (change == "time"))
    told, after = read(images)
    assert told == [40] and [n for n in range(COUNT) if before[n] != after[n]] == [7]


def test_a_file_that_may_still_be_written_is_not_relied_on(images: FileImages) -> None:
    read(images)
    write(images.root / "03", "one", time.time() - 0.1)
    _, before = read(images)
    status = (images.root / "03").stat()
    (images.root / "03").write_text("two")
    os.utime(images.root / "03", ns=(status.st_mtime_ns, status.st_mtime_ns))
    _, after = read(images)
    assert before[3] != after[3] and before[:3] == after[:3]


def test_a_pass_that_is_left_keeps_what_it_has_read(images: FileImages) -> None:
    steps = contents.read(images, range(COUNT))
    assert [next(steps), next(steps)] == [10, 20]
    steps.close()
    told, digests = read(images)
    assert told == [30, 40] and len(set(digests)) == COUNT


def test_splits_of_one_folder_share_a_table(images: FileImages, cache: Path) -> None:
    read(images, range(20))
    read(images, range(20, 40))
    assert read(images)[0] == [] and len(list(cache.iterdir())) == 1


def test_few_files_leave_nothing_behind(images: FileImages, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(contents, "FEW", 1000)
    read(images)
    assert not cache.exists()


@pytest.mark.parametrize("damage", [b"", b"\x93NUMPY damaged"])
def test_a_damaged_table_is_made_anew(images: FileImages, cache: Path, damage: bytes) -> None:
    _, expected = read(images)
    (table,) = cache.iterdir()
    table.write_bytes(damage)
    assert read(images) == ([10, 20, 30, 40], expected)
    np.save(table, np.zeros(3))
    assert read(images) == ([10, 20, 30, 40], expected) and read(images)[0] == []


def test_where_the_table_cannot_be_written_files_are_read_each_time(images: FileImages, cache: Path) -> None:
    cache.parent.write_text("")
    assert read(images) == read(images)


def test_a_file_that_is_gone_is_named(images: FileImages) -> None:
    (images.root / "11").unlink()
    with pytest.raises(ImageError, match=r"cannot read .*11: "):
        read(images)
