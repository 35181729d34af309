"""Memory of ranking a pool whose predictions are far larger than it, by entropy: acquisition_streaming.py

    python tests/benchmarks/acquisition_streaming.py --work FOLDER [--rows N] [--classes C] [--budget B]

Logits in float32, 2,000,000 × 1,000 by default, are written to a temporary file in FOLDER (8 GB); then a process of its own, on one
thread, reads them through a memory map as they are asked for. Printed are seconds of process CPU and the peak of anonymous memory, and
what of it is there after the imports, with the ids (as long as those of files), and with the pool; pages of the file, which the
system can drop at any time, do not count. The scores of the chosen are computed again by scipy. Exit status 1 where the peak,
imports included, is not below 1 GB.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from acquisition_scale import Peak, anonymous

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from zoo.active.pool import Compute, Fields

ALLOWED = 1000  # MB
PART = 4096  # rows that are written at once
SCALES = (0.5, 4.0)  # of the logits, from the first rows to the last, so that no two rows are alike


@dataclass(frozen=True)
class Figures:
    """Seconds of process CPU, and MB: after the imports, with ids, with the pool, and the peak."""

    cpu: float
    imports: float
    ids: float
    pool: float
    peak: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, required=True, help="a folder with room for N × C × 4 bytes")
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--budget", type=int, default=1000)
    parser.add_argument("--here", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    sizes = (arguments.rows, arguments.classes)
    if arguments.here:
        print(json.dumps(asdict(measure(arguments.here, sizes, arguments.budget))))
        return 0
    with tempfile.TemporaryDirectory(dir=arguments.work) as folder:
        path = Path(folder) / "logits"
        write(path, sizes)
        command = [sys.executable, __file__, *sys.argv[1:], "--here", str(path)]
        figures = Figures(**json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout))
    print(
        f"{sizes[0]:,} × {sizes[1]:,}, budget {arguments.budget:,}: {figures.cpu:.1f} s of CPU, {figures.peak:.0f} MB"
    )
    print(f"imports {figures.imports:.0f} MB, with ids {figures.ids:.0f} MB, with the pool {figures.pool:.0f} MB")
    print("within the bar" if figures.peak < ALLOWED else f"missed: allowed {ALLOWED} MB")
    return 0 if figures.peak < ALLOWED else 1


def write(path: Path, sizes: tuple[int, int]) -> None:
    """Write standard normal numbers in blocks, the same ones at another scale in each."""
    import numpy as np

    rows, classes = sizes
    numbers = np.random.default_rng(0).standard_normal((min(PART, rows), classes), dtype=np.float32)
    scales = np.geomspace(*SCALES, -(-rows // PART), dtype=np.float32)
    with path.open("wb") as file:
        for number, scale in enumerate(scales):
            (scale * numbers[: rows - number * PART]).tofile(file)


def measure(path: Path, sizes: tuple[int, int], budget: int) -> Figures:
    """Return the figures of choosing in this process."""
    import numpy as np
    import torch

    from zoo.active.pool import UnlabeledPool
    from zoo.active.selection import rank
    from zoo.plugins import load_catalog
    from zoo.registry import resolve_component

    torch.set_num_threads(1)
    strategy = resolve_component(load_catalog(quiet=True), "acquisition", "entropy").build()
    logits = np.memmap(path, dtype=np.float32, mode="r", shape=sizes)
    with Peak() as peak:
        ids = [f"{row:032x}" for row in range(len(logits))]
        with_ids = anonymous()
        pool = UnlabeledPool(ids, reading(logits), frozenset({"log_probabilities"}))
        with_pool = anonymous()
        cpu = time.process_time()
        chosen, scores = rank(strategy, pool, budget)
        cpu = time.process_time() - cpu
    require(logits, chosen, scores or [])
    return Figures(cpu, peak.before, with_ids, with_pool, peak.highest)


def reading(logits: NDArray[np.float32]) -> Compute:
    """Return the computation that reads the rows asked for, and no others."""
    import torch

    def compute(rows: Sequence[Tensor], wanted: frozenset[str]) -> Iterator[Fields]:
        for some in rows:
            yield {"log_probabilities": torch.from_numpy(logits[some.numpy()]).log_softmax(dim=1)}

    return compute


def require(logits: NDArray[np.float32], chosen: list[int], scores: list[float]) -> None:
    """Check the scores, and that they fall."""
    import numpy as np
    from scipy.special import softmax
    from scipy.stats import entropy

    assert len(set(chosen)) == len(scores)
    np.testing.assert_allclose(scores, entropy(softmax(logits[chosen].astype(np.float64), axis=1), axis=1), rtol=1e-4)
    assert scores == sorted(scores, reverse=True)


if __name__ == "__main__":
    raise SystemExit(main())
