"""Time and memory of badge and k-center here and in scikit-activeml, on the same synthetic embeddings: acquisition_peers.py

    pip install scikit-activeml
    python tests/benchmarks/acquisition_peers.py [--rows N] [--width D] [--budget B] [--classes C] [--limit SECONDS] [--rounds R]
        [--strategies badge k-center]

Sides take turns, each in a process of its own, on one thread; medians of seconds of process CPU and the highest peak of anonymous memory
over what the imports take, the input included, count. scikit-activeml gets embeddings as float32 and a classifier that gives out
probabilities that it holds: what is timed is the choice. It is ended after --limit seconds of CPU, and then not run again; what it takes
is more than that. Exit status 1 where badge is not 10 times as fast, or k-center not 3 times with a fifth of the memory. The
bars are for the sizes that are given by default.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from types import FrameType
from typing import Any

from acquisition_scale import START, Case, Peak, material, synthetic

FASTER = {"badge": 10, "k-center": 3}
SMALLER = {"k-center": 5}
OURS, THEIRS = "zoo", "scikit-activeml"
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")

Choose = Callable[[], list[int]]


class Late(Exception):
    """The limit is reached."""


@dataclass(frozen=True)
class Outcome:
    """Seconds of process CPU, MB, and the positions chosen; None where the limit came first: it takes more than these."""

    cpu: float
    peak: float
    chosen: list[int] | None


@dataclass(frozen=True)
class Side:
    """The outcomes of one side."""

    outcomes: list[Outcome]

    @property
    def ended(self) -> bool:
        return self.outcomes[-1].chosen is not None

    @property
    def cpu(self) -> float:
        return statistics.median(outcome.cpu for outcome in self.outcomes if self.ended or outcome.chosen is None)

    @property
    def peak(self) -> float:
        return max(outcome.peak for outcome in self.outcomes)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--budget", type=int, default=1000)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--limit", type=float, default=900, help="seconds of CPU after which scikit-activeml is ended")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--strategies", nargs="+", choices=list(FASTER), default=list(FASTER))
    parser.add_argument("--here", choices=(OURS, THEIRS), help=argparse.SUPPRESS)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if importlib.util.find_spec("skactiveml") is None:
        parser.error("this compares with scikit-activeml, which is not installed: pip install scikit-activeml")
    if arguments.here:
        print(json.dumps(asdict(measure(arguments.here, Case(**json.loads(arguments.case)), arguments.limit))))
        return 0
    sizes = (arguments.rows, arguments.width, arguments.budget, arguments.classes)
    missed = [line for name in arguments.strategies for line in report(Case(name, *sizes, groups=0), arguments)]
    print("\n".join(missed) or "all within the bars")
    return 1 if missed else 0


def report(case: Case, arguments: argparse.Namespace) -> Iterator[str]:
    """Run both sides of a case and print them, and yield what misses a bar."""
    ours, theirs = compared(case, arguments.limit, arguments.rounds)
    least = "" if theirs.ended else "more than "
    times, memory = theirs.cpu / ours.cpu, theirs.peak / ours.peak
    print(f"{case.strategy}: {least}{times:.1f} times as fast, {least}{memory:.1f} times as little memory", flush=True)
    mine, other = ours.outcomes[-1].chosen, theirs.outcomes[-1].chosen
    if case.strategy == "k-center" and mine and other:
        print(f"{case.strategy}: {len({*mine} & {*other}):,} of {case.budget:,} chosen are the same")
    yield from _missed(case.strategy, "times as fast", times, FASTER.get(case.strategy, 0), theirs.ended)
    yield from _missed(case.strategy, "times as little memory", memory, SMALLER.get(case.strategy, 0), theirs.ended)


def _missed(strategy: str, what: str, ratio: float, bar: float, ended: bool) -> Iterator[str]:
    if ratio < bar and ended:
        yield f"missed: {strategy} {ratio:.1f} {what}, wanted {bar}"
    elif ratio < bar:
        yield f"missed: {strategy} at least {ratio:.1f} {what}, wanted {bar}; a larger --limit may tell"


def compared(case: Case, limit: float, rounds: int) -> tuple[Side, Side]:
    """Return the outcomes of zoo and of scikit-activeml, run in turn."""
    ours, theirs = Side([]), Side([])
    for _ in range(rounds):
        for name, side in ((OURS, ours), (THEIRS, theirs)):
            if not side.outcomes or side.ended:
                side.outcomes.append(run(name, case, limit))
    return ours, theirs


def run(side: str, case: Case, limit: float) -> Outcome:
    """Return the outcome of a case on one side, measured in a process of its own."""
    command = [sys.executable, __file__, "--here", side, "--case", json.dumps(asdict(case)), "--limit", str(limit)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env={**os.environ, **ONE_THREAD})
    outcome = Outcome(**json.loads(done.stdout))
    more = "" if outcome.chosen else "more than "
    print(
        f"{case.strategy:>8}  {case.rows:,} × {case.width}, budget {case.budget:,}, {case.classes:,} classes, {side}:"
        f" {more}{outcome.cpu:.2f} s of CPU, {more}{outcome.peak:.0f} MB",
        flush=True,
    )
    return outcome


def measure(side: str, case: Case, limit: float) -> Outcome:
    """Return the outcome in this process."""
    import_both()
    with Peak() as peak:
        choose = ours(case) if side == OURS else theirs(case)
        began = time.process_time()
        try:
            with ended_after(limit if side == THEIRS else 0):
                chosen: list[int] | None = choose()
        except Late:
            chosen = None
        seconds = time.process_time() - began
    assert chosen is None or len(set(chosen)) == case.budget
    return Outcome(seconds, peak.highest - peak.before, chosen)


def import_both() -> None:
    """Import all that either side needs, so that no import counts."""
    import skactiveml.pool
    import torch

    import zoo.active.selection
    import zoo.plugins
    import zoo.registry
    import zoo.testing.pool  # noqa: F401

    assert skactiveml.pool
    torch.set_num_threads(1)


@contextmanager
def ended_after(limit: float) -> Iterator[None]:
    """Raise Late in the block after so many seconds of this process's CPU; 0 is no limit."""

    def late(number: int, frame: FrameType | None) -> None:
        raise Late

    signal.signal(signal.SIGPROF, late)
    signal.setitimer(signal.ITIMER_PROF, limit)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)


def ours(case: Case) -> Choose:
    """Return the choice by zoo."""
    from zoo.active.selection import select
    from zoo.plugins import load_catalog
    from zoo.registry import resolve_component

    strategy = resolve_component(load_catalog(quiet=True), "acquisition", case.strategy).build()
    pool = synthetic(case)
    return lambda: select(strategy, pool, case.budget)


def theirs(case: Case) -> Choose:
    """Return the choice by scikit-activeml among the samples without a label, which stand after those with one."""
    import numpy as np
    import torch
    from skactiveml.pool import Badge, CoreSet

    fields, labeled = material(case)
    embeddings = torch.cat([labeled.embeddings, fields.pop("embeddings")]).float().numpy()
    labels = np.full(len(embeddings), np.nan)
    labels[:START] = labeled.labels.numpy()
    if case.strategy == "badge":
        classifier = holding(fields.pop("log_probabilities").exp_().numpy())
        query = Badge(random_state=0).query
        chosen = lambda: query(embeddings, labels, classifier, fit_clf=False, batch_size=case.budget)  # noqa: E731
    else:
        query = CoreSet(random_state=0).query
        chosen = lambda: query(embeddings, labels, batch_size=case.budget)  # noqa: E731
    return lambda: [int(position) - START for position in chosen()]


def holding(probabilities: Any) -> Any:
    """Return a classifier of scikit-activeml that gives out these probabilities, `(n, C)`, for the n samples without a label."""
    from skactiveml.base import SkactivemlClassifier

    class Holding(SkactivemlClassifier):  # type: ignore[misc]
        def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Holding:
            return self

        def predict_proba(self, X: Any) -> Any:
            return probabilities

    return Holding()


if __name__ == "__main__":
    raise SystemExit(main())
