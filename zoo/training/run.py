"""A run: the directory that holds everything about one execution of one recipe.

recipe.yaml       the recipe, resolved; `zoo --registry recipe.yaml train NAME` repeats it
manifest.json     versions, plugins, hardware, threads, data fingerprint, class map, normalisation, git state
metrics.jsonl     one line per epoch; holds only values that are functions of the run
timings.jsonl     seconds of each epoch, and of this process on processors
checkpoints/      the last, the one before it, and the best, with index.json
predictions/      one file per evaluated split
ledger.jsonl      every access to the test split
summary.json      present once the run is complete
status.json       how the last execution ended, when it did not complete
events…           TensorBoard
"""

from __future__ import annotations

import json
import os
import shlex
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from filelock import FileLock, Timeout

from zoo import storage
from zoo.errors import RunError, RunLockedError, UnknownNameError
from zoo.plugins import Catalog
from zoo.recipe import Recipe
from zoo.registry import Registry
from zoo.training.checkpoint import Checkpoints

RUNS = Path("runs")
LOOK_SECONDS = 0.5  # who looks whether a run is in use holds its lock for an instant


class Run:
    """One run directory; reading it needs no lock."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.start_epoch = 0
        self.start_step = 0

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    @property
    def name(self) -> str:
        return self.path.resolve().name

    @property
    def manifest(self) -> dict[str, Any]:
        """What the run was made with; raises RunError where it is missing or damaged."""
        document = self._json("manifest.json")
        if document is None:
            raise RunError(f"{self.path} is not a run: it has no manifest.json", hint="zoo runs")
        return document

    @property
    def recipe_name(self) -> str:
        return str(self.manifest["recipe"])

    @property
    def created(self) -> str:
        return str(self.manifest["created"])

    @property
    def summary(self) -> dict[str, Any] | None:
        """What `zoo train --json` printed, once the run is complete."""
        return self._json("summary.json")

    @property
    def checkpoints(self) -> Checkpoints:
        return Checkpoints(self.path / "checkpoints")

    @property
    def origin(self) -> dict[str, Any]:
        """Where the weights that the run is evaluated with stand: {run, recipe, checkpoint, sha256 of its files}."""
        index = self.checkpoints.index()
        kept = index.best or index.last
        if kept is None:
            raise RunError(f"no checkpoint in {self.checkpoints.folder}", hint="the run has not started to train")
        return {
            "run": str(self.path.resolve()),
            "recipe": self.recipe_name,
            "checkpoint": kept.folder,
            "sha256": kept.sha256,
        }

    @property
    def status(self) -> str:
        """`finished`, `running`, `failed`, or `interrupted` (by a signal, or by anything that left no word)."""
        if self.summary is not None:
            return "finished"
        if self.owner() is not None:
            return "running"
        word = str((self._json("status.json") or {}).get("status", "interrupted"))
        return "interrupted" if word == "running" else word

    @property
    def reason(self) -> str:
        """Why the last execution did not complete, as far as it left a word."""
        return str((self._json("status.json") or {}).get("reason", ""))

    def predictions(self, name: str) -> Path:
        """Return where the answers to a split are kept, or under `corruptions/…` to a corruption of test."""
        return self.path / "predictions" / f"{name}.npz"

    def history(self) -> list[dict[str, Any]]:
        """Return the figures of each epoch, in order: epoch, step, `train/loss`, `validation/accuracy`, …"""
        path = self.path / "metrics.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def would_fail_again(self) -> bool:
        """Whether the last execution failed by what the recipe itself does: not by a full disk or data that was away."""
        return (self._json("status.json") or {}).get("kind") in {"NonFiniteError", "ComponentError"}

    def set_status(self, status: str, reason: str = "", kind: str = "") -> None:
        """Record how this execution stands; `kind` is the name of the error that ended it."""
        entry = {"status": status, "reason": reason, "kind": kind, "when": now()}
        storage.write_json(self.path / "status.json", entry)

    def record_access(self, split: str, purpose: str, samples: int) -> None:
        """Add one line to the ledger of accesses to test, and to other data."""
        entry = {"when": now(), "split": split, "purpose": purpose, "samples": samples}
        storage.append_line(self.path / "ledger.jsonl", json.dumps(entry))

    def owner(self) -> dict[str, Any] | None:
        """Return who writes to the run now (pid, host), or None."""
        if not self.path.is_dir():
            return None
        lock = FileLock(self._lock_path, timeout=0)
        try:
            with lock:
                return None
        except Timeout:
            return self._json("owner.json") or {"pid": "unknown", "host": "unknown"}
        except OSError:  # a folder that cannot be written cannot be locked by us, nor is it by us
            return None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run for writing; the system frees the lock of a process that died.

        Raises RunLockedError while another process holds it.
        """
        lock = FileLock(self._lock_path, timeout=LOOK_SECONDS)
        try:
            lock.acquire()
        except Timeout:
            owner = self._json("owner.json") or {}
            raise RunLockedError(
                f"{self.path} is in use by process {owner.get('pid')} on {owner.get('host')}",
                hint="wait for it, stop it, or choose another --run DIR",
            ) from None
        except PermissionError as error:
            raise RunError(
                f"cannot write {self.path}: permission denied", hint="choose another place with --run DIR"
            ) from error
        try:
            storage.write_json(self.path / "owner.json", {"pid": os.getpid(), "host": socket.gethostname()})
            yield
        finally:
            lock.release()

    @property
    def _lock_path(self) -> Path:
        return self.path / ".lock"

    def _json(self, name: str) -> dict[str, Any] | None:
        try:
            value = json.loads((self.path / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        except (OSError, ValueError) as error:
            raise RunError(f"{self.path / name} is damaged: {error}") from error
        return value if isinstance(value, dict) else None


def now() -> str:
    """Return the time as ISO 8601 in UTC, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def new_directory(recipe: str, seed: int, asked: Path | None, root: Path = RUNS, *, trained: bool = True) -> Path:
    """Return the directory of a new run: the one asked for, or `runs/<recipe>-<seed>-<n>`.

    Raises RunError when it exists and is not empty; where the new run is `trained`, a run in it can be gone on with.
    """
    if asked is not None:
        if asked.exists() and (not asked.is_dir() or any(asked.iterdir())):
            resumable = trained and (asked / "manifest.json").exists()
            raise RunError(
                f"the run directory {asked} exists already",
                possible="a new or empty directory",
                hint=f"--resume {asked}" if resumable else "another --run DIR",
            )
        return asked
    stem = f"{recipe.replace('/', '-')}-{seed}"
    number = 1
    while (root / f"{stem}-{number}").exists():
        number += 1
    return root / f"{stem}-{number}"


def claim_directory(recipe: str, seed: int, asked: Path | None, root: Path = RUNS, *, trained: bool = True) -> Path:
    """Make the directory of a new run and return it; of two runs that start at once, each gets its own."""
    while True:
        path = new_directory(recipe, seed, asked, root, trained=trained)
        if storage.claim_folder(path) or asked is not None:
            return path


def list_runs(root: Path = RUNS) -> list[Run]:
    """Return the runs under `root`, oldest first."""
    if not root.is_dir():
        return []
    runs = [Run(path) for path in root.iterdir() if (path / "manifest.json").exists()]
    return sorted(runs, key=lambda run: (_created(run), run.name))


def _created(run: Run) -> str:
    try:
        return run.created
    except (RunError, KeyError):  # a damaged run is told as such where it is shown
        return ""


def find_run(text: str | Path, root: Path = RUNS) -> Run:
    """Return the run that a path, a name under `root`, or `latest` stands for; raises UnknownNameError."""
    if (Path(text) / "manifest.json").exists():
        return Run(Path(text))
    runs = list_runs(root)
    if text == "latest" and runs:
        return runs[-1]
    for run in runs:
        if run.name == str(text):
            return run
    raise UnknownNameError("run", str(text), [run.name for run in runs], hint="zoo runs")


def resume_command(run: Path, processes: int = 1) -> str:
    """Return what to type for a run to go on, in as many processes as it began in."""
    return shlex.join(["zoo", "train", "--resume", str(run), *(["--devices", str(processes)] * (processes > 1))])


def stored_recipe(run: Run, catalog: Catalog) -> Recipe:
    """Return the recipe that a run keeps."""
    recipe = Registry.load(catalog, run.path / "recipe.yaml").resolve(run.recipe_name)
    return msgspec.structs.replace(recipe, notes=())  # that it stands in a file of its own is no news
