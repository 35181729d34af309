"""One row per sample: what a model says about every image of a split, each counted once."""

from __future__ import annotations

import zipfile
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from zoo import storage
from zoo.data.augment import Preprocess
from zoo.data.loader import Loader
from zoo.errors import DataError
from zoo.evaluation import tta as augmented
from zoo.evaluation.columns import blocks, empty, open_npz
from zoo.training.distributed import World
from zoo.training.events import Evaluating

if TYPE_CHECKING:
    from numpy.typing import NDArray

ID_LENGTH = 48  # characters; a digest has 32, the number of a repeat follows


@dataclass(frozen=True, slots=True)
class Predictions:
    """Logits float32 `(n, C)`, labels int64 `(n,)` and sample positions int64 `(n,)` of one split, in source order."""

    split: str
    samples: NDArray[np.int64]
    labels: NDArray[np.int64]
    logits: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.samples)

    def blocks(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float64]]]:
        """Yield (labels, logits) of some rows after another, as many as fit in a bounded memory; logits as float64."""
        for rows in blocks(len(self), self.logits.shape[1]):
            yield self.labels[rows], self.logits[rows].astype(np.float64)

    def save(self, path: Path, ids: Iterable[str], classes: tuple[str, ...]) -> None:
        """Write the rows with their content ids and the class names as an npz without pickles."""
        source = iter(ids)
        names = empty((len(self),), f"S{ID_LENGTH}")
        for rows in blocks(len(self)):
            names[rows] = list(islice(source, rows.stop - rows.start))
        with storage.replacing(path) as file:
            np.savez(
                file,
                ids=names,
                samples=self.samples,
                labels=self.labels,
                logits=self.logits,
                classes=np.array(classes),
            )


@dataclass(frozen=True, slots=True)
class Saved:
    """A predictions file: its rows, the content id of each (ASCII, `S`), and the class names by index."""

    predictions: Predictions
    ids: NDArray[np.bytes_]
    classes: tuple[str, ...]

    @classmethod
    def load(cls, path: Path) -> Saved:
        """Return what `Predictions.save` wrote; the rows of a large file stay on the disk.

        Raises DataError where the file is missing or damaged.
        """
        try:
            columns = open_npz(path)
            rows = Predictions(path.stem, columns["samples"], columns["labels"], columns["logits"])
            return cls(rows, columns["ids"], tuple(columns["classes"].tolist()))
        except FileNotFoundError:
            raise DataError(f"there are no predictions at {path}", hint="zoo eval RUN") from None
        except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
            raise DataError(f"{path} is damaged: {error}", hint="zoo eval RUN writes it anew") from error


class Rows:
    """Rows that come in any order, each put in the place of its sample."""

    def __init__(self, split: str, samples: NDArray[np.int64], width: int) -> None:
        self.split = split
        self.samples = np.sort(samples)
        self.labels = empty((len(samples),), np.int64)
        self.logits = empty((len(samples), width), np.float32)
        self.times = np.zeros(len(samples), np.uint8)

    def put(self, samples: NDArray[np.int64], labels: NDArray[np.int64], logits: NDArray[np.float32]) -> None:
        place = np.minimum(np.searchsorted(self.samples, samples), len(self.samples) - 1)
        if not np.array_equal(self.samples[place], samples):
            raise DataError(f"evaluated samples that {self.split} does not have")
        np.add.at(self.times, place, 1)
        self.labels[place], self.logits[place] = labels, logits

    def finished(self) -> Predictions:
        if not (self.times == 1).all():
            raise DataError(
                f"evaluated {int(self.times.sum(dtype=np.int64))} rows for the {len(self.samples)} samples of {self.split}:"
                " each must be counted once"
            )
        return Predictions(self.split, self.samples, self.labels, self.logits)


@torch.inference_mode()
def forward(
    network: nn.Module, loader: Loader, preprocess: Preprocess, autocast: torch.autocast, tta: int = 0
) -> Generator[tuple[torch.Tensor, ...]]:
    """Yield (sample positions, labels, float32 logits) of each batch of the loader's split.

    With `tta` the logits are log-probabilities averaged over so many augmented views; see `zoo.evaluation.tta`.
    """
    for batch in loader.evaluation():
        logits = augmented.logits(network, preprocess, batch.images, tta, autocast)
        yield batch.samples, batch.labels, logits.float()


def predict(
    network: nn.Module,
    loader: Loader,
    preprocess: Preprocess,
    *,
    split: str,
    device: torch.device,
    precision: str,
    world: World | None = None,
    tta: int = 0,
) -> Generator[Evaluating, None, Predictions]:
    """Run the network in evaluation mode over the loader's split; yields progress and returns the predictions.

    Each of several processes forwards its share and all get all rows. `tta` is the number of augmented views. Raises DataError when a sample is missing or counted
    twice.
    """
    world = world or World()
    network.eval()
    total = len(loader.split)
    rows: Rows | None = None
    done = 0
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
    for batch in forward(network, loader, preprocess, autocast, tta):
        samples, labels, logits = (world.gather(column).cpu().numpy() for column in batch)
        rows = rows or Rows(split, loader.split.samples, logits.shape[1])
        rows.put(samples, labels, logits)
        done += len(samples)
        yield Evaluating(split=split, done=done, total=total)
    if rows is None:
        raise DataError(f"there are no samples of {split}")
    return rows.finished()
