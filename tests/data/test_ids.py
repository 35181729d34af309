from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from zoo.data.dataset import Split
from zoo.data.ids import content_ids, image_ids
from zoo.data.sources import ArrayImages, FileImages
from zoo.errors import ImageError


def test_ids_follow_content_and_repeats_are_numbered_in_canonical_order() -> None:
    pixels = np.zeros((5, 1, 2, 3), dtype=np.uint8)
    pixels[1] = 7
    pixels[3] = 9
    ids = image_ids(ArrayImages(pixels))
    assert ids[2] == f"{ids[0]}#2" and ids[4] == f"{ids[0]}#3"
    assert len(set(ids)) == 5 and len(ids[1]) == 32
    assert image_ids(ArrayImages(pixels[[3, 1]])) == [ids[3], ids[1]]
    split = Split("train", ArrayImages(pixels), np.array([4, 1]), np.array([0, 1]))
    assert content_ids(split) == [ids[4], ids[1]]


def test_shape_and_type_are_part_of_an_arrays_content() -> None:
    flat = np.zeros((1, 1, 2, 6), dtype=np.uint8)
    forms = (
        flat,
        flat.reshape(1, 1, 3, 4),
        flat.reshape(1, 3, 2, 2),
        flat.reshape(1, 1, 2, 6)[..., :3].astype(np.float32),
    )
    assert len({image_ids(ArrayImages(form))[0] for form in forms}) == 4


def test_a_file_keeps_its_id_when_it_moves_and_gets_another_when_it_changes(photos: Path) -> None:
    name = "train/digit 0/00.png"
    before = image_ids(FileImages(photos, (name, "test/digit 1/16.png")))
    shutil.copy(photos / name, photos / "copy.png")
    assert image_ids(FileImages(photos, ("copy.png",))) == before[:1]
    with (photos / "copy.png").open("ab") as file:
        file.write(b"\0")
    assert image_ids(FileImages(photos, ("copy.png",))) != before[:1]
    with pytest.raises(ImageError, match=r"absent.png"):
        image_ids(FileImages(photos, ("absent.png",)))
