"""Time and memory of k-center and badge on large pools of synthetic embeddings: acquisition_scale.py

    python tests/benchmarks/acquisition_scale.py [--rows N …] [--width D] [--budget B] [--classes C] [--many C] [--groups G]

Each case runs in a process of its own, on one thread. Embeddings are standard normal numbers without structure, the hard case of
strategies that leave out distances that cannot matter; with --groups G they lie around so many centres. Printed are seconds of
process CPU, the peak of anonymous memory over what the imports take, with what the pool itself takes (embeddings, probabilities), how
many distances were computed of those between all samples and all centres, and how often longer twice the samples and twice the budget
take. Exit status 1 where
- memory is above 1.3 times the embeddings + the probabilities + 500 MB,
- more than 1.25 times all distances are computed: cost is at most linear in samples and in budget,
- twice the samples or the budget take more than 2.5 times as long as a case of a second or more that computed half of all distances
  at least: where the farthest samples lie far outside, k-center is spared most of them up to some budget, and its time leaps there,
- 200,000 samples take more than 120 s (k-center) or 180 s (badge).
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

    from zoo.bases import Labeled
    from zoo.testing.pool import Fields, MemoryPool

SECONDS = {"k-center": 120, "badge": 180}  # for 200,000 samples or more
EXTRA, GROWTH, LEAST = 500, 2.5, 1.0  # MB; factor of the time for twice as many; seconds below which it says nothing
WORK, SPARED = 1.25, 0.5  # of all distances: at most so many, and below so many the time says nothing
PART = 1000  # samples that are made at once: what that takes beside them is not to be the peak
START = 200  # samples with a label


@dataclass(frozen=True)
class Case:
    """A strategy on so many samples."""

    strategy: str
    rows: int
    width: int
    budget: int
    classes: int
    groups: int

    def allowed(self) -> float:
        """Return the MB that it may take, with the pool's own."""
        probabilities = 4 * self.rows * self.classes if self.strategy == "badge" else 0
        return (1.3 * 2 * self.rows * self.width + probabilities) / 1e6 + EXTRA

    def distances(self) -> int:
        """Return how many there are between samples and centres, of which the labelled ones are some for k-center."""
        return self.rows * (self.budget + START * (self.strategy == "k-center"))


@dataclass(frozen=True)
class Figures:
    """Seconds of process CPU and of the clock, MB, and how many of all distances were computed."""

    cpu: float
    wall: float
    peak: float
    share: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, nargs="+", default=[50_000, 100_000, 200_000])
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--budget", type=int, default=1000)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--many", type=int, default=1000, help="classes of one more case of badge, on the most samples")
    parser.add_argument("--groups", type=int, default=0)
    parser.add_argument("--here", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        print(json.dumps(asdict(measure(Case(**json.loads(arguments.here))))))
        return 0
    missed = [line for name in SECONDS for line in report(name, arguments)]
    print("\n".join(missed) or "all within the targets")
    return 1 if missed else 0


def report(strategy: str, arguments: argparse.Namespace) -> Iterator[str]:
    """Run and print the cases of a strategy, and yield what misses a target."""
    rows = sorted(arguments.rows)
    first = Case(strategy, rows[0], arguments.width, arguments.budget, arguments.classes, arguments.groups)
    half, *found = [
        run(each) for each in (replace(first, budget=first.budget // 2), *(replace(first, rows=n) for n in rows))
    ]
    yield from growth(f"{strategy}: twice the budget", half, found[0], 2)
    for fewer, more, before, after in zip(rows, rows[1:], found, found[1:], strict=False):
        yield from growth(f"{strategy}: {more:,} samples after {fewer:,}", before, after, more / fewer)
    cases = [(replace(first, rows=n), figures) for n, figures in zip(rows, found, strict=True)]
    if strategy == "badge" and arguments.many:
        many = replace(first, rows=rows[-1], classes=arguments.many)
        cases.append((many, run(many)))
    for case, figures in cases:
        if figures.peak > case.allowed():
            yield f"missed: {case} takes {figures.peak:.0f} MB, allowed {case.allowed():.0f}"
        if figures.share > WORK:
            yield f"missed: {case} computes {figures.share:.2f} times all distances, allowed {WORK}"
        if case.rows >= 200_000 and figures.cpu > SECONDS[strategy]:
            yield f"missed: {case} takes {figures.cpu:.0f} s, allowed {SECONDS[strategy]}"


def growth(what: str, before: Figures, after: Figures, factor: float) -> Iterator[str]:
    """Print how often longer the second took, and yield it where that is out of proportion."""
    ratio, told = after.cpu / before.cpu, before.cpu > LEAST and before.share >= SPARED
    print(
        f"{what} took {ratio:.2f} times as long{'' if told else ', after a case that is too short or spared too much to tell'}"
    )
    if told and ratio > factor * GROWTH / 2:
        yield f"missed: {what} took {ratio:.2f} times as long, allowed {factor * GROWTH / 2:.2f}"


def run(case: Case) -> Figures:
    """Return the figures of a case, measured in a process of its own."""
    command = [sys.executable, __file__, "--here", json.dumps(asdict(case))]
    figures = Figures(**json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    print(
        f"{case.strategy:>8}  {case.rows:>7,} × {case.width}, budget {case.budget:,}, {case.classes:,} classes: {figures.cpu:6.1f} s"
        f" of CPU ({figures.wall:.1f} s), {figures.peak:.0f} MB of {case.allowed():.0f}, {figures.share:.2f} of all distances",
        flush=True,
    )
    return figures


def measure(case: Case) -> Figures:
    """Return the figures of a case in this process."""
    import torch

    from zoo.active.selection import select
    from zoo.plugins import load_catalog
    from zoo.registry import resolve_component

    torch.set_num_threads(1)
    strategy = resolve_component(load_catalog(quiet=True), "acquisition", case.strategy).build()
    computed = counted()
    with Peak() as peak:
        pool = synthetic(case)
        cpu, wall = time.process_time(), time.perf_counter()
        chosen = select(strategy, pool, case.budget)
        figures = (time.process_time() - cpu, time.perf_counter() - wall)
    assert len(set(chosen)) == case.budget
    return Figures(*figures, peak=peak.highest - peak.before, share=sum(computed) / case.distances())


def counted() -> list[int]:
    """Return a list to which every computation of distances adds how many they are."""
    from zoo_acquisitions import nearest

    own, found = nearest.squared, list[int]()

    def squared(points: Any, rows: Tensor, others: Tensor) -> Tensor:
        found.append(len(rows) * len(others))
        return own(points, rows, others)

    nearest.squared = squared
    return found


def synthetic(case: Case) -> MemoryPool:
    """Return a pool of a case's samples."""
    from zoo.testing.pool import MemoryPool

    fields, labeled = material(case)
    ids = [f"{position:08d}" for position in range(case.rows)]
    needs = frozenset({"embeddings", "log_probabilities", "labeled"})
    return MemoryPool(ids, fields, needs, shared={"labeled": labeled})


def material(case: Case) -> tuple[Fields, Labeled]:
    """Return what is known of the samples and of those with labels, made part by part: no copy in float32 stands beside it."""
    import torch

    from zoo.bases import Labeled

    generator = torch.Generator().manual_seed(0)
    centres = 0.5 * torch.randn(max(case.groups, 1), case.width, generator=generator) * bool(case.groups)
    embeddings = torch.empty(case.rows, case.width, dtype=torch.float16)
    for part in embeddings.split(PART):
        which = torch.randint(len(centres), (len(part),), generator=generator)
        part.copy_(torch.randn(part.shape, generator=generator).add_(centres[which]))
    fields = {"embeddings": embeddings}
    if case.strategy == "badge":
        fields["log_probabilities"] = torch.empty(case.rows, case.classes)
        for part in fields["log_probabilities"].split(PART):
            part.copy_(torch.randn(part.shape, generator=generator).mul_(2).log_softmax(dim=1))
    labels = torch.arange(START) % case.classes
    labeled = Labeled(
        embeddings=torch.randn(START, case.width, generator=generator).half(),
        labels=labels,
        class_counts=torch.bincount(labels, minlength=case.classes),
    )
    return fields, labeled


class Peak:
    """Inside it, `highest` is the most anonymous memory of this process in MB so far, and `before` what it had at first."""

    def __enter__(self) -> Peak:
        self.highest = self.before = anonymous()
        self._done = threading.Event()
        self._watcher = threading.Thread(target=self._watch)
        self._watcher.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._done.set()
        self._watcher.join()

    def _watch(self) -> None:
        while not self._done.wait(0.002):
            self.highest = max(self.highest, anonymous())


def anonymous() -> float:
    """Return this process's anonymous resident memory in MB, as Linux counts it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) * 1024 / 1e6
    raise SystemExit("this needs Linux")


if __name__ == "__main__":
    raise SystemExit(main())
