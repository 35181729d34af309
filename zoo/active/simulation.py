"""One simulation: a strategy and a seed, round after round of training, testing, choosing and labelling.

Whatever a round's phases compute is a function of the plan, the seed and the round, and each is on disk before the next begins: a
simulation that was stopped at any moment goes on as if it had not been.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from zoo import storage
from zoo.active import stopping
from zoo.active.choosing import Situation, choose, members
from zoo.active.curves import Curve
from zoo.active.events import Phase, RoundDone
from zoo.active.journal import CORRECT, CURVE, QUERIES, STOP, TIMINGS, Journal, Labels, ask, labelled
from zoo.active.material import ROBUSTNESS, UNKNOWN, Material
from zoo.active.oracle import Oracle, initial
from zoo.active.workbench import Workbench, round_seed
from zoo.components import Component
from zoo.errors import Interrupted, RunError, ZooError
from zoo.evaluation.metrics import summarize
from zoo.evaluation.predictions import Predictions
from zoo.plugins import Catalog
from zoo.recipe import Recipe
from zoo.registry import recipe_document
from zoo.training.device import repeatable
from zoo.training.events import Event
from zoo.training.experiment import Experiment
from zoo.training.manifest import describe
from zoo.training.randomness import uniform_ids
from zoo.training.run import Run
from zoo.training.signals import caught_signals

STOP_SET = 1000  # unlabelled samples whose predictions are watched


@dataclass(frozen=True)
class Bench:
    """What simulations of one plan share: the workbench, its material, and the workbench of each member of a committee."""

    own: Workbench
    material: Material
    committee: Mapping[str, Workbench]


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
        self._rules = [stopping.parse(text) for text in self._active.stop]

    def events(self) -> Iterator[Event | Phase | RoundDone]:
        """Run to the end and yield what happens; raises Interrupted at the edge of a step after SIGINT or SIGTERM."""
        threads = self._recipe.training.threads or torch.get_num_threads()
        with repeatable(self._recipe.training, threads), caught_signals() as caught:
            self._open(threads)
            with self.run.locked(), self._status():
                self._journal.mend()
                for event in self._rounds():
                    yield event
                    if signum := caught():
                        name = signal.Signals(signum).name
                        raise Interrupted(signum, f"{name}: what {self.run.path} has done is kept")

    def _open(self, threads: int) -> None:
        if (self.run.path / "manifest.json").exists():
            return
        storage.make_folder(self.run.path)
        storage.write_text(self.run.path / "recipe.yaml", recipe_document(self._recipe))
        manifest = describe(self._bench.own.x, threads)
        storage.write_json(
            self.run.path / "manifest.json", {**manifest, "recipe": self._recipe.name, "seed": self._seed}
        )

    @contextmanager
    def _status(self) -> Iterator[None]:
        self.run.set_status("running")
        try:
            yield
        except Interrupted as error:
            self.run.set_status("interrupted", error.problem, type(error).__name__)
            raise
        except ZooError as error:
            self.run.set_status("failed", error.problem, type(error).__name__)
            raise

    def _rounds(self) -> Generator[Event | Phase | RoundDone]:
        material, active = self._bench.material, self._active
        if not self._journal.lines(QUERIES):
            rows = initial(material, active.init, active.initial, self._seed)
            ask(self._journal, 0, rows, material, self._oracle)
        while True:
            curve, round = self._journal.lines(CURVE), len(self._journal.lines(QUERIES)) - 1
            labels = labelled(self._journal, material, self._oracle)
            if len(curve) > round and self._over(curve[-1], labels):
                break
            began, cpu = time.monotonic(), time.process_time()
            x = yield from self._trained(round, labels)
            if len(curve) <= round:
                line = yield from self._tested(x, round, labels)
                if self._over(line, labels):
                    break
            yield from self._asked(x, round, labels)
            seconds = {"seconds": time.monotonic() - began, "cpu_seconds": time.process_time() - cpu}
            self._journal.add(TIMINGS, {"round": round, **seconds})
        self._finish()

    def _over(self, line: Mapping[str, Any], labels: Labels) -> bool:
        everything = labels.answers == len(self._bench.material.ids)
        return "stop" in line or line["round"] >= self._active.rounds or everything

    def _trained(self, round: int, labels: Labels) -> Generator[Event | Phase, None, Experiment]:
        """Return the model of a round: trained now, or the one that is on disk already."""
        own, seed, (last, state) = self._bench.own, round_seed(self._seed, round), self._weights()
        if last == round:
            return own.restored(labels.rows, labels.classes, seed, state)
        yield Phase(name="train", round=round, labels=len(labels.rows))
        start = None
        if self._active.start == "warm" and round:
            if last != round - 1:
                raise RunError(
                    f"the weights of round {round - 1} in {self.run.path} are damaged, and round {round} goes on with them",
                    hint="remove the folder, and the simulation begins anew",
                )
            start = state["model"]
        x = yield from own.train(labels.rows, labels.classes, seed, start)
        evaluated = x.regularizers.evaluation_model(x.model)
        state = {"model": x.model.state_dict(), "classes": list(self._bench.material.dataset.classes)}
        if evaluated is not x.model:
            state["evaluation"] = evaluated.state_dict()
        self.run.checkpoints.save(state, round, best=True)
        return x

    def _weights(self) -> tuple[int, Any]:
        """Return the last round whose weights are there, -1 for none, and these; damaged ones are dropped, and trained anew."""
        checkpoints = self.run.checkpoints
        if checkpoints.index().last is None:
            return -1, None
        state, damaged = checkpoints.load_last()
        if damaged:
            checkpoints.drop_last()
        last = checkpoints.index().last
        assert last is not None
        return last.step, state

    def _tested(
        self, x: Experiment, round: int, labels: Labels
    ) -> Generator[Event | Phase | RoundDone, None, Mapping[str, Any]]:
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
            line["robustness"] = _figures((yield from own.answers(x, ROBUSTNESS)), classes)
        self._journal.add_row(CORRECT, round, np.packbits(answers.logits.argmax(axis=1) == answers.labels))
        if reason := self._reason_to_stop(x, line):
            line["stop"] = reason
        self._journal.add(CURVE, line)
        yield RoundDone(line=line)
        return line

    def _reason_to_stop(self, x: Experiment, line: Mapping[str, Any]) -> str | None:
        """Return in words why there is to be no further round; test plays no part, but where a replication says so."""
        watched = None
        if any("predictions" in rule.needs for rule in self._rules):
            watched = self._bench.own.classes_of(x, self._stop_set())
            self._journal.add_row(STOP, line["round"], watched.astype("<i4"))
        history = [*self._history(watched is not None), _seen(line, watched)]
        for rule in self._rules:
            if reason := rule.reason(history):
                return reason
        limit = self._active.until_test_error
        error = 1 - line["mc" if "mc" in line else "test"]["accuracy"]
        if limit is not None and error <= limit:
            return f"a replication ends here: the test error is {error:.2%}, and {limit:.2%} was to be reached"
        return None

    def _history(self, predictions: bool) -> list[stopping.Seen]:
        curve = self._journal.lines(CURVE)
        watched = self._journal.stop_classes(len(self._stop_set())) if predictions else [None] * len(curve)
        return [_seen(line, row) for line, row in zip(curve, watched, strict=True)]

    def _stop_set(self) -> torch.Tensor:
        draws = uniform_ids(self._seed, "stop set", 0, self._bench.material.ids)[:, 0]
        return draws.argsort(stable=True)[:STOP_SET]

    def _asked(self, x: Experiment, round: int, labels: Labels) -> Generator[Event | Phase]:
        yield Phase(name="choose", round=round, labels=len(labels.rows))
        committee = []
        for name in sorted(members(self._strategy)):
            bench, seed = self._bench.committee[name], round_seed(self._seed, round)
            committee.append((bench, (yield from bench.train(labels.rows, labels.classes, seed, None))))
        now = Situation(self._bench.own, self._bench.material, labels, x, self._seed, round, committee)
        rows, told = yield from choose(now, self._strategy, self._active.asked(round))
        ask(self._journal, round + 1, rows, self._bench.material, self._oracle, **told)

    def _finish(self) -> None:
        """Write the summary, with the figures of the last round."""
        if self.run.summary is not None:
            return
        curve = self._journal.lines(CURVE)
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


def _figures(answers: Predictions, classes: tuple[str, ...]) -> dict[str, Any]:
    figures = summarize(answers, classes)
    return {"samples": len(answers), **{name: value for name, value in figures.items() if name != "classes"}}


def _seen(line: Mapping[str, Any], watched: Any) -> stopping.Seen:
    validation = line.get("validation")
    return stopping.Seen(
        labels=line["labels"],
        validation=None if validation is None else validation["accuracy"],
        predictions=None if watched is None else np.asarray(watched, np.int64),
    )


def curve(folder: Path, strategy: str, seed: int, items: int) -> Curve:
    """Return the curve of a simulation so far, each round with what was asked after it and how well a gate did then."""
    journal = Journal(Run(folder))
    lines, queries = journal.lines(CURVE), journal.lines(QUERIES)
    rounds = tuple({**line, **_after(queries[line["round"] + 1 :])} for line in lines)
    # Another process may have written a round meanwhile.
    return Curve(strategy, seed, rounds, journal.correct(items)[: len(rounds)])


def _after(queries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    if not queries:
        return {}
    line = queries[0]
    known = sum(answer != UNKNOWN for answer in line["answers"]) / len(line["answers"])
    told: dict[str, Any] = {"queries": {"known": known, "repeats": line["repeats"]}}
    return {**told, "gate": line["gate"]} if "gate" in line else told
