from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

DRIVER = Path(__file__).with_name("kill_driver.py")


def kill(folder: Path, toy: str) -> dict[str, object]:
    ended = subprocess.run([sys.executable, str(DRIVER), str(folder), toy], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    document: dict[str, object] = json.loads(ended.stdout)
    return {**document, "folder": folder}


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    return kill(tmp_path_factory.mktemp("killed"), "plain")


def test_sigkill_at_any_event_and_resume_give_the_same_bytes(killed: dict[str, object]) -> None:
    kinds = [str(at).split()[1] for at in killed["killed"]]  # type: ignore[attr-defined]
    assert kinds.count("StepDone") == 8
    assert {"Started", "Saved", "Evaluating", "EpochDone"} <= set(kinds)
    assert killed["differing"] == {}


@pytest.mark.slow
def test_a_choice_cached_embeddings_and_a_thaw_survive_sigkill_at_any_event(tmp_path: Path) -> None:
    outcome = kill(tmp_path, "frozen")
    assert {"Noted", "StepDone", "EpochDone"} <= {str(at).split()[1] for at in outcome["killed"]}  # type: ignore[attr-defined]
    assert outcome["differing"] == {}


@pytest.mark.slow
def test_a_fresh_process_resumes_to_the_same_bytes(killed: dict[str, object]) -> None:
    """The forked children above share one import of torch; this one shares nothing."""
    folder = killed["folder"] / "fresh"  # type: ignore[operator]
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); import kill_driver as d; from pathlib import Path\n"
        "d.start(Path(sys.argv[2]), 'plain', 6)() if sys.argv[3] == 'start' else d.resume(Path(sys.argv[2]))\n"
        "print(__import__('json').dumps(d.bytes_of(Path(sys.argv[2]))))"
    )
    first, second = (
        subprocess.run(
            [sys.executable, "-c", code, str(DRIVER.parent), str(folder), word],
            capture_output=True,
            text=True,
            check=False,
        )
        for word in ("start", "resume")
    )
    assert first.returncode == -9
    assert second.returncode == 0, second.stderr
    assert json.loads(second.stdout) == killed["expected"]
