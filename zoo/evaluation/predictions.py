"""One row per sample: what a model says about every image of a split, each counted once."""

from __future__ import annotations

import io
from collections.abc import Generator
from dataclasses import dataclass
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
from zoo.training.distributed import World
from zoo.training.events import Evaluating

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Predictions:
    """Logits float32 `(n, C)`, labels int64 `(n,)` and sample positions int64 `(n,)` of one split, in source order."""

    split: str
    samples: NDArray[np.int64]
    labels: NDArray[np.int64]
    logits: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.samples)

    def save(self, path: Path, ids: list[str], classes: tuple[str, ...]) -> None:
        """Write the rows with their content ids and the class names as an npz without pickles."""
        buffer = io.BytesIO()
        np.savez(
            buffer,
            ids=np.array(ids),
            samples=self.samples,
            labels=self.labels,
            logits=self.logits,
            classes=np.array(classes),
        )
        storage.write_bytes(path, buffer.getvalue())


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
    rows: list[tuple[torch.Tensor, ...]] = []
    done = 0
    autocast = torch.autocast(device.type, torch.bfloat16, enabled=precision == "bf16")
    for row in forward(network, loader, preprocess, autocast, tta):
        rows.append(row)
        done += len(row[0]) * world.size
        yield Evaluating(split=split, done=min(done, total), total=total)
    samples, labels, logits = (world.gather(torch.cat(column)).cpu().numpy() for column in zip(*rows, strict=True))
    place = np.argsort(samples, kind="stable")
    if not np.array_equal(samples[place], np.sort(loader.split.samples)):
        raise DataError(f"evaluated {len(samples)} rows for the {total} samples of {split}: each must be counted once")
    return Predictions(split, samples[place], labels[place], logits[place])
