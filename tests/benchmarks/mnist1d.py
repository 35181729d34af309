"""Test accuracy on MNIST-1D, against the published one: mnist1d.py [STUDY ...]

    python tests/benchmarks/mnist1d.py                  # four networks, minutes
    python tests/benchmarks/mnist1d.py mnist1d-cnn      # one
    python tests/benchmarks/mnist1d.py --report         # only write the page anew

Networks, data and training are those of Greydanus and Kobak, "Scaling down deep learning with MNIST-1D", ICML 2024: 4,000 signals,
6,000 steps of Adam at a rate of 0.01 with batches of 100, no decay, and test accuracy after the last step. Only the order differs:
here it is drawn anew in each epoch. No setting is chosen on validation, which is 1,000 more signals by the same law; the best
epoch by it, which every run keeps, stands in the file beside the last. Published: 32 % (linear), 68 (MLP), 94 (CNN), 91 (GRU). What is finished stands in
docs/results/mnist1d.jsonl, from which mnist1d.md is written. Exit status 1 where a finished study misses its bar.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import mnist1d_data
import numpy as np
import torch
from results import SEEDS, Results, facts, fingerprint

import zoo

RESULTS = Results("mnist1d")
HEADING = """# Accuracy on MNIST-1D

Written by `tests/benchmarks/mnist1d.py`, which trains them again; the single runs stand in `mnist1d.jsonl`. The data, the
networks and the training are those of Greydanus and Kobak, "Scaling down deep learning with MNIST-1D", ICML 2024, who publish 32 %
for logistic regression, 68 for the MLP, 94 for the CNN and 91 for the bidirectional GRU. Means over seeds with the standard
deviation between them, in percent, after the last of 6,000 steps. Validation is 1,000 more signals by the same law; nothing is
chosen on it. Minutes are those of one run on the threads named, with other work on the same
processor."""


@dataclass(frozen=True)
class Study:
    """Seeds of one recipe, and the range wanted of their mean test accuracy."""

    recipe: str
    bar: float
    ceiling: float | None = None


STUDIES = {
    "linear": Study("mnist1d-linear", 0.30, 0.34),
    "mlp": Study("mnist1d-mlp", 0.65),
    "cnn": Study("mnist1d-cnn", 0.92),
    "gru": Study("mnist1d-gru", 0.88),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", nargs="*", metavar="STUDY", help=", ".join(STUDIES))
    parser.add_argument("--work", type=Path, default=Path("runs/mnist1d"), help="folder of the data and the runs")
    parser.add_argument("--report", action="store_true", help="train nothing")
    arguments = parser.parse_args()
    chosen = arguments.studies or list(STUDIES)
    if unknown := set(chosen) - set(STUDIES):
        parser.error(f"unknown study {', '.join(sorted(unknown))}; there are {', '.join(STUDIES)}")
    if not arguments.report:
        data = arguments.work / "mnist1d.npz"
        mnist1d_data.write(data)
        for name in chosen:
            for seed in SEEDS:
                train(name, seed, data)
    RESULTS.write_page(HEADING, STUDIES)
    return 0 if all(RESULTS.met(name, STUDIES[name]) is not False for name in chosen) else 1


def train(name: str, seed: int, data: Path) -> None:
    """Train one seed of a study unless its result is there, and append the result."""
    study = STUDIES[name]
    recipe = zoo.resolve(study.recipe, f"training.seed={seed}", "training.threads=1", data=str(data))
    key = fingerprint(recipe)
    if RESULTS.has(key):
        return
    folder = data.parent / f"{name}-{seed}-{key[:8]}"
    run = zoo.resume(folder) if folder.exists() else zoo.train(recipe, run=folder, device="cpu")
    best = facts(run)
    kept = {"best_epoch_validation": best["validation"], "best_epoch_test": best["test"]}
    last = {split: accuracy_of_last_step(run, data, split) for split in ("validation", "test")}
    RESULTS.append({"study": name, "recipe": study.recipe, "seed": seed, "key": key, **best, **kept, **last})


def accuracy_of_last_step(run: zoo.Run, data: Path, split: str) -> float:
    """Return the accuracy on a split after the last step; a use of test goes through the run's ledger."""
    with np.load(data) as arrays:
        signals, digits = arrays[f"x_{split}"], arrays[f"y_{split}"]
    if split == "test":
        run.record_access(split, "after the last step", len(digits))
    classifier = zoo.load(run, device="cpu")
    state, _ = run.checkpoints.load_last()
    classifier.network.load_state_dict(state["model"])
    with torch.inference_mode():
        answers = classifier.predict(signals)
    return float(np.mean([int(answer.class_name) == digit for answer, digit in zip(answers, digits, strict=True)]))


if __name__ == "__main__":
    raise SystemExit(main())
