"""Images per second of batched augmentation against torchvision's transforms.v2 sample by sample, interleaved in one run.

    python tests/benchmarks/augmentation.py [--rounds 5] [--batch 512] [--images 200]

Both rotate, shift, zoom, shear, flip, change brightness, contrast and saturation, and normalise 32×32 colour images held as
uint8 tensors, on two torch threads. torchvision's transforms draw once for all that they are given, so they are called image
by image. Crops and policies are compared in the same way, without a bar. Exit status 1 below the bar.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torchvision.transforms import v2

from zoo.augmentation import Augmentation, ResizedCrop
from zoo.data.augment import Preprocess
from zoo.training.randomness import Draws

BAR = 5.0
SIDE = 32
MEAN, STD = (0.49, 0.48, 0.45), (0.25, 0.24, 0.26)
BILINEAR = v2.InterpolationMode.BILINEAR
FULL = Augmentation(
    rotation=15, shift=0.1, zoom=0.1, shear=5, horizontal_flip=True, brightness=0.4, contrast=0.4, saturation=0.4
)
PAIRS: dict[str, tuple[Augmentation, Sequence[nn.Module]]] = {
    "affine, flip, colour": (
        FULL,
        [
            v2.RandomAffine(15, (0.1, 0.1), (0.9, 1.1), 5, interpolation=BILINEAR),
            v2.RandomHorizontalFlip(),
            v2.ColorJitter(0.4, 0.4, 0.4),
        ],
    ),
    "resized crop, flip": (
        Augmentation(random_resized_crop=ResizedCrop(), horizontal_flip=True),
        [v2.RandomResizedCrop(SIDE), v2.RandomHorizontalFlip()],
    ),
    "padded crop, flip": (
        Augmentation(padding_crop=4, horizontal_flip=True),
        [v2.RandomCrop(SIDE, padding=4), v2.RandomHorizontalFlip()],
    ),
    "trivial-augment": (Augmentation(policy="trivial-augment"), [v2.TrivialAugmentWide(interpolation=BILINEAR)]),
    "rand-augment": (Augmentation(policy="rand-augment"), [v2.RandAugment(interpolation=BILINEAR)]),
    "augmix": (Augmentation(policy="augmix"), [v2.AugMix(all_ops=False)]),
}


def timed(run: Callable[[], int]) -> tuple[float, float]:
    """Return images per second of wall time, and of CPU time of this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    images = run()
    return images / (time.perf_counter() - wall), images / (time.process_time() - cpu)


def batched(augmentation: Augmentation, images: Tensor, batch: int, epoch: int) -> int:
    """Augment all images in batches and return how many there were."""
    preprocess = Preprocess(MEAN, STD, augmentation)
    positions = torch.arange(len(images))
    pairs = zip(images.split(batch), positions.split(batch), strict=True)
    return sum(len(preprocess.train(part, Draws(0, epoch, own))) for part, own in pairs)


def one_by_one(transform: nn.Module, images: Tensor, batch: int) -> int:
    """Augment all images one by one, stack them in batches, and return how many there were."""
    return sum(len(torch.stack([transform(image) for image in part])) for part in images.split(batch))


def compare(name: str, images: Tensor, few: Tensor, batch: int, rounds: int) -> float:
    """Print both sides' medians and return the ratio of wall time."""
    augmentation, changes = PAIRS[name]
    transform = v2.Compose([*changes, v2.ToDtype(torch.float32, scale=True), v2.Normalize(list(MEAN), list(STD))])
    batched(augmentation, images[:batch], batch, 0)
    one_by_one(transform, few[:20], batch)
    rows = []
    for epoch in range(rounds):
        ours = timed(lambda: batched(augmentation, images, batch, epoch))  # noqa: B023  # called at once
        rows.append((*ours, *timed(lambda: one_by_one(transform, few, batch))))
    wall, cpu, their_wall, their_cpu = (statistics.median(column) for column in zip(*rows, strict=True))
    ratio = wall / their_wall
    print(f"{name:22}{wall:12,.0f}{their_wall:12,.0f}{ratio:9.1f}{cpu / their_cpu:9.1f}", flush=True)
    return ratio


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--batch", type=int, default=512)
    parser.add_argument("--images", type=int, default=200, help="images per round of the per-sample side")
    arguments = parser.parse_args()
    torch.set_num_threads(2)
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (2048, 3, SIDE, SIDE), dtype=torch.uint8, generator=generator)
    print(f"{'images/s':22}{'batched':>12}{'per sample':>12}{'ratio':>9}{'CPU':>9}")
    few = images[: arguments.images]
    ratios = {name: compare(name, images, few, arguments.batch, arguments.rounds) for name in PAIRS}
    first = next(iter(PAIRS))
    print(f"bar {BAR:g} for {first}, wall time: {ratios[first]:.1f}")
    return 0 if ratios[first] >= BAR else 1


if __name__ == "__main__":
    raise SystemExit(main())
