from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from zoo import storage
from zoo.errors import RunError


def test_a_write_replaces_the_whole_content_and_leaves_no_other_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    storage.write_json(path, {"x": 1.5})
    storage.write_json(path, {"y": [1]})
    assert path.read_text() == '{\n  "y": [\n    1\n  ]\n}\n'
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_json_that_no_reader_would_take_is_refused_and_the_old_stays(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    storage.write_json(path, 1)
    with pytest.raises(ValueError, match="not JSON compliant"):
        storage.write_json(path, float("nan"))
    assert path.read_text() == "1\n"


def test_append_returns_the_length_that_cut_goes_back_to(tmp_path: Path) -> None:
    path = tmp_path / "m.jsonl"
    first = storage.append_line(path, "één")
    storage.append_line(path, "two")
    storage.cut(path, first)
    assert path.read_text(encoding="utf-8") == "één\n"
    storage.cut(tmp_path / "absent", 0)
    assert (tmp_path / "absent").read_bytes() == b""


def test_a_folder_appears_whole_and_replaces_the_one_before(tmp_path: Path) -> None:
    target = tmp_path / "step"
    storage.write_folder(target, {"a": b"1", "b": b"2"})
    storage.write_folder(target, {"a": b"3"})
    assert {p.name: p.read_bytes() for p in target.iterdir()} == {"a": b"3"}
    assert [p.name for p in tmp_path.iterdir()] == ["step"]


def test_a_place_that_is_a_file_is_a_run_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(RunError, match="cannot write"):
        storage.make_folder(tmp_path / "file" / "run")
    assert (tmp_path / "file").read_text() == "x"


def test_a_full_disk_is_a_clear_error_and_the_old_content_is_intact(tmp_path: Path) -> None:
    """A file-size limit of the process makes the kernel refuse the write as a full disk would."""
    path = tmp_path / "weights"
    storage.write_bytes(path, b"old")
    code = (
        "import resource, signal, sys; from pathlib import Path; from zoo import storage; from zoo.errors import StorageError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: storage.write_bytes(Path(sys.argv[1]), bytes(5000))\n"
        "except StorageError as error: print(error.exit_code, error)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert ended.stdout.startswith(f"74 cannot write {path}: file too large")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["weights"]


def test_bytes_are_appended_and_a_file_moves_into_the_place_of_another(tmp_path: Path) -> None:
    assert storage.append_bytes(tmp_path / "part", b"ab") == 2
    assert storage.append_bytes(tmp_path / "part", b"c\n") == 4
    (tmp_path / "whole").write_bytes(b"old")
    storage.move(tmp_path / "part", tmp_path / "whole")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"whole": b"abc\n"}
    with pytest.raises(RunError, match="cannot write"):
        storage.append_bytes(tmp_path, b"x")


def test_the_cache_has_a_place_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path))
    assert storage.cache_folder("embeddings") == tmp_path / "embeddings"
    monkeypatch.delenv("ZOO_CACHE")
    assert storage.cache_folder("embeddings").parts[-2:] == ("zoo", "embeddings")
