"""How long `zoo list` takes: the whole process, beside `python -c "import timm"`.

    python tests/benchmarks/list_speed.py [REPEATS]

Prints the medians in seconds of processes started in turn, their ratio (wanted: at least 20; `zoo list` in at most 0.30 s),
and which heavy packages `zoo list` imported (wanted: none). Exit status 1 where a bar is missed.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

HEAVY = ("torch", "numpy", "timm", "torchvision", "PIL", "scipy", "sklearn")
REPEATS = 10
SECONDS, RATIO = 0.30, 20.0

# An installed program has its bytecode on disk; this switch would have every edited module compiled again in each process.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
ZOO = [str(Path(sys.executable).with_name("zoo")), "list"]
TIMM = [sys.executable, "-c", "import timm"]
PROBE = f"""
import sys
from zoo.cli.main import main
main(["list"])
print(*[name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)
"""


def seconds(command: list[str]) -> float:
    """Return the wall time of one whole process."""
    began = time.perf_counter()
    subprocess.run(command, check=True, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - began


def heavy_modules() -> list[str]:
    """Return the heavy packages that `zoo list` leaves in sys.modules."""
    done = subprocess.run([sys.executable, "-c", PROBE], check=True, capture_output=True, text=True)
    return done.stderr.splitlines()[-1].split()


def main() -> int:
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else REPEATS
    seconds(ZOO), seconds(TIMM)  # the first of each reads the disk
    pairs = [(seconds(ZOO), seconds(TIMM)) for _ in range(repeats)]
    ours, timm = (statistics.median(column) for column in zip(*pairs, strict=True))
    heavy = heavy_modules()
    print(f"zoo list      {ours:.3f} s   median of {repeats} processes (at most {SECONDS:.2f})")
    print(f"import timm   {timm:.3f} s   {timm / ours:.1f} times as long (at least {RATIO:.0f})")
    print(f"heavy imports {', '.join(heavy) or 'none'}")
    return int(ours > SECONDS or timm / ours < RATIO or bool(heavy))


if __name__ == "__main__":
    sys.exit(main())
