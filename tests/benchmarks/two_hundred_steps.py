"""Whether every packaged recipe learns: 200 optimizer steps on digits, and the loss at their end against that at their start.

    python tests/benchmarks/two_hundred_steps.py                # all, about an hour on one thread
    python tests/benchmarks/two_hundred_steps.py irnn-adamw …   # some

Prints one line per recipe. The schedule is squeezed into the 200 steps; the start is the mean loss of the first ten steps, the
end that of the last ten. Exit status 1 where the loss does not fall below half. Recipes of ImageNet-size networks do one step in
the tests instead, and those that need weights or data from elsewhere are left out.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import zoo
from zoo.registry import Registry
from zoo.training.events import Event, StepDone

STEPS, ENDS = 200, 10
LARGE = {"resnet101-momentum", "vgg16-adamw", "vgg16-bn-sgd", "convnext-tiny-adamw", "resnet34-lamb"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*")
    arguments = parser.parse_args()
    names = arguments.recipes or [
        name
        for name in Registry.load(zoo.catalog).names()
        if "/" not in name and name not in LARGE and on_digits(zoo.resolve(name))
    ]
    learnt = [learns(name) for name in names]
    print(f"{sum(learnt)} of {len(learnt)} recipes learn")
    return 0 if all(learnt) else 1


def on_digits(recipe: zoo.Recipe) -> bool:
    """Return whether the recipe needs nothing from elsewhere."""
    return recipe.weights is None and recipe.source.name == "digits"


def learns(name: str) -> bool:
    """Train, print the figures, and return whether the loss fell below half."""
    losses: list[float] = []
    sums = [0.0, 0]

    def see(event: Event) -> None:
        if isinstance(event, StepDone):  # sums of the epoch so far
            first = event.seen <= event.samples
            losses.append((float(event.loss) - (0 if first else sums[0])) / (event.seen - (0 if first else sums[1])))
            sums[:] = float(event.loss), event.seen

    settings = ("training.epochs=null", f"training.steps={STEPS}", "training.early_stopping=null", "training.threads=1")
    with tempfile.TemporaryDirectory() as folder:
        began = time.process_time()
        zoo.train(name, *settings, run=Path(folder) / "run", on_event=see)
        seconds = time.process_time() - began
    start, end = sum(losses[:ENDS]) / ENDS, sum(losses[-ENDS:]) / ENDS
    good = end < start / 2
    print(
        f"{name}: loss {start:.3f} to {end:.3f} in {STEPS} steps, {seconds:.0f} CPU seconds{'' if good else ': MISSED'}",
        flush=True,
    )
    return good


if __name__ == "__main__":
    raise SystemExit(main())
