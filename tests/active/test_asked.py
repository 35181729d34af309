"""The picture of what a simulation has asked for."""

from __future__ import annotations

import base64
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from fixtures import benches
from fixtures.benches import lines, recipe
from numpy.typing import NDArray
from PIL import Image, ImageFont

import zoo
from zoo.active.asked import IMAGES, LETTER, PICTURE, SIDE, _shown, keep_picture, sheet
from zoo.active.journal import CURVE, QUERIES, Journal
from zoo.active.material import Material, gather
from zoo.data.dataset import Split
from zoo.data.sheet import GAP, MARGIN, STRIPE
from zoo.data.sources import ArrayImages, FileImages

FONT = ImageFont.load_default(LETTER)


def drawn(queries: list[dict[str, Any]], material: Material, counted: int = 0) -> NDArray[np.uint8]:
    """Return the picture of these queries, where `counted` labels of validation are answers, too."""
    counts = np.cumsum([len(line["ids"]) for line in queries]) + counted
    return np.asarray(Image.open(io.BytesIO(sheet(queries, [{"answers": n} for n in counts.tolist()], material))))


def asked(*batches: list[int], material: Material) -> list[dict[str, Any]]:
    """Return lines of `queries.jsonl` that ask for these rows."""
    names = material.dataset.classes
    return [
        {
            "round": number,
            "ids": [material.ids[row] for row in rows],
            "answers": [names[material.labels[row]] for row in rows],
        }
        for number, rows in enumerate(batches)
    ]


def test_images_stand_in_the_order_in_which_they_were_asked() -> None:
    """Digits of 8×8 pixels, each pixel eight times: a JPEG of them is off by a little."""
    material = gather(recipe())
    batches = [[5, 9], [7, 3], [1, 8, 2]]
    picture = drawn(asked([0], *batches, material=material), material)
    pixels = material.dataset.splits["train"].pixels((8, 8), 0)[:, 0]
    height, width = (picture.shape[0] - 2 * MARGIN) // 3, SIDE + GAP
    left = picture.shape[1] - MARGIN - 3 * width
    for number, rows in enumerate(batches):
        for column, row in enumerate(rows):
            top, side = MARGIN + number * height, left + column * width
            part = picture[top : top + SIDE, side : side + SIDE].mean(axis=2)
            assert np.abs(part - pixels[row].repeat(8, 0).repeat(8, 1)).mean() < 5


def test_of_many_rounds_the_first_and_the_last_are_among_those_shown() -> None:
    material = gather(recipe())
    many = asked(*[[row] for row in range(40)], material=material)
    few = asked([0], *[[row] for row in (1, 9, 16, 24, 31, 39)], material=material)
    side = -(MARGIN + GAP + SIDE)  # right of the numbers of answers, which are others
    one, other = (drawn(each, material)[:, side:].astype(int) for each in (many, few))
    assert one.shape == other.shape and np.abs(one - other).mean() < 3
    assert np.abs(one - other[::-1]).mean() > 20
    wide = asked([0], list(range(1, 30)), material=material)
    assert len(_shown(wide[1], material, FONT)[0]) == IMAGES


def test_copies_in_a_batch_are_marked_and_answers_are_told() -> None:
    material = gather(recipe("data.train_size=null", "data.times=2", "data.validation=0", data="replicas"))
    count = len(material.ids) // 2
    _, words = _shown(asked([0], [4, 9, 4 + count, 9 + count, 5], material=material)[1], material, FONT)
    names = [material.dataset.classes[material.labels[row]] for row in (4, 9, 4, 9, 5)]
    assert words == [names[0], names[1], f"{names[2]} again", f"{names[3]} again", names[4]]


def test_long_names_are_shortened_and_the_mark_is_not() -> None:
    material = gather(recipe("data.train_size=null", "data.times=2", "data.validation=0", data="replicas"))
    line = asked([0], [4, 4 + len(material.ids) // 2], material=material)[1]
    _, words = _shown({**line, "answers": ["ankle boots\nof leather"] * 2}, material, FONT)
    assert words[0].startswith("ankle ") and words[1].startswith("ank") and words[1].endswith("… again")
    assert all("\n" not in word and FONT.getlength(word) <= SIDE for word in words)


def test_answers_are_counted_as_the_curve_counts_them() -> None:
    material = gather(recipe())
    queries = asked([0], [1, 2], material=material)
    plain, counted = drawn(queries, material), drawn(queries, material, counted=10_000)
    assert counted.shape[1] > plain.shape[1] and counted.shape[0] == plain.shape[0]


def test_a_signal_is_a_stripe() -> None:
    material = benches.of_labels(np.array([0, 1]))
    images = ArrayImages(np.tile(np.arange(400, dtype=np.float32), (2, 1, 1, 1)))
    train = replace(material.dataset.splits["train"], images=images)
    dataset = replace(material.dataset, splits={"train": train}, size=(1, 400))
    (image,), _ = _shown({"ids": ["00001"], "answers": ["class 1"]}, replace(material, dataset=dataset), FONT)
    assert image.size == (SIDE, STRIPE)


def test_what_cannot_be_drawn_and_what_asked_for_nothing_has_no_picture(tmp_path: Path) -> None:
    material, journal = gather(recipe()), Journal(zoo.Run(tmp_path))
    first, second = asked([0], [1, 2], material=material)
    journal.add(QUERIES, first)
    journal.add(CURVE, {"answers": 1})
    keep_picture(journal, material)
    assert not (tmp_path / PICTURE).exists()
    journal.add(QUERIES, second)
    missing = FileImages(Path("nowhere"), tuple(f"{name}.png" for name in material.ids), 1)
    train = Split("train", missing, np.arange(200), material.labels)
    keep_picture(journal, replace(material, dataset=replace(material.dataset, splits={"train": train})))
    assert not (tmp_path / PICTURE).exists()
    keep_picture(journal, material)
    assert (tmp_path / PICTURE).exists()


def test_a_finished_simulation_has_it_and_the_report_shows_that_of_the_first_seed(tmp_path: Path) -> None:
    plain = ("active.steps=2", "active.rounds=1", *benches.TINY[:3], *benches.NET)
    zoo.simulate("conv-net-momentum", "active.strategies=[margin]", *plain, run=tmp_path / "al", seeds=2, device="cpu")
    material, html = gather(recipe()), (tmp_path / "al/report.html").read_text()
    for name in ("margin-0", "margin-1", "random-0"):
        run = zoo.Run(tmp_path / "al" / name)
        picture = (run.path / PICTURE).read_bytes()
        assert picture == sheet(lines(run), lines(run, "curve.jsonl"), material)
        assert (base64.b64encode(picture).decode() in html) == (name != "margin-1")
    assert "margin</span>, seed 0</summary>" in html
