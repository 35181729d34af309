"""Memory of saving predictions and of all figures of them, at 10,000 and at 1,000,000 rows: evaluation_memory.py

    python tests/benchmarks/evaluation_memory.py [--classes C] [--rows N …]

Each size runs in a process of its own, which fills a table as an evaluation does, saves it, reads it back and describes it.
Prints the peak of anonymous memory over what the imports take; pages of files that the system can drop at any time do not count.
Exit status 1 where the larger needs 64 MiB more than the smaller.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ALLOWED = 64  # MiB
BATCH = 1000


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 1_000_000])
    parser.add_argument("--here", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.here:
        print(peak(arguments.here, arguments.classes))
        return 0
    peaks = []
    for rows in arguments.rows:
        command = [sys.executable, __file__, "--classes", str(arguments.classes), "--here", str(rows)]
        began = time.perf_counter()
        peaks.append(float(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
        print(
            f"{rows:>9,} rows, {arguments.classes} classes: {peaks[-1]:.0f} MiB, {time.perf_counter() - began:.0f} s",
            flush=True,
        )
    return 0 if max(peaks) - peaks[0] <= ALLOWED else 1


def peak(rows: int, classes: int) -> float:
    """Return the MiB that the figures of so many rows take at most."""
    from zoo.evaluation.calibration import Temperature
    from zoo.evaluation.figures import describe
    from zoo.evaluation.predictions import Saved

    highest, done = 0.0, threading.Event()
    before = anonymous()

    def watch() -> None:
        nonlocal highest
        while not done.wait(0.002):
            highest = max(highest, anonymous())

    watcher = threading.Thread(target=watch)
    watcher.start()
    with tempfile.TemporaryDirectory() as folder:
        save(Path(folder) / "test.npz", rows, classes)
        saved = Saved.load(Path(folder) / "test.npz")
        figures = describe(saved.predictions, saved.classes, temperature=Temperature(1.5))
    done.set()
    watcher.join()
    assert sum(each["samples"] for each in figures["reliability"]) == rows
    return highest - before


def save(path: Path, rows: int, classes: int) -> None:
    """Write a table of random answers, filled batch by batch."""
    import numpy as np

    from zoo.evaluation.predictions import Rows

    table = Rows("test", np.arange(rows), classes)
    rng = np.random.default_rng(0)
    for low in range(0, rows, BATCH):
        samples = np.arange(low, min(low + BATCH, rows))
        labels = rng.integers(0, classes, len(samples))
        logits = rng.normal(size=(len(samples), classes)) + np.eye(classes)[labels]
        table.put(samples, labels, logits.astype(np.float32))
    table.finished().save(path, (f"{i:032x}" for i in range(rows)), tuple(str(i) for i in range(classes)))


def anonymous() -> float:
    """Return this process's anonymous resident memory in MiB, as Linux counts it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 1024
    raise SystemExit("this needs Linux")


if __name__ == "__main__":
    raise SystemExit(main())
