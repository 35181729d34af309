"""Test accuracy and training time of the packaged recipes: recipes.py [RECIPE ...] [--data PATH] [key=value ...]

    python tests/benchmarks/recipes.py                      # the three that have a bar, on digits
    python tests/benchmarks/recipes.py conv-net-momentum training.epochs=2 --data mnist.npz

Prints one line per recipe. The bars are those of digits at the recipe as it is; exit status 1 where one is missed.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import zoo

# Recipe → wanted test accuracy on digits, and the seconds of training that two CPU cores may take.
BARS = {"resnet50-momentum": (0.97, 360.0), "conv-net-momentum": (0.98, None), "row-lstm-momentum": (0.95, None)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", help="recipes, and settings key=value for all of them")
    parser.add_argument("--data")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    settings = [word for word in arguments.words if "=" in word]
    recipes = [word for word in arguments.words if "=" not in word] or list(BARS)
    met = True
    for name in recipes:
        with tempfile.TemporaryDirectory() as folder:
            began = time.process_time()
            run = zoo.train(name, *settings, data=arguments.data, seed=arguments.seed, run=Path(folder) / "run")
            cpu = time.process_time() - began
            summary = run.summary or {}
        accuracy, seconds = summary["test"]["accuracy"], summary["seconds"]
        line = f"{name}: test accuracy {accuracy:.4f}, {summary['epochs']} epochs in {seconds:.0f} s ({cpu:.0f} CPU seconds)"
        if name in BARS and arguments.data is None and not settings:
            wanted, limit = BARS[name]
            good = accuracy >= wanted and (limit is None or seconds < limit)
            met &= good
            line += f"; wanted {wanted}{f' in {limit:.0f} s' if limit else ''}: {'met' if good else 'MISSED'}"
        print(line, flush=True)
    return 0 if met else 1


if __name__ == "__main__":
    raise SystemExit(main())
