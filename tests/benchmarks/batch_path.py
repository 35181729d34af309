"""Images per second of the batch path against a per-sample pipeline of torchvision, interleaved in one run.

    python tests/benchmarks/batch_path.py [--data mnist.npz]

Both rotate, shift, zoom, flip and normalise 28×28 grey images in batches of 512. Ours runs on two torch threads; torchvision's
(RandomAffine on PIL images, RandomHorizontalFlip, ToTensor, Normalize) in a DataLoader with two workers. Without `--data`,
the file mnist.npz in the folder that ZOO_TEST_DATA names is taken, else scikit-learn's digits resized to 28×28. Exit status
1 below the bar.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from zoo.components import Component, Provenance
from zoo.data.augment import Preprocess
from zoo.data.dataset import Dataset as ZooDataset
from zoo.data.dataset import prepare
from zoo.data.loader import Loader
from zoo.recipe import Augmentation, DataSettings
from zoo.training.randomness import Draws
from zoo_data_sources.plugin import zoo_data_sources

BAR = 5.0
BATCH = 512
ROTATION, SHIFT, ZOOM = 15, 0.1, 0.1


class PerSample(Dataset[Any]):
    """The images as torchvision's own MNIST class hands them out."""

    def __init__(self, images: np.ndarray[Any, Any], labels: np.ndarray[Any, Any], mean: float, std: float) -> None:
        self.images = images
        self.labels = labels
        self.transform = transforms.Compose(
            [
                transforms.ToPILImage(),
                transforms.RandomAffine(ROTATION, (SHIFT, SHIFT), (1 - ZOOM, 1 + ZOOM)),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize((mean,), (std,)),
            ]
        )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.transform(self.images[index]), int(self.labels[index])


def load(path: Path | None) -> ZooDataset:
    """Return the data of an npz file, or digits at MNIST's size."""
    specs = {spec.name: spec for spec in zoo_data_sources()}
    spec = specs["npz" if path else "digits"]
    params = spec.params(path=str(path)) if path else spec.params()
    source = Component[Any](spec, spec.name, params, Provenance("data-sources", "zoo-vision", ""))
    settings = DataSettings(image_size=28)
    return prepare(settings, source, min_size=1, preferred_size=None, architecture="none")


def timed(run: Callable[[], int]) -> tuple[float, float]:
    """Return images per second of wall time, and of CPU time of this process and its ended children."""
    wall, cpu = time.perf_counter(), _cpu()
    images = run()
    return images / (time.perf_counter() - wall), images / (_cpu() - cpu)


def _cpu() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    folder = os.environ.get("ZOO_TEST_DATA")
    parser.add_argument("--data", type=Path, default=Path(folder) / "mnist.npz" if folder else None)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--images", type=int, default=10_000, help="images per round of the per-sample pipeline")
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    if arguments.data is None:
        print("no --data and no ZOO_TEST_DATA: scikit-learn's digits resized to 28×28 stand in for MNIST")
    data = load(arguments.data)
    split = data.splits["train"]
    loader = Loader(data, "train", device="cpu", batch_size=BATCH, workers=0, memory_limit=2048)
    augmentation = Augmentation(rotation=ROTATION, shift=SHIFT, zoom=ZOOM, horizontal_flip=True)
    preprocess = Preprocess(data.mean, data.std, augmentation)
    pixels = split.pixels(data.size, 0)
    repeated = np.resize(np.arange(len(pixels)), arguments.images)
    samples = PerSample(pixels[repeated].transpose(0, 2, 3, 1), split.labels[repeated], data.mean[0], data.std[0])

    def ours(epoch: int) -> int:
        return sum(len(preprocess.train(b.images, Draws(0, epoch, b.samples))) for b in loader.training(0, epoch))

    def theirs() -> int:
        return sum(len(images) for images, _ in DataLoader(samples, BATCH, shuffle=True, num_workers=2))

    ours(0)
    rows = [(*timed(lambda: ours(epoch)), *timed(theirs)) for epoch in range(1, arguments.rounds + 1)]  # noqa: B023
    wall, cpu, their_wall, their_cpu = (statistics.median(column) for column in zip(*rows, strict=True))
    print(f"batch path   {wall:10,.0f} images/s   {cpu:10,.0f} images per CPU second")
    print(f"per sample   {their_wall:10,.0f} images/s   {their_cpu:10,.0f} images per CPU second")
    print(f"ratio        {wall / their_wall:10.1f}            {cpu / their_cpu:10.1f}   (bar {BAR:g}, wall time)")
    return 0 if wall / their_wall >= BAR else 1


if __name__ == "__main__":
    raise SystemExit(main())
