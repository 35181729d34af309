from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from zoo.errors import RunError, RunLockedError, UnknownNameError
from zoo.training.run import Run, find_run, list_runs, new_directory


def make(root: Path, name: str, created: str) -> Run:
    folder = root / name
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text(json.dumps({"recipe": "r", "created": created}))
    return Run(folder)


def test_names_count_up_and_slashes_of_a_namespace_go(tmp_path: Path) -> None:
    assert new_directory("acme/net", 3, None, tmp_path) == tmp_path / "acme-net-3-1"
    (tmp_path / "acme-net-3-1").mkdir()
    assert new_directory("acme/net", 3, None, tmp_path) == tmp_path / "acme-net-3-2"


def test_a_directory_in_use_is_refused_with_the_way_on(tmp_path: Path) -> None:
    run = make(tmp_path, "old", "2026-01-01")
    with pytest.raises(RunError, match=rf"exists already\n.*\n  try: --resume {run.path}"):
        new_directory("r", 0, run.path)
    with pytest.raises(RunError, match=r"exists already\n.*\n  try: another --run DIR"):
        new_directory("r", 0, run.path, trained=False)
    (tmp_path / "empty").mkdir()
    assert new_directory("r", 0, tmp_path / "empty") == tmp_path / "empty"


def test_runs_are_found_by_path_name_and_latest(tmp_path: Path) -> None:
    tmp_path = tmp_path / "runs"
    older, newer = make(tmp_path, "b", "2026-01-01T00:00:00"), make(tmp_path, "a", "2026-01-02T00:00:00")
    assert [run.name for run in list_runs(tmp_path)] == ["b", "a"]
    assert find_run("latest", tmp_path).path == newer.path
    assert find_run("b", tmp_path).path == older.path
    assert find_run(older.path, tmp_path / "elsewhere").path == older.path
    with pytest.raises(UnknownNameError, match="unknown run 'c'"):
        find_run("c", tmp_path)


def test_one_writer_at_a_time_and_a_dead_ones_lock_is_free(tmp_path: Path) -> None:
    run = make(tmp_path, "r", "2026-01-01")
    code = (
        "import sys, time; from pathlib import Path; from zoo.training.run import Run\n"
        "with Run(Path(sys.argv[1])).locked(): print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, str(run.path)], stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        assert run.status == "running"
        with pytest.raises(RunLockedError, match=f"in use by process {holder.pid} on ") as caught, run.locked():
            raise AssertionError("two writers")
        assert caught.value.exit_code == 75
    finally:
        holder.kill()
        holder.communicate()
    with run.locked():
        assert json.loads((run.path / "owner.json").read_text())["pid"] != holder.pid
    assert run.status == "interrupted"


def test_a_damaged_manifest_is_named(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{")
    with pytest.raises(RunError, match=r"manifest\.json is damaged"):
        _ = Run(tmp_path).manifest
