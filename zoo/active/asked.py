"""A picture of what a simulation has asked for: the first images of some rounds, and what was answered."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from zoo import storage
from zoo.active.journal import CURVE, QUERIES, Journal
from zoo.active.material import Material
from zoo.data.sheet import GAP, INK, MARGIN, PALE, PAPER, STRIPE, Pixels, enlarged, length, shortened, visible
from zoo.errors import ZooError

PICTURE = "asked.jpg"
ROUNDS, IMAGES = 6, 10  # of which images are shown at most, and how many of each
SIDE, LETTER = 64, 12  # pixels of an image's longer side, and of the words below it
QUALITY = 90


def keep_picture(journal: Journal, material: Material) -> None:
    """Write what a finished simulation has asked for into its folder, if it has; what cannot be drawn is left out."""
    queries = journal.lines(QUERIES)
    if len(queries) > 1:
        with suppress(ZooError, ValueError):
            storage.write_bytes(journal.run.path / PICTURE, sheet(queries, journal.lines(CURVE), material))


def sheet(queries: Sequence[Mapping[str, Any]], curve: Sequence[Mapping[str, Any]], material: Material) -> bytes:
    """Return a JPEG of what the lines of `queries.jsonl` after the first, one at least, have asked for.

    A line of images for each of six rounds at most, the first and the last among them, with the number of answers before it, which
    is that of `curve.jsonl`; in the order in which they were asked, each above its answer. One that shows the same as another of its
    batch is marked "again".
    """
    rounds = np.unique(np.linspace(1, len(queries) - 1, min(ROUNDS, len(queries) - 1)).round().astype(int)).tolist()
    font = ImageFont.load_default(LETTER)
    lines = [(f"{curve[round - 1]['answers']:,}", *_shown(queries[round], material, font)) for round in rounds]
    left = MARGIN + max(length(font, head) for head, _, _ in lines) + 2 * GAP
    columns = max(len(images) for _, images, _ in lines)
    height = SIDE + LETTER + 2 * GAP
    paper = Image.new("RGB", (left + columns * (SIDE + GAP) + MARGIN, 2 * MARGIN + len(lines) * height), PAPER)
    pen = ImageDraw.Draw(paper)
    for number, (head, images, words) in enumerate(lines):
        top = MARGIN + number * height
        pen.text((left - 2 * GAP, top + SIDE / 2), head, PALE, font, anchor="rm")
        for column, (image, word) in enumerate(zip(images, words, strict=True)):
            middle = left + column * (SIDE + GAP) + SIDE // 2
            paper.paste(image, (middle - image.width // 2, top + (SIDE - image.height) // 2))
            pen.text((middle, top + SIDE + GAP / 2), word, INK, font, anchor="mt")
    buffer = io.BytesIO()
    paper.save(buffer, "JPEG", quality=QUALITY, subsampling=0)
    return buffer.getvalue()


def _shown(line: Mapping[str, Any], material: Material, font: Any) -> tuple[list[Image.Image], list[str]]:
    """Return the first images of a batch and the words below them, which are no wider than they are."""
    rows = [material.rows[name] for name in line["ids"][:IMAGES]]
    part = material.dataset.splits["train"].part(np.array(rows, dtype=np.int64))
    groups = material.groups[rows].tolist()
    images, words = [], []
    for at, one in enumerate(part.pixels(material.dataset.size, 0)):
        images.append(_small(visible(one, one)))
        mark = " again" * (groups[at] in groups[:at])
        word = " ".join(line["answers"][at].split())
        words.append(shortened(word, font, SIDE - length(font, mark)) + mark)
    return images, words


def _small(pixels: Pixels) -> Image.Image:
    image = Image.fromarray(enlarged(pixels, SIDE))
    if len(pixels) == 1:
        return image.resize((SIDE, STRIPE))
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return image
