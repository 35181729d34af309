"""One simulation: a strategy and a seed, round after round of training, testing, choosing and labelling.

Whatever a round's phases compute is a function of the plan, the seed and the round, and each is on disk before the next begins: a
simulation that was stopped at any moment goes on as if it had not been.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import torch

from zoo import storage
from zoo.active import stopping
from zoo.active.asked import keep_picture
from zoo.active.benches import Bench
from zoo.active.choosing import Situation, choose, members
from zoo.active.events import Meter, Phase, RoundDone
from zoo.active.journal import CORRECT, CURVE, QUERIES, STOP, TIMINGS, Journal, Labels, ask, labelled
from zoo.active.material import ROBUSTNESS
from zoo.active.oracle import Oracle, initial
from zoo.active.workbench import member_seed, round_seed
from zoo.components import Component
from zoo.errors import Interrupted, RunError, ZooError
from zoo.evaluation.metrics import summarize
from zoo.evaluation.predictions import Predictions
from zoo.plugins import Catalog
from zoo.recipe import Recipe
from zoo.registry import recipe_document
from zoo.training.device import Inexact, repeatable
from zoo.training.events import Event
from zoo.training.experiment import Experiment
from zoo.training.manifest import describe, drift, environment
from zoo.training.randomness import uniform_ids
from zoo.training.run import Run
from zoo.training.signals import caught_signals

STOP_SET = 1000  # unlabelled samples whose predictions are watched

Told = Event | Phase | RoundDone
T = TypeVar("T")


class Simulation:
    """One strategy with one seed, in a run's folder; `events()` does what is left of it."""

    def __init__(self, run: Run, recipe: Recipe, seed: int, bench: Bench, catalog: Catalog) -> None:
        assert recipe.acquisition is not None and recipe.active is not None
        self.run = run
        self._recipe = recipe
        self._strategy: Component[Any] = recipe.acquisition
        self._active = recipe.active
        self._seed = seed
        self._bench = bench
        self._catalog = catalog
        self._journal = Journal(run)
        self._oracle = Oracle(bench.material, seed=seed, noise=self._active.noise)
        self._caught: Callable[[], int] = lambda: 0
        self._rules = [stopping.parse(text) for text in self._active.stop]

    def events(self) -> Iterator[Told]:
        """Run to the end and yield what happens; raises Interrupted at the edge of a step after SIGINT or SIGTERM."""
        threads = self._threads()
        with repeatable(self._recipe.training, threads) as inexact, caught_signals() as self._caught:
            self._open(threads)
            with self.run.locked(), self._status(), self._exactness(threads, inexact):
                self._journal.mend()
                for event in self._rounds():
                    yield event
                    self._stop_if_told()

    def _stop_if_told(self) -> None:
        if signum := self._caught():
            raise Interrupted(signum, f"{signal.Signals(signum).name}: what {self.run.path} has done is kept")

    def _open(self, threads: int) -> None:
        if (self.run.path / "manifest.json").exists():
            return
        storage.make_folder(self.run.path)
        storage.write_text(self.run.path / "recipe.yaml", recipe_document(self._recipe))
        manifest = describe(self._bench.own.x, threads)
        storage.write_json(
            self.run.path / "manifest.json",
            {**manifest, "recipe": self._recipe.name, "seed": self._seed, "simulation": self._strategy.name},
        )

    def _threads(self) -> int:
        """Return the threads that the simulation began with, which its bits depend on."""
        if (self.run.path / "manifest.json").exists():
            return int(self.run.manifest["environment"]["threads"])
        return self._recipe.training.threads or torch.get_num_threads()

    @contextmanager
    def _exactness(self, threads: int, inexact: Inexact) -> Iterator[None]:
        """Record in the manifest why the simulation may not repeat bit by bit, as far as it has come."""
        changes = drift(self.run.manifest["environment"], environment(self._bench.own.x, threads))
        try:
            yield
        finally:
            manifest = self.run.manifest
            reasons = list(dict.fromkeys([*manifest["inexact"], *changes, *inexact.reasons]))
            storage.write_json(self.run.path / "manifest.json", {**manifest, "exact": not reasons, "inexact": reasons})

    @contextmanager
    def _status(self) -> Iterator[None]:
        self.run.set_status("running")
        try:
            yield
        except Interrupted as error:
            self.run.set_status("interrupted", error.problem, type(error).__name__)
            raise
        except Exception as error:
            reason = error.problem if isinstance(error, ZooError) else f"{type(error).__name__}: {error}"
            self.run.set_status("failed", reason, type(error).__name__)
            raise

    def _rounds(self) -> Generator[Told]:
        material, active = self._bench.material, self._active
        if not self._journal.lines(QUERIES):
            rows = initial(material, active.init, active.initial, self._seed)
            ask(self._journal, 0, rows, material, self._oracle)
        while True:
            curve, round = self._journal.lines(CURVE), len(self._journal.lines(QUERIES)) - 1
            labels = labelled(self._journal, material, self._oracle)
            if over := len(curve) > round and self._over(curve[-1]):
                break
            x = yield from self._timed(round, "train", self._trained(round, labels))
            if len(curve) <= round:
                line = yield from self._timed(round, "test", self._tested(x, round, labels))
                over = self._over(line)
            if not over:
                yield from self._timed(round, "choose", self._asked(x, round, labels))
            x.close()
        self._finish()

    def _timed(self, round: int, phase: str, steps: Generator[Told, None, T]) -> Generator[Told, None, T]:
        """Do the steps of a phase; how long they took is kept, also where they are stopped."""
        began, cpu = time.monotonic(), time.process_time()
        try:
            return (yield from steps)
        finally:
            seconds = {"seconds": time.monotonic() - began, "cpu_seconds": time.process_time() - cpu}
            self._journal.add(TIMINGS, {"round": round, "phase": phase, **seconds})

    def _over(self, line: Mapping[str, Any]) -> bool:
        return "stop" in line or line["round"] >= self._active.rounds

    def _trained(self, round: int, labels: Labels) -> Generator[Told, None, Experiment]:
        """Return the model of a round: trained now, or the one that is on disk already."""
        own, seed, (last, state) = self._bench.own, round_seed(self._seed, round), self._weights(round)
        if last == round:
            return own.restored(labels, seed, state)
        yield Phase(name="train", round=round, labels=len(labels.rows))
        start = None
        if self._active.start == "warm" and round:
            if last != round - 1:
                raise RunError(
                    f"the weights of round {round - 1} in {self.run.path} are damaged, and round {round} goes on with them",
                    hint="remove the folder, and the simulation begins anew",
                )
            start = state["model"]
        x = yield from own.train(labels, seed, start)
        evaluated = x.regularizers.evaluation_model(x.model)
        state = {"model": x.model.state_dict(), "classes": list(self._bench.material.dataset.classes)}
        if evaluated is not x.model:
            state["evaluation"] = evaluated.state_dict()
        self.run.checkpoints.save(state, round, best=True)
        return x

    def _weights(self, round: int) -> tuple[int, Any]:
        """Return the last round whose weights are there, -1 for none that this round needs, and these; damaged ones are dropped, and
        trained anew."""
        checkpoints, warm = self.run.checkpoints, self._active.start == "warm"
        kept = checkpoints.index().last
        if kept is None or not (warm or kept.step == round):
            return -1, None
        try:
            state, damaged = checkpoints.load_last()
        except RunError:  # there is no other
            checkpoints.drop_last()
            return -1, None
        if damaged:
            checkpoints.drop_last()
        last = checkpoints.index().last
        assert last is not None
        return last.step, state

    def _tested(self, x: Experiment, round: int, labels: Labels) -> Generator[Told, None, Mapping[str, Any]]:
        """Return the line of the curve, which is on disk with the answers that it stands for."""
        yield Phase(name="test", round=round, labels=len(labels.rows))
        own, classes = self._bench.own, self._bench.material.dataset.classes
        self.run.record_access("test", f"round {round}", len(own.data.splits["test"]))
        if self._active.measure == "dropout-mean":
            seed = round_seed(self._seed, round)
            plain, answers = yield from own.both_answers(x, "test", seed, self._active.passes)
            figures = {"test": _figures(plain, classes), "mc": _figures(answers, classes)}
        else:
            answers = yield from own.answers(x, "test")
            figures = {"test": _figures(answers, classes)}
        line: dict[str, Any] = {"round": round, "labels": len(labels.rows), "answers": labels.answers + own.counted}
        line |= figures
        if x.validation is not None:
            line["validation"] = _figures((yield from own.answers(x, "validation")), classes)
        if ROBUSTNESS in own.data.splits:
            self.run.record_access("test", f"round {round}, corrupted", len(own.data.splits[ROBUSTNESS]))
            line["robustness"] = _figures((yield from own.answers(x, ROBUSTNESS)), classes)
        self._journal.add_row(CORRECT, round, np.packbits(answers.logits.argmax(axis=1) == answers.labels))
        history = self._history(x, line)
        if self._rules:
            line["stopping"] = {
                text: rule.watched(history) for text, rule in zip(self._active.stop, self._rules, strict=True)
            }
        if reason := self._reason_to_stop(history, line):
            line["stop"] = reason
        elif labels.answers == len(self._bench.material.ids):
            line["stop"] = "everything in the pool has been asked for"
        self._journal.add(CURVE, line)
        yield RoundDone(line=line)
        return line

    def _reason_to_stop(self, history: Sequence[stopping.Seen], line: Mapping[str, Any]) -> str | None:
        """Return in words why there is to be no further round; test plays no part, but where a replication says so."""
        for rule in self._rules:
            if reason := rule.reason(history):
                return reason
        limit = self._active.until_test_error
        error = 1 - line["mc" if "mc" in line else "test"]["accuracy"]
        if limit is not None and error <= limit:
            return f"a replication ends here: the test error is {error:.2%}, and {limit:.2%} was to be reached"
        return None

    def _history(self, x: Experiment, line: Mapping[str, Any]) -> list[stopping.Seen]:
        """Return what the rounds have shown, that of this line with its model the last; what it predicts of the stop set is kept."""
        lines, watched = [*self._journal.lines(CURVE), line], list[Any]()
        if any("predictions" in rule.needs for rule in self._rules):
            now = self._bench.own.classes_of(x, self._stop_set())
            self._journal.add_row(STOP, line["round"], now.astype("<i4"))
            watched = [*self._journal.stop_classes(len(now)), now]
        return [_seen(each, row) for each, row in zip(lines, watched or [None] * len(lines), strict=True)]

    def _stop_set(self) -> torch.Tensor:
        draws = uniform_ids(self._seed, "stop set", 0, self._bench.material.ids)[:, 0]
        return draws.argsort(stable=True)[:STOP_SET]

    def _asked(self, x: Experiment, round: int, labels: Labels) -> Generator[Told]:
        meter = Meter()
        yield Phase(name="choose", round=round, labels=len(labels.rows), meter=meter)
        committee = []
        for number, name in enumerate(sorted(members(self._strategy))):
            bench, seed = self._bench.committee[name], member_seed(self._seed, round, number)
            committee.append((bench, (yield from bench.train(labels, seed))))

        def pulse(rows: int) -> None:
            meter.seen += rows
            self._stop_if_told()

        now = Situation(self._bench.own, self._bench.material, labels, x, self._seed, round, committee, pulse)
        rows, told = yield from choose(now, self._strategy, self._active.asked(round))
        ask(self._journal, round + 1, rows, self._bench.material, self._oracle, **told)

    def _finish(self) -> None:
        """Write a picture of what was asked, and the summary, with the figures of the last round."""
        if self.run.summary is not None:
            return
        curve = self._journal.lines(CURVE)
        keep_picture(self._journal, self._bench.material)
        summary = {
            "run": str(self.run.path),
            "status": "finished",
            "recipe": self._recipe.name,
            "strategy": self._strategy.name,
            "seed": self._seed,
            "rounds": len(curve),
            "labels": curve[-1]["labels"],
            "answers": curve[-1]["answers"],
            "stop": curve[-1].get("stop"),
            "validation": curve[-1].get("validation"),
            "test": curve[-1]["test"],
        }
        storage.write_json(self.run.path / "summary.json", summary)
        self.run.set_status("finished")


def _figures(answers: Predictions, classes: tuple[str, ...]) -> dict[str, Any]:
    figures = summarize(answers, classes)
    return {"samples": len(answers), **{name: value for name, value in figures.items() if name != "classes"}}


def _seen(line: Mapping[str, Any], watched: Any) -> stopping.Seen:
    validation = line.get("validation")
    return stopping.Seen(
        answers=line["answers"],
        validation=None if validation is None else validation["accuracy"],
        predictions=None if watched is None else np.asarray(watched, np.int64),
    )
