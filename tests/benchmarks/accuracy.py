"""Test accuracy of packaged recipes on MNIST, Fashion-MNIST and photos of clothing, against bars: accuracy.py [STUDY ...]

    python tests/benchmarks/accuracy.py --data FOLDER --work FOLDER                # all of them, hours
    python tests/benchmarks/accuracy.py mnist-lenet5 --data FOLDER --work FOLDER   # one
    python tests/benchmarks/accuracy.py --report                                   # only write the page anew

The data folder holds mnist.npz, fashion-mnist.npz (x_train, y_train, x_test, y_test; 60,000 and 10,000 images) and clothing/.
Each study trains three seeds on the same 55,000 images, chooses the epoch on 5,000 of validation, and reads test once, at the
end. What is finished stands in docs/results/accuracy.jsonl and is not trained again while the recipe stays the same; what was
interrupted goes on. docs/results/accuracy.md is written from that file. Exit status 1 where a finished study misses its bar.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

from results import SEEDS, Results, facts, fingerprint

import zoo
from zoo.evaluation.cost import Task, count

RESULTS = Results("accuracy")
HEADING = """# Accuracy of the recipes

Written by `tests/benchmarks/accuracy.py`, which trains them again; the single runs stand in `accuracy.jsonl`.
Means over seeds with the standard deviation between them, in percent. The epoch is chosen on validation, test is read
once. Minutes are those of one run on the threads named, with other work on the same processor; of the photos, without the pass of
the backbone, whose embeddings all runs share."""


@dataclass(frozen=True)
class Study:
    """Seeds of one recipe on one data set, and the mean test accuracy wanted of them."""

    recipe: str
    data: str
    bar: float | None = None
    ceiling: float | None = None
    settings: tuple[str, ...] = ()


WEIGHTS = "weights="  # the file is that of --weights
CUT = ("data.validation_fraction=0.08333333333333333", "training.threads=1")
# Patches of 4 px, for minutes a run.
SWAPPED = (*CUT, "architecture.patch=4", "training.epochs=8")
STUDIES = {
    "mnist-lenet5": Study("lenet5-adamw", "mnist.npz", 0.989, settings=CUT),
    "mnist-keras-cnn": Study("keras-cnn-adamw", "mnist.npz", 0.992, settings=CUT),
    "mnist-row-lstm": Study("row-lstm-adamw", "mnist.npz", 0.985, settings=CUT),
    "mnist-row-bilstm": Study("row-bilstm-adamw", "mnist.npz", 0.987, settings=CUT),
    "mnist-renet": Study("renet-adamw", "mnist.npz", 0.990, settings=CUT),
    "fashion-resnet20": Study("resnet20-momentum", "fashion-mnist.npz", 0.925, settings=(*CUT, "training.epochs=12")),
    "fashion-row-bilstm": Study("row-bilstm-adamw", "fashion-mnist.npz", 0.885, settings=CUT),
    "fashion-mixer-swap-bilstm2d": Study("mixer-swap-bilstm2d", "fashion-mnist.npz", settings=SWAPPED),
    "fashion-mixer-swap-depthwise-conv": Study("mixer-swap-depthwise-conv", "fashion-mnist.npz", settings=SWAPPED),
    "clothing-photos-transfer": Study("photos-transfer", "clothing", 0.88, settings=(WEIGHTS, "training.threads=1")),
    "clothing-photos-finetuned": Study("photos-finetuned", "clothing", settings=(WEIGHTS, "training.threads=1")),
}
SWAPS = ("fashion-mixer-swap-bilstm2d", "fashion-mixer-swap-depthwise-conv")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", nargs="*", metavar="STUDY", help=", ".join(STUDIES))
    parser.add_argument("--data", type=Path, help="folder of the data sets")
    parser.add_argument("--weights", type=Path, help="safetensors of tf_efficientnet_lite0, for the photos")
    parser.add_argument("--work", type=Path, default=Path("runs/accuracy"), help="folder of the runs")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS, help="which, and in which order")
    parser.add_argument("--report", action="store_true", help="train nothing")
    arguments = parser.parse_args()
    chosen = arguments.studies or list(STUDIES)
    if unknown := set(chosen) - set(STUDIES):
        parser.error(f"unknown study {', '.join(sorted(unknown))}; there are {', '.join(STUDIES)}")
    if not arguments.report:
        if arguments.data is None:
            parser.error("--data is needed to train")
        for seed in arguments.seeds:
            for name in chosen:
                train(name, seed, arguments)
    RESULTS.write_page(f"{HEADING} {swapped()}", STUDIES)
    return 0 if all(RESULTS.met(name, STUDIES[name]) is not False for name in chosen) else 1


def swapped() -> str:
    """Return in words what the two mixers cost, which is the same."""
    task = Task((1, 28, 28), classes=10)
    counted = {study: count(zoo.resolve(STUDIES[study].recipe, *SWAPPED), task)["macs"] for study in SWAPS}
    told = " and ".join(f"{macs:,}" for macs in counted.values())
    return f"{' and '.join(counted)} have patches of 4 px, and {told} multiply-accumulates for one image."


def train(name: str, seed: int, arguments: argparse.Namespace) -> None:
    """Train one seed of a study unless its result is there, and append the result."""
    study, data, work = STUDIES[name], arguments.data, arguments.work
    settings = [f"{WEIGHTS}{arguments.weights}" if setting == WEIGHTS else setting for setting in study.settings]
    recipe = zoo.resolve(study.recipe, *settings, f"training.seed={seed}", data=str(data / study.data))
    key = fingerprint(recipe)
    if RESULTS.has(key):
        return
    folder = work / f"{name}-{seed}-{key[:8]}"
    began, fresh = time.process_time(), not folder.exists()
    run = zoo.train(recipe, run=folder) if fresh else zoo.resume(folder)
    cpu = round((time.process_time() - began) / 60, 2) if fresh else None
    row = {"study": name, "recipe": study.recipe, "data": study.data, "seed": seed, "key": key}
    RESULTS.append({**row, **facts(run), "cpu_minutes": cpu})


if __name__ == "__main__":
    raise SystemExit(main())
