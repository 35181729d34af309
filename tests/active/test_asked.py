"""The picture of what a simulation has asked for."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from fixtures import benches
from fixtures.benches import lines, recipe
from numpy.typing import NDArray
from PIL import Image

import zoo
from zoo.active.asked import IMAGES, SHEET, SIDE, _shown, sheet
from zoo.active.material import Material, gather
from zoo.data.sheet import GAP, MARGIN


def drawn(queries: list[dict[str, object]], material: Material) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(sheet(queries, material))))


def asked(*batches: list[int], material: Material) -> list[dict[str, object]]:
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
    assert len(_shown(wide[1], material)[0]) == IMAGES


def test_copies_in_a_batch_are_marked_and_answers_are_told() -> None:
    material = gather(recipe("data.train_size=null", "data.times=2", "data.validation=0", data="replicas"))
    count = len(material.ids) // 2
    _, words = _shown(asked([0], [4, 9, 4 + count, 9 + count, 5], material=material)[1], material)
    names = [material.dataset.classes[material.labels[row]] for row in (4, 9, 4, 9, 5)]
    assert words == [names[0], names[1], f"{names[2]} again", f"{names[3]} again", names[4]]


def test_nothing_was_asked_yet() -> None:
    material = gather(recipe())
    assert set(np.unique(drawn(asked([0, 1], material=material), material))) == {255}


def test_a_finished_simulation_has_it_and_the_report_shows_that_of_the_first_seed(tmp_path: Path) -> None:
    plain = ("active.steps=2", "active.rounds=1", *benches.TINY[:3], *benches.NET)
    zoo.simulate("conv-net-momentum", "active.strategies=[margin]", *plain, run=tmp_path / "al", seeds=2, device="cpu")
    material = gather(recipe())
    for name in ("margin-0", "margin-1", "random-0"):
        run = zoo.Run(tmp_path / "al" / name)
        assert (run.path / SHEET).read_bytes() == sheet(lines(run), material)
    html = (tmp_path / "al/report.html").read_text()
    assert html.count("data:image/jpeg;base64,") == 2 and "images that margin asked for" in html
