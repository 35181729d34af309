"""A study: trials of one recipe that any number of processes share, kept by Optuna in a journal.

Who holds the study's lock may add a trial, or take over one whose process died; the journal is written under it too. A trial
belongs to the process that holds its own lock, which the system frees when that process ends, however it ends.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock, Timeout
from msgspec.structs import replace
from optuna.importance import FanovaImportanceEvaluator, get_param_importances
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import FrozenTrial, TrialState

from zoo import storage
from zoo.comparison.sampling import ByNumber, suggest
from zoo.comparison.trials import State, Trial, settings
from zoo.errors import RunError
from zoo.plugins import Catalog
from zoo.recipe import Recipe
from zoo.registry import Registry, recipe_document
from zoo.training.events import EpochDone
from zoo.training.progress import improves, monitored
from zoo.training.run import Run
from zoo.wording import in_yaml

NAME = "zoo"
JOURNAL, LOCK, RECIPE, TRIALS = "study.journal", ".lock", "recipe.yaml", "trials"
STATES: dict[State, TrialState] = {
    "complete": TrialState.COMPLETE,
    "pruned": TrialState.PRUNED,
    "failed": TrialState.FAIL,
    "running": TrialState.RUNNING,
}
STARTUP, WARMUP = 5, 2  # trials that must be complete, and the epoch from which on the median prunes
TREES = 64  # of the forest that importances come from

optuna.logging.set_verbosity(optuna.logging.ERROR)  # what it says of trials, the tables say


class _JournalLock(JournalFileOpenLock):
    """The study's lock, for the journal: Optuna's own ones outlive a process that was killed for half a minute."""

    def __init__(self, lock: FileLock) -> None:
        self._lock = lock

    def acquire(self) -> bool:
        self._lock.acquire()
        return True

    def release(self) -> None:
        self._lock.release()


@dataclass(frozen=True, slots=True)
class Claim:
    """A trial that this process does, for as long as it holds the lock."""

    trial: optuna.Trial
    parameters: dict[str, Any]
    run: Run
    lock: FileLock

    @property
    def number(self) -> int:
        return self.trial.number


class Study:
    """The trials in one folder."""

    def __init__(self, folder: Path, recipe: Recipe, catalog: Catalog, *, sampler: str, seed: int) -> None:
        """Open the study of a folder, or begin one; raises RunError where the folder holds anything else."""
        self.folder, self.recipe, self.metric = folder, recipe, monitored(recipe)
        self.sampler, self.seed = sampler, seed
        storage.make_folder(folder / TRIALS)
        self.lock = FileLock(folder / LOCK)
        with self.lock:
            _mend(folder / JOURNAL)
            backend = JournalFileBackend(str(folder / JOURNAL), _JournalLock(self.lock))
            self.storage = optuna.storages.JournalStorage(backend)
            self.study = optuna.create_study(
                storage=self.storage,
                sampler=ByNumber(sampler, seed),
                pruner=optuna.pruners.MedianPruner(n_startup_trials=STARTUP, n_warmup_steps=WARMUP),
                study_name=NAME,
                direction="maximize" if improves(self.metric, 1.0, 0.0) else "minimize",
                load_if_exists=True,
            )
            self._begin({"recipe": recipe.name, "sampler": sampler, "seed": seed}, catalog)
        self.registry = Registry.load(catalog, folder / RECIPE)

    def _begin(self, protocol: dict[str, Any], catalog: Catalog) -> None:
        """Write what the study is about where it is new, and refuse another recipe, range or sampler where it is not."""
        before = self.study.user_attrs.get("protocol")
        if before is None:
            storage.write_text(self.folder / RECIPE, recipe_document(self.recipe))
            self.study.set_user_attr("protocol", protocol)
            return
        changes = list(differences(before, protocol))
        if before["recipe"] == self.recipe.name:
            stored = Registry.load(catalog, self.folder / RECIPE).resolve(self.recipe.name)
            changes += differences(stored.to_dict(), self.recipe.to_dict())
        if changes:
            raise RunError(
                f"{self.folder} holds another study: {'; '.join(changes)}",
                possible="the recipe, ranges and sampler that it began with",
                hint="another --run DIR",
            )

    def require_data(self, fingerprint: str) -> None:
        """Raise RunError where the study began with other data."""
        with self.lock:
            if (before := self.study.user_attrs.get("data")) is None:
                self.study.set_user_attr("data", fingerprint)
            elif before != fingerprint:
                raise RunError(
                    f"the data is not what the study in {self.folder} began with",
                    hint="restore the data, or another --run DIR",
                )

    def claim(self, trials: int) -> Claim | None:
        """Return a trial whose process died, or a new one where there are fewer than `trials`, or None."""
        with self.lock:
            _mend(self.folder / JOURNAL)
            known = self.study.get_trials(deepcopy=False)
            for each in known:
                if each.state == TrialState.RUNNING and (claim := self._take(each.number)) is not None:
                    return claim
            return self._take(self.study.ask().number) if len(known) < trials else None

    def _take(self, number: int) -> Claim | None:
        run = self.run(number)
        lock = FileLock(self.folder / TRIALS / f".{number}.lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return None
        if run.owner() is not None:  # someone resumed it by hand
            lock.release()
            return None
        identity = self.storage.get_trial_id_from_study_id_trial_number(
            self.storage.get_study_id_from_name(NAME), number
        )
        trial = optuna.Trial(self.study, identity)
        # A process may have died between two of them; those that are drawn already stay as they are.
        for path, values in self.recipe.search.items():
            suggest(trial, path, values)
        return Claim(trial, self._values(trial.params), run, lock)

    def _values(self, parameters: dict[str, Any]) -> dict[str, Any]:
        """Return parameters as recipes have them: a figure of even steps is 0.3, and not 0.30000000000000004."""
        stepped = {path for path, values in self.recipe.search.items() if values.step is not None}
        return {
            path: float(f"{v:.12g}") if path in stepped and isinstance(v, float) else v
            for path, v in parameters.items()
        }

    def run(self, number: int) -> Run:
        """Return the run of a trial, which may not have begun."""
        return Run(self.folder / TRIALS / f"{number}-{self.recipe.name.replace('/', '-')}")

    def recipe_of(self, parameters: dict[str, Any]) -> Recipe:
        """Return the study's recipe with these parameters, and without ranges; raises RecipeError."""
        return replace(self.registry.resolve(self.recipe.name, settings(self.recipe, parameters)), notes=())

    def keep(self, claim: Claim, event: EpochDone) -> None:
        """Keep the figure of one epoch, which pruning compares; an epoch that was trained again has it already."""
        known = self.study.get_trials(deepcopy=False)[claim.number].intermediate_values
        if event.epoch not in known:
            claim.trial.report(event.metrics[self.metric], event.epoch)

    def prunes(self, claim: Claim) -> bool:
        """Return whether the best epoch of a trial is worse than the median trial's at this epoch."""
        return claim.trial.should_prune()

    def end(self, claim: Claim, state: State, reason: str = "") -> None:
        """Record how a trial ended, with the figures that its run has."""
        best = best_epoch(claim.run, self.metric)
        if state == "complete" and best is None:
            state, reason = "failed", f"no epoch has a finite {self.metric}"
        figures = {} if best is None else {name: best[name] for name in (self.metric, "epoch", "validation/loss")}
        with self.lock:
            claim.trial.set_user_attr("figures", figures)
            claim.trial.set_user_attr("seconds", _seconds(claim.run))
            claim.trial.set_user_attr("reason", reason)
            value = float(figures[self.metric]) if state == "complete" else None
            self.study.tell(claim.number, value, STATES[state])

    def trials(self) -> tuple[Trial, ...]:
        """Return all trials in order of their numbers."""
        return tuple(self._trial(each) for each in self.study.get_trials(deepcopy=False))

    def _trial(self, trial: FrozenTrial) -> Trial:
        words, run = trial.user_attrs, self.run(trial.number)
        figures = words.get("figures", {})
        return Trial(
            number=trial.number,
            state=next(name for name, state in STATES.items() if state == trial.state),
            value=figures.get(self.metric),
            epoch=figures.get("epoch"),
            loss=figures.get("validation/loss"),
            seconds=words.get("seconds", 0.0),
            parameters=self._values(trial.params),
            run=str(run.path) if run.path.exists() else "",
            reason=words.get("reason", ""),
        )

    def importances(self) -> dict[str, float]:
        """Return the share of each parameter in the variance of the figure, largest first; nothing where too little is known.

        Functional analysis of variance (Hutter, Hoos and Leyton-Brown, ICML 2014).
        """
        values = {each.value for each in self.trials() if each.state == "complete"}
        if len(values) < 2:
            return {}
        shares = get_param_importances(self.study, evaluator=FanovaImportanceEvaluator(n_trees=TREES, seed=0))
        return {path: float(share) for path, share in shares.items()}


def differences(before: Any, after: Any, path: str = "") -> Iterator[str]:
    """Yield, in words, what differs between two documents."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in dict.fromkeys([*before, *after]):
            yield from differences(before.get(key), after.get(key), f"{path}.{key}" if path else key)
    elif before != after:
        yield f"{path} was {in_yaml(before)}, now {in_yaml(after)}"


def best_epoch(run: Run, metric: str) -> dict[str, Any] | None:
    """Return the figures of the epoch that a run keeps as its best, or None where none has a figure."""
    best: dict[str, Any] | None = None
    for row in run.history():
        if improves(metric, row[metric], None if best is None else best[metric]):
            best = row
    return best


def _seconds(run: Run) -> float:
    path = run.path / "timings.jsonl"
    lines = path.read_text().splitlines() if path.exists() else []
    return round(sum(float(json.loads(line)["seconds"]) for line in lines), 3)


def _mend(journal: Path) -> None:
    """Cut off the line that a killed process did not finish."""
    if not journal.exists():
        return
    data = journal.read_bytes()
    whole = data.rfind(b"\n") + 1
    if whole < len(data):
        storage.cut(journal, whole)
