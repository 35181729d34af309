"""What the runs of a comparison answered: every model's answers to the same test samples, in the same order."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.errors import RunError
from zoo.evaluation.metrics import log_softmax
from zoo.evaluation.predictions import Saved
from zoo.training.run import Run


@dataclass(frozen=True)
class Answers:
    """One contestant's answers at one value of the varied setting, a row per seed.

    They trained with batches of `batch_size`. `guesses` int64, `right` bool and `losses` float32 (nats) are `(seeds, items)`; `saved` has each seed's table of logits.
    """

    contestant: str
    value: str | None
    batch_size: int
    seeds: tuple[int, ...]
    runs: tuple[Run, ...]
    saved: tuple[Saved, ...]
    guesses: NDArray[np.int64]
    right: NDArray[np.bool_]
    losses: NDArray[np.float32]

    @property
    def ids(self) -> NDArray[np.bytes_]:
        """The content id of each test sample."""
        return self.saved[0].ids

    @property
    def labels(self) -> NDArray[np.int64]:
        return self.saved[0].predictions.labels

    @property
    def classes(self) -> tuple[str, ...]:
        return self.saved[0].classes

    def right_of(self, seed: int) -> NDArray[np.bool_]:
        """Return which answers of one seed's model are right, `(items,)`."""
        right: NDArray[np.bool_] = self.right[self.seeds.index(seed)]
        return right

    def right_on(self, seeds: Sequence[int]) -> NDArray[np.bool_]:
        """Return which answers are right, a row for each of these seeds."""
        return self.right[[self.seeds.index(seed) for seed in seeds]]

    def losses_on(self, seeds: Sequence[int]) -> NDArray[np.float32]:
        """Return the losses, a row for each of these seeds."""
        return self.losses[[self.seeds.index(seed) for seed in seeds]]


def read(contestant: str, value: str | None, batch_size: int, runs: Mapping[int, Run]) -> Answers:
    """Return the answers of a contestant's finished runs by seed. Raises DataError where a file of predictions is damaged."""
    saved = [Saved.load(run.predictions("test")) for run in runs.values()]
    tables = [_judged(each) for each in saved]
    guesses, losses = np.stack([table[0] for table in tables]), np.stack([table[1] for table in tables])
    right = guesses == saved[0].predictions.labels
    return Answers(
        contestant=contestant,
        value=value,
        batch_size=batch_size,
        seeds=tuple(runs),
        runs=tuple(runs.values()),
        saved=tuple(saved),
        guesses=guesses,
        right=right,
        losses=losses,
    )


def _judged(saved: Saved) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return each sample's guess and negative log-likelihood."""
    guesses: list[NDArray[np.int64]] = []
    losses: list[NDArray[np.float32]] = []
    for labels, logits in saved.predictions.blocks():
        guesses.append(logits.argmax(axis=1))
        losses.append(-log_softmax(logits)[np.arange(len(labels)), labels].astype(np.float32))
    return np.concatenate(guesses), np.concatenate(losses)


def require_one_protocol(runs: Sequence[Run], *, same_train: bool = True) -> None:
    """Raise RunError, naming the fields that differ, unless all finished runs have the same classes, splits and test samples.

    With `same_train` false only what they are tested on must agree.
    """
    if not runs:
        return
    first = protocol(runs[0], same_train)
    for run in runs[1:]:
        other = protocol(run, same_train)
        if differing := [f"{key}: {first[key]} and {other[key]}" for key in first if first[key] != other[key]]:
            raise RunError(
                f"{runs[0].path} and {run.path} cannot be compared; they differ in {'; '.join(differing)}",
                possible="runs with the same classes, splits and test samples",
                hint="train them on the same data, with the same data.split_seed and fractions",
            )


def protocol(run: Run, same_train: bool = True) -> dict[str, Any]:
    """Return what runs must have in common to be compared."""
    manifest, saved = run.manifest, Saved.load(run.predictions("test"))
    shared = {
        "classes": ", ".join(manifest["classes"]),
        "test samples": len(saved.ids),
        "test images": _digest(saved.ids),
        "test labels": _digest(saved.predictions.labels),
    }
    if same_train:
        shared |= {f"{name} samples": n for name, n in manifest["samples"].items() if name != "test"}
        shared["splits"] = manifest["environment"]["data"][:8]
    return shared


def _digest(column: NDArray[Any]) -> str:
    return hashlib.blake2b(np.ascontiguousarray(column).tobytes(), digest_size=4).hexdigest()
