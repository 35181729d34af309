"""Search of hyper-parameters on validation: every trial is a run that never evaluates test, and any process may join in.

study.journal     Optuna's journal of the trials
recipe.yaml       the recipe with its ranges; a study goes on with these only
trials/           one run per trial
best.yaml         a registry file with the best trial's recipe
trials.csv        what came of each trial; trials.json has the rest as well
history.svg       the trials in their order, and the best so far
importance.svg    the share of each parameter in the variance of the figure
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from msgspec.structs import replace

from zoo import storage
from zoo.comparison.trials import Trial, Tuning
from zoo.errors import Interrupted, RunError, RunLockedError, StorageError, ZooError
from zoo.guard import describe
from zoo.plugins import Catalog
from zoo.recipe import Recipe
from zoo.settings import absolute_paths
from zoo.training.distillation import pinned
from zoo.training.events import EpochDone, Event, Saved
from zoo.training.experiment import build
from zoo.training.lr_find import rate_setting
from zoo.training.progress import monitored
from zoo.training.session import Session
from zoo.training.signals import caught_signals

if TYPE_CHECKING:
    from zoo.comparison.study import Claim, Study

SAMPLERS = ("random", "tpe")
TRIALS = 20
WAIT_SECONDS = 0.5  # between two looks at what other processes do
MANIFEST = "manifest.json"

OnEvent = Callable[[int, Event], None]
OnTrial = Callable[[Trial], None]
End = Literal["complete", "pruned", "stopped"]


def tune(
    recipe: Recipe,
    *,
    catalog: Catalog,
    run: Path,
    trials: int = TRIALS,
    sampler: str = "random",
    seed: int = 0,
    prune: bool = False,
    timeout: float | None = None,
    device: str = "auto",
    on_event: OnEvent | None = None,
    on_trial: OnTrial | None = None,
    again: str = "",
) -> Tuning:
    """Search the ranges of a recipe until `trials` trials have ended, and return the study; those that ended are not repeated.

    Processes that do the same at the same time share the trials. With `random`, parameters are a function of `seed` and the
    trial's number; with `tpe`, also of the trials that have ended by then, and so of the number of processes. With `prune` a trial
    ends at an epoch where its best is worse than the median of the others. After `timeout` seconds no trial begins, and the one
    in progress stops after its epoch, to go on the next time. `again` is what to type for that.

    Raises ZooError where Optuna is not installed or the recipe has nothing to search, RunError where `run` holds something else,
    and Interrupted after a signal.
    """
    _check(recipe, run, trials, sampler)
    from zoo.comparison.tuning_report import written

    deadline = None if timeout is None else time.monotonic() + timeout
    recipe = replace(pinned(absolute_paths(recipe)), target=None)
    with caught_signals() as caught:
        study = _opened(run, recipe, catalog, sampler, seed, device, trials)
        worker = Worker(study, catalog, device, prune, deadline, caught, on_event, on_trial)
        try:
            worker.work(trials)
        except Interrupted as stop:
            problem = f"{stop.problem.partition(':')[0]}; {len(written(study).finished)} of {trials} trials have ended"
            raise Interrupted(stop.exit_code - 128, problem, hint=again) from stop
        return written(study)


def nothing_complete(result: Tuning) -> ZooError:
    """Return the error that a study without one complete trial is."""
    reasons = list(dict.fromkeys(trial.reason for trial in result.trials if trial.reason))
    why = f": {reasons[0]}" if reasons else ""
    return ZooError(
        f"of {len(result.finished)} trials that ended none is complete{why}", hint=f"see {result.run}/trials.csv"
    )


def proposal(recipe: Recipe) -> list[str]:
    """Return ranges to begin with, as `--range` takes them: the learning rate, the strength of weight decay, dropout."""
    rate = rate_setting(recipe.optimizer)
    ranges = [] if rate is None or not rate[1] else [f"{rate[0]}=log:{rate[1] / 10:g}..{rate[1] * 10:g}"]
    for component in recipe.regularizers:
        strength = getattr(component.params, "strength", None)
        if component.name == "weight-decay" and strength:
            ranges.append(f"regularizers.weight-decay.strength=log:{strength / 10:g}..{strength * 10:g}")
        if component.name == "dropout":
            ranges.append("regularizers.dropout.rate=0..0.5")
    return ranges


def _check(recipe: Recipe, run: Path, trials: int, sampler: str) -> None:
    try:
        import_module("optuna")
    except ImportError as error:
        raise ZooError(
            "zoo tune needs Optuna, which is not installed", hint="pip install 'zoo-vision[tune]'"
        ) from error
    if sampler not in SAMPLERS:
        raise ZooError(f"there is no sampler {sampler!r}", possible=" or ".join(SAMPLERS))
    if trials < 1:
        raise ZooError(f"a study has one trial or more, got {trials} instead")
    if not recipe.search:
        ranges = " ".join(f"--range {text}" for text in proposal(recipe)) or "--range training.batch_size=32,64,128"
        raise ZooError(
            f"recipe {recipe.name} has no search block, and no range is given",
            hint=f"zoo tune {recipe.name} --run {run} {ranges}",
        )
    if not monitored(recipe).startswith("validation/"):
        raise ZooError(
            f"trials are judged on validation, and {recipe.name} keeps the best epoch by {monitored(recipe)}",
            hint="training.best=validation/accuracy",
        )
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        raise ZooError("processes of one training cannot share a study", hint="start zoo tune in several terminals")


def _opened(run: Path, recipe: Recipe, catalog: Catalog, sampler: str, seed: int, device: str, trials: int) -> Study:
    """Return the study of a folder; where trials are to be done, its data is what it began with."""
    from zoo.comparison.study import JOURNAL, Study

    if new := not (run / JOURNAL).exists():
        if run.exists() and (not run.is_dir() or {path.name for path in run.iterdir()} - {".lock", "trials"}):
            raise RunError(
                f"{run} exists already, and is no study", possible="a new or empty directory", hint="another --run DIR"
            )
        data = _fingerprint(recipe, device)  # before anything is written: bad input leaves no directory
    study = Study(run, recipe, catalog, sampler=sampler, seed=seed)
    if new or sum(trial.state != "running" for trial in study.trials()) < trials:
        study.require_data(data if new else _fingerprint(recipe, device))
    return study


def _fingerprint(recipe: Recipe, device: str) -> str:
    x = build(recipe, device=device)
    x.close()
    return x.dataset.fingerprint


@dataclass
class Worker:
    """This process's part in a study."""

    study: Study
    catalog: Catalog
    device: str
    prune: bool
    deadline: float | None
    caught: Callable[[], int]
    on_event: OnEvent | None = None
    on_trial: OnTrial | None = None

    def work(self, trials: int) -> None:
        """Do trials until all have ended, those of other processes too, or the time is up."""
        while not self._late():
            self._stop_if_asked()
            claim = self.study.claim(trials)
            if claim is not None:
                try:
                    self._do(claim)
                finally:
                    claim.lock.release()
            elif any(trial.state == "running" for trial in self.study.trials()):
                time.sleep(WAIT_SECONDS)
            else:
                return

    def _do(self, claim: Claim) -> None:
        """Train a trial and record how it ended; what is not the trial's fault is raised, and it can go on."""
        try:
            end = self._train(claim)
        except (Interrupted, StorageError, RunLockedError):
            raise
        except Exception as error:
            reason = error.problem if isinstance(error, ZooError) else describe(error)
            self.study.end(claim, "failed", reason)
        else:
            if end == "stopped":
                return
            self.study.end(claim, end, "worse than the median trial" if end == "pruned" else "")
        if self.on_trial is not None:
            self.on_trial(self.study.trials()[claim.number])

    def _train(self, claim: Claim) -> End:
        if claim.run.path.exists() and not (claim.run.path / MANIFEST).exists():
            storage.remove_folder(claim.run.path)  # its process died before the run began
        if claim.run.path.exists() and claim.run.summary is not None:
            return "complete"
        session = self._session(claim)
        epoch: EpochDone | None = None
        with closing(session.events()) as events:  # type: ignore[type-var]  # a generator
            for event in events:
                if self.on_event is not None:
                    self.on_event(claim.number, event)
                if isinstance(event, EpochDone):
                    epoch = event
                    self.study.keep(claim, event)
                elif isinstance(event, Saved):
                    self._stop_if_asked()
                    more = event.step < session.experiment.total_steps and not session.progress.stopped
                    if more and epoch is not None and epoch.step == event.step:
                        if self.prune and self.study.prunes(claim):
                            break
                        if self._late():
                            return "stopped"
            else:
                return "complete"
        claim.run.set_status("pruned", "worse than the median trial")
        return "pruned"

    def _session(self, claim: Claim) -> Session:
        if claim.run.path.exists():
            return Session.resume(claim.run.path, catalog=self.catalog, device=self.device)
        recipe = self.study.recipe_of(claim.parameters)
        return Session.start(recipe, catalog=self.catalog, run=claim.run.path, device=self.device, test=False)

    def _late(self) -> bool:
        return self.deadline is not None and time.monotonic() > self.deadline

    def _stop_if_asked(self) -> None:
        if signum := self.caught():
            raise Interrupted(signum, "interrupted between two steps")
