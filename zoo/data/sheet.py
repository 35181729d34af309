"""A contact sheet: training images, and beside each what a model sees of it in the first epochs, or what else it becomes."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from zoo.data.augment import Preprocess
from zoo.data.dataset import Dataset, Split
from zoo.data.sources import FileImages
from zoo.data.streaming import decode_cropped
from zoo.training.randomness import Draws

Pixels = NDArray[np.uint8]
Change = Callable[[Split], Sequence[Tensor]]  # the views of all images of a split

MEASURED = 1000  # image files whose mean is the colour that erasing fills with: a run measures more
CELL = 112  # pixels that the longer side of an image fills at least
STRIPE = 28  # pixels that a signal is high
GAP, MARGIN, HEADER, LETTER = 6, 12, 26, 14
LABELS = 150  # pixels at most for the names of classes
PAPER, INK, PALE = (255, 255, 255), (40, 40, 40), (120, 120, 120)


@dataclass(frozen=True, slots=True)
class Row:
    """One training image of a class, uint8 `(H, W, 3)`, and its augmented views."""

    class_name: str
    original: Pixels
    views: list[Pixels]


def rows(dataset: Dataset, preprocess: Preprocess, *, seed: int, samples: int, views: int) -> list[Row]:
    """Return so many images of train, the classes in turn, and their views before normalisation.

    View n is what training with this seed sees in epoch n. Raises DataError for an augmentation that does not fit the data.
    """

    def augmented(split: Split) -> list[Tensor]:
        each = [Draws(seed, epoch, torch.from_numpy(split.samples)) for epoch in range(views)]
        return [preprocess.augment(_loaded(split, dataset, preprocess, draws), draws) for draws in each]

    return rows_with(dataset, augmented, samples=samples)


def rows_with(dataset: Dataset, change: Change, *, samples: int) -> list[Row]:
    """Return so many images of train, the classes in turn, and as their views what `change` makes of them."""
    split = _first_of_each_class(dataset.splits["train"], samples)
    whole = split.pixels(dataset.size, 0)
    changed = [view.numpy() for view in change(split)]
    names = [dataset.classes[label] for label in split.labels]
    return [
        Row(name, visible(one, one), [visible(view[index], one) for view in changed])
        for index, (name, one) in enumerate(zip(names, whole, strict=True))
    ]


def draw(rows: Sequence[Row], titles: Sequence[str] | None = None) -> bytes:
    """Return the sheet as a PNG: a line per row, its class, the original, then the views under their titles or epochs."""
    font = ImageFont.load_default(LETTER)
    height, width = enlarged(rows[0].original).shape[:2]
    label = max(length(font, shortened(row.class_name, font)) for row in rows)
    left = MARGIN + label + 2 * GAP
    # The originals stand apart from their views.
    columns = [left] + [left + 2 * GAP + n * (width + GAP) for n in range(1, len(rows[0].views) + 1)]
    size = (columns[-1] + width + MARGIN, HEADER + len(rows) * (height + GAP) + MARGIN - GAP)
    sheet = Image.new("RGB", size, PAPER)
    pen = ImageDraw.Draw(sheet)
    heads = ["original", *(titles or (f"epoch {number}" for number in range(1, len(columns))))]
    for head, x in zip(heads, columns, strict=True):
        pen.text((x + width / 2, HEADER / 2), shortened(head, font, width), PALE, font, anchor="mm")
    for line, row in enumerate(rows):
        y = HEADER + line * (height + GAP)
        pen.text((MARGIN, y + height / 2), shortened(row.class_name, font), INK, font, anchor="lm")
        for x, pixels in zip(columns, (row.original, *row.views), strict=True):
            sheet.paste(Image.fromarray(enlarged(pixels)), (x, y))
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _loaded(split: Split, dataset: Dataset, preprocess: Preprocess, draws: Draws) -> Tensor:
    """Return the images as training gets them: cropped, where that is done as files are decoded."""
    crop = dataset.crop(preprocess.augmentation)
    if crop is None or not isinstance(split.images, FileImages):
        return torch.from_numpy(split.pixels(dataset.size, 0))
    return torch.from_numpy(decode_cropped(split.images, split.samples, dataset.size, crop, draws))


def _first_of_each_class(split: Split, count: int) -> Split:
    """Return `count` images at most: the first of every class, then the second of every class …, in order of class."""
    turn = np.zeros(len(split), dtype=np.int64)
    for label in np.unique(split.labels):
        own = np.flatnonzero(split.labels == label)
        turn[own] = np.arange(len(own))
    chosen = np.lexsort((split.labels, turn))[:count]
    chosen = chosen[np.lexsort((turn[chosen], split.labels[chosen]))]
    return split.part(chosen)


def visible(image: NDArray[Any], original: NDArray[Any]) -> Pixels:
    """Return an image `(C, H, W)` as uint8 `(H, W, 3)`; of arrays, the range of the original is black to white."""
    values = image.astype(np.float64)
    if original.dtype != np.uint8:
        low, high = float(original.min()), float(original.max())
        values = (values - low) * (255 / (high - low) if high > low else 0.0)
    if len(values) != 3:
        values = values.mean(0, keepdims=True).repeat(3, 0)
    return np.ascontiguousarray(np.rint(values).clip(0, 255).astype(np.uint8).transpose(1, 2, 0))


def enlarged(pixels: Pixels, side: int = CELL) -> Pixels:
    """Return the image with every pixel repeated, so that small ones fill a side; a signal becomes a stripe."""
    height, width = pixels.shape[:2]
    times = max(1, round(side / max(height, width)))
    down = STRIPE if height == 1 else times
    return pixels.repeat(down, 0).repeat(times, 1)


def shortened(name: str, font: Any, longest: int = LABELS) -> str:
    """Return the name with as many letters as take so many pixels."""
    while len(name) > 1 and length(font, name) > longest:
        name = name.removesuffix("…")[:-1] + "…"
    return name


def length(font: Any, text: str) -> int:
    """Return the pixels that a text takes."""
    return int(np.ceil(font.getlength(text)))
