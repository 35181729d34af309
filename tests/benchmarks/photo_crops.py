"""Random crops of photos: from the originals, as they are decoded, against enlarging a part of the decoded square.

    python tests/benchmarks/photo_crops.py FOLDER [--images 200] [--size 224] [--rounds 3]

Per side, photos per second on one process and one thread, interleaved; and how many pixels of the original there are for each
pixel of a crop, at its median and at its fifth percentile: below 1 a crop is enlarged.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from zoo.augmentation import Augmentation, ResizedCrop
from zoo.data.augment import Preprocess
from zoo.data.crops import COLUMNS, STREAM, boxes
from zoo.data.sources import FileImages, canonical
from zoo.data.streaming import decode_all, decode_cropped
from zoo.training.randomness import Draws

CROP = ResizedCrop()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    paths = canonical(path.relative_to(arguments.folder).as_posix() for path in arguments.folder.rglob("*.jpg"))
    images = FileImages(arguments.folder, paths[: arguments.images])
    size, every = (arguments.size, arguments.size), np.arange(len(images))
    batched = Preprocess((0.5,) * 3, (0.25,) * 3, Augmentation(random_resized_crop=CROP))
    from_squares, from_originals = [], []
    for epoch in range(arguments.rounds):
        draws = Draws(0, epoch, torch.from_numpy(every))
        from_squares.append(
            seconds(lambda: batched.augment(torch.from_numpy(decode_all(images, every, size, 0)), draws))  # noqa: B023  # called at once
        )
        from_originals.append(seconds(lambda: decode_cropped(images, every, size, CROP, draws)))  # noqa: B023
    sides = [Image.open(images.root / path).size for path in images.paths]
    print(
        f"{len(images)} photos of {statistics.median(w for w, _ in sides)}×{statistics.median(h for _, h in sides)} px"
    )
    u = Draws(0, 0, torch.from_numpy(every)).uniform(STREAM, COLUMNS)
    squares = boxes(u, size, CROP.scale, CROP.ratio)
    originals = torch.cat(
        [boxes(row[None], (h, w), CROP.scale, CROP.ratio) for row, (w, h) in zip(u, sides, strict=True)]
    )
    for name, times, box in (
        ("decoded square", from_squares, squares),
        ("original", from_originals, originals),
    ):
        share = (box[:, 2] * box[:, 3] / arguments.size**2).numpy()
        print(
            f"crops of the {name}: {len(images) / statistics.median(times):.0f} photos/s,"
            f" {np.median(share):.2f} pixels for one (5 %: {np.quantile(share, 0.05):.2f})"
        )
    return 0


def seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


if __name__ == "__main__":
    raise SystemExit(main())
