"""One execution of a run: drives the loop, writes everything the run directory keeps, and can go on after any stop."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from zoo import storage
from zoo.errors import Interrupted, RunError, RunLockedError, ZooError
from zoo.plugins import Catalog
from zoo.recipe import Recipe
from zoo.registry import recipe_document
from zoo.settings import absolute_paths
from zoo.training.choosing import choose
from zoo.training.device import Inexact, repeatable, resumed_device
from zoo.training.distillation import pinned
from zoo.training.events import EpochDone, Evaluating, Event, Finished, Noted, Saved, StepDone
from zoo.training.experiment import Experiment, build, with_recipe
from zoo.training.final import evaluate_splits
from zoo.training.loop import fit
from zoo.training.manifest import describe, drift, environment, opening
from zoo.training.progress import Progress, gathered, monitored
from zoo.training.run import Run, claim_directory, new_directory, resume_command, stored_recipe
from zoo.training.signals import caught_signals

SAVE_SECONDS = 300.0
SPLITS = ("validation", "test")  # evaluated at the end


class Session:
    """A run being executed; `events()` does the work."""

    def __init__(self, run: Run, x: Experiment, catalog: Catalog, threads: int) -> None:
        self.run = run
        self.experiment = x
        self.catalog = catalog
        self.threads = threads
        self.progress = Progress(x.device)
        self.notes = x.notes
        self.damaged = False  # the last checkpoint, so that this execution goes on from the one before it
        self.inexact: list[str] = []  # why earlier executions may not repeat bit by bit
        self._now = Inexact()
        self._opened_at = run.checkpoints.index().last
        self._saved_at = time.monotonic()
        self._seconds = 0.0

    @classmethod
    def start(
        cls, recipe: Recipe, *, catalog: Catalog, run: Path | None = None, device: str = "auto", test: bool = True
    ) -> Session:
        """Return a session for a new run; reads the data and builds the model first, so bad input leaves no directory.

        Without `test` the run never evaluates the test split, however often it is stopped and resumed.
        """
        recipe = pinned(absolute_paths(recipe))
        new_directory(recipe.name, recipe.training.seed, run)
        threads = recipe.training.threads or torch.get_num_threads()
        x = build(recipe, device=device, catalog=catalog)
        with caught_signals() as caught:  # a directory is left whole, so that the run can go on, or not made
            # Only now, and by making it: meanwhile another run may have taken the directory.
            path = claim_directory(recipe.name, recipe.training.seed, run) if x.world.leads else Path()
            path = Path(x.world.share_text(str(path), x.device))
            session = cls(Run(path), x, catalog, threads)
            if x.world.leads:
                storage.write_text(path / "recipe.yaml", recipe_document(recipe))
                manifest = describe(session.experiment, threads)
                storage.write_json(
                    path / "manifest.json", {**manifest, "evaluates": list(SPLITS if test else SPLITS[:1])}
                )
            session._stop_if(x.world.max(caught(), x.device))
        return session

    @classmethod
    def resume(cls, run: Path, *, catalog: Catalog, device: str = "auto") -> Session:
        """Return a session that goes on where the run stopped; `auto` is the sort of device that it began on, where there is one.

        What differs from the first execution is noted, and marks the run `exact: false`. Raises RunError for a finished run.
        """
        here = Run(run)
        if here.summary is not None:
            raise RunError(f"{here.path} is finished", hint=f"zoo runs {here.path}")
        manifest = here.manifest
        if "simulation" in manifest:
            raise RunError(
                f"{here.path} is a simulation of active learning", hint=f"zoo active --resume {here.path.parent}"
            )
        recipe = stored_recipe(here, catalog)
        before = manifest["environment"]
        threads = int(before["threads"])
        device = resumed_device(device, before["device"])
        index = here.checkpoints.index()
        # A choice that was not finished begins anew, from the weights that the recipe names.
        anew = index.last is None or (recipe.freeze is not None and recipe.freeze.choose and index.last.step == 0)
        x = build(recipe, device=device, fresh=anew, catalog=catalog)
        session = cls(here, x, catalog, threads)
        if list(session.experiment.dataset.classes) != manifest["classes"]:
            raise RunError(
                f"the data of {here.path} has other classes now: {', '.join(session.experiment.dataset.classes)}",
                possible=", ".join(manifest["classes"]),
                hint="restore the data, or train anew",
            )
        if session.experiment.dataset.fingerprint != before["data"]:
            raise RunError(
                f"the data of {here.path} is not what it was trained on so far", hint="restore the data, or train anew"
            )
        if x.distillation is not None:
            x.distillation.require_same(manifest)
        notes: list[str] = []
        if not anew:
            state, notes = here.checkpoints.load_last()
            session.experiment.load_state_dict(state)
            session.progress.load_state_dict(state["progress"])
            session.inexact = list(state["inexact"])
            session.damaged = bool(notes)
            if not session.experiment.world.leads:
                session.progress.forget_sums()  # the leader carries those of all
        changes = drift(before, environment(session.experiment, threads))
        session.notes = (*session.notes, *notes, *(f"not exact any more: {change}" for change in changes))
        session.inexact += changes
        here.start_epoch, here.start_step = session.progress.epoch, session.progress.step
        return session

    def events(self) -> Iterator[Event]:
        """Train, save, evaluate the best weights on validation and test, and yield what happens; Finished is the last.

        SIGINT and SIGTERM end it after the step in progress with a checkpoint and Interrupted. A test split that cannot be
        read is raised as DataError after Finished.
        """
        training = self.experiment.recipe.training
        with self._locked(), repeatable(training, self.threads) as self._now, caught_signals() as caught:
            try:
                yield from self._events(caught)
            except RunLockedError:
                raise
            except ZooError as error:
                word = "interrupted" if isinstance(error, Interrupted) else "failed"
                self._status(word, error.problem, type(error).__name__)
                raise
            except Exception as error:
                self._status("failed", f"{type(error).__name__}: {error}", type(error).__name__)
                raise
            finally:
                self.experiment.close()

    def _events(self, caught: Callable[[], int]) -> Iterator[Event]:
        x, progress = self.experiment, self.progress
        last = self.run.checkpoints.index().last
        if last != self._opened_at:
            raise RunLockedError(
                f"{self.run.path} has moved on in another process", hint=f"zoo train --resume {self.run.path}"
            )
        if x.world.leads:
            storage.cut(self.run.path / "metrics.jsonl", progress.metrics_length)
            self._write_exactness()
            if self.damaged:
                self.run.checkpoints.drop_last()
            self._status("running", "")
            self.catalog.notify("zoo_run_started", run=self.run)
        yield opening(x, self.run, progress, self.notes)
        if last is None:
            yield self._save(best=False)
        x = yield from self._chosen(caught)
        began = time.monotonic()
        for event in fit(x, progress):
            yield event
            if isinstance(event, EpochDone):
                self._record(event)
                yield self._save(best=event.best)
            elif isinstance(event, (StepDone, Evaluating)):
                due, signum = self._due(event, caught)
                if due:
                    yield self._save(best=False)
                self._stop_if(signum)
        self._seconds = time.monotonic() - began
        yield from self._finish(caught)

    def _chosen(self, caught: Callable[[], int]) -> Generator[Event, None, Experiment]:
        """Return the experiment, with settings of its head chosen on validation where it asks; a stop begins that anew."""
        freeze = self.experiment.recipe.freeze
        if freeze is None or not freeze.choose or self.progress.step > 0:
            return self.experiment
        choice = choose(self.experiment)
        while True:
            try:
                event = next(choice)
            except StopIteration as end:
                recipe, note = end.value
                break
            yield event
            self._stop_if(self.experiment.world.max(caught(), self.experiment.device))
        self.experiment = with_recipe(self.experiment, recipe, self.experiment.model)
        self.notes = (*self.notes, note)
        yield Noted(text=note)
        yield self._save(best=False)
        if self.experiment.world.leads:  # after the checkpoint: until then the choice is made anew
            storage.write_text(self.run.path / "recipe.yaml", recipe_document(recipe))
            storage.write_json(self.run.path / "manifest.json", {**self.run.manifest, "notes": list(self.notes)})
        return self.experiment

    def _due(self, event: StepDone | Evaluating, caught: Callable[[], int]) -> tuple[bool, int]:
        """Return whether to save now, and the signal to stop for or 0; all processes agree."""
        every = self.experiment.recipe.training.checkpoint_every
        due = isinstance(event, StepDone) and (
            time.monotonic() - self._saved_at > SAVE_SECONDS or (every is not None and event.step % every == 0)
        )
        agreed = self.experiment.world.max(2 * caught() + due, self.experiment.device)
        return agreed > 0, agreed // 2

    def _stop_if(self, signum: int) -> None:
        if signum:
            raise Interrupted(
                signum,
                f"{signal.Signals(signum).name} at step {self.progress.step}: the run is saved",
                hint=resume_command(self.run.path, self.experiment.world.size),
            )

    def _save(self, *, best: bool) -> Saved:
        classes = list(self.experiment.dataset.classes)
        progress = gathered(self.progress, self.experiment.world)
        state = {**self.experiment.state_dict(), "progress": progress, "classes": classes}
        state["inexact"] = self._reasons()
        path = self.run.checkpoints.folder
        if self.experiment.world.leads:
            path = self.run.checkpoints.save(state, self.progress.step, best=best)
        self.experiment.world.wait()
        self._saved_at = time.monotonic()
        return Saved(path=path, step=self.progress.step)

    def _record(self, event: EpochDone) -> None:
        if not self.experiment.world.leads:
            return
        line = json.dumps({"epoch": event.epoch, "step": event.step, **event.metrics})
        self.progress.metrics_length = storage.append_line(self.run.path / "metrics.jsonl", line)
        storage.append_line(self.run.path / "timings.jsonl", json.dumps({"epoch": event.epoch, **event.timings}))
        self.catalog.notify("zoo_epoch_finished", run=self.run, epoch=event.epoch, metrics=event.metrics)

    def _finish(self, caught: Callable[[], int]) -> Iterator[Event]:
        x, progress = self.experiment, self.progress
        best = self.run.checkpoints.load_best()
        x.regularizers.evaluation_model(x.model).load_state_dict(best.get("evaluation", best["model"]))
        evaluates = x.world.share_text(
            ",".join(self.run.manifest.get("evaluates", SPLITS)) if x.world.leads else "", x.device
        )
        figures, problem = yield from evaluate_splits(
            x, self.run, evaluates.split(","), lambda: self._stop_if(x.world.max(caught(), x.device))
        )
        summary = {
            "run": str(self.run.path),
            "status": "finished",
            "recipe": x.recipe.name,
            "epochs": progress.epoch,
            "steps": progress.step,
            "best": {"metric": monitored(x.recipe), "value": progress.best.best, "epoch": progress.best.epoch},
            "stopped_early": progress.stopped,
            "exact": not self._reasons(),
            "seconds": round(self._seconds, 3),
            **figures,
        }
        if x.world.leads:
            self._write_exactness()
            storage.write_json(self.run.path / "summary.json", summary)
            self.catalog.notify("zoo_run_finished", run=self.run, summary=summary)
        yield Finished(summary=summary)
        if problem is not None:
            raise problem

    def _reasons(self) -> list[str]:
        """Return why the run may not repeat bit by bit, as far as it has come."""
        return list(dict.fromkeys([*self.inexact, *self._now.reasons]))

    def _write_exactness(self) -> None:
        manifest = {**self.run.manifest, "exact": not self._reasons(), "inexact": self._reasons()}
        storage.write_json(self.run.path / "manifest.json", manifest)

    def _status(self, status: str, reason: str, kind: str = "") -> None:
        if self.experiment.world.leads and self.run.summary is None:  # a finished run stays that
            self.run.set_status(status, reason, kind)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        if not self.experiment.world.leads:
            yield
            return
        with self.run.locked():
            yield
