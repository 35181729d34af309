"""A picture of what a simulation has asked for: the first images of some rounds, and what was answered."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from zoo.active.material import Material
from zoo.data.sheet import GAP, INK, MARGIN, PALE, PAPER, enlarged, length, shortened, visible

SHEET = "asked.jpg"
ROUNDS, IMAGES = 6, 10  # of which images are shown at most, and how many of each
SIDE, LETTER = 64, 12  # pixels of an image's longer side, and of the words below it
QUALITY = 90


def sheet(queries: Sequence[Mapping[str, Any]], material: Material) -> bytes:
    """Return a JPEG of what the lines of `queries.jsonl` after the first have asked for; without any it is blank paper.

    A line of images for each of six rounds at most, the first and the last among them, with the number of answers before it; in the
    order in which they were asked, each above its answer. One that shows the same as another of its batch is marked "again".
    """
    rounds = np.unique(np.linspace(1, len(queries) - 1, min(ROUNDS, len(queries) - 1)).round().astype(int)).tolist()
    answers = np.cumsum([len(line["ids"]) for line in queries])
    lines = [(f"{answers[round - 1]:,}", *_shown(queries[round], material)) for round in rounds]
    font, columns = ImageFont.load_default(LETTER), max((len(images) for _, images, _ in lines), default=0)
    left = MARGIN + max((length(font, head) for head, _, _ in lines), default=0) + 2 * GAP
    height = SIDE + LETTER + 2 * GAP
    paper = Image.new("RGB", (left + columns * (SIDE + GAP) + MARGIN, 2 * MARGIN + len(lines) * height), PAPER)
    pen = ImageDraw.Draw(paper)
    for number, (head, images, words) in enumerate(lines):
        top = MARGIN + number * height
        pen.text((left - 2 * GAP, top + SIDE / 2), head, PALE, font, anchor="rm")
        for column, (image, word) in enumerate(zip(images, words, strict=True)):
            middle = left + column * (SIDE + GAP) + SIDE // 2
            paper.paste(image, (middle - image.width // 2, top + (SIDE - image.height) // 2))
            pen.text((middle, top + SIDE + GAP / 2), shortened(word, font, SIDE), INK, font, anchor="mt")
    buffer = io.BytesIO()
    paper.save(buffer, "JPEG", quality=QUALITY, subsampling=0)
    return buffer.getvalue()


def _shown(line: Mapping[str, Any], material: Material) -> tuple[list[Image.Image], list[str]]:
    """Return the first images of a batch and the words below them."""
    rows = [material.rows[name] for name in line["ids"][:IMAGES]]
    part = material.dataset.splits["train"].part(np.array(rows, dtype=np.int64))
    groups = material.groups[rows].tolist()
    images, words = [], []
    for at, one in enumerate(part.pixels(material.dataset.size, 0)):
        image = Image.fromarray(enlarged(visible(one, one), SIDE))
        image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        images.append(image)
        words.append(f"{line['answers'][at]}{' again' * (groups[at] in groups[:at])}")
    return images, words
