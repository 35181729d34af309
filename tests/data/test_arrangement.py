from __future__ import annotations

from typing import get_args

import pytest
import torch

import zoo
from zoo.augmentation import Arrangement
from zoo.data.arrangement import REACH, arrange, permutation
from zoo.data.augment import Preprocess
from zoo.errors import DataError
from zoo.training.randomness import Draws


def images(n: int = 6, height: int = 14, width: int = 14, dtype: torch.dtype = torch.uint8) -> torch.Tensor:
    values = torch.arange(n * 2 * height * width).view(n, 2, height, width) * 7 % 251
    return (values + 1).to(dtype)


@pytest.mark.parametrize("name", ["permute-pixels", "permute-rows", "permute-columns"])
def test_a_permutation_is_the_same_for_every_image_channel_and_batch(name: Arrangement) -> None:
    whole = images()
    arranged = arrange(whole, name)
    assert arranged.dtype == whole.dtype and not torch.equal(arranged, whole)
    assert torch.equal(torch.cat([arrange(whole[:2], name), arrange(whole[2:], name)]), arranged)
    assert torch.equal(arrange(whole[:, :1], name), arranged[:, :1])
    assert torch.equal(arranged.flatten(2).sort(2).values, whole.flatten(2).sort(2).values)


def test_rows_and_columns_move_as_wholes() -> None:
    whole = images()
    assert torch.equal(arrange(whole, "permute-rows"), whole[:, :, permutation("permute-rows", 14)])
    assert torch.equal(arrange(whole, "permute-columns"), whole[..., permutation("permute-columns", 14)])
    assert torch.equal(torch.sort(permutation("permute-rows", 14)).values, torch.arange(14))


def test_transposed_twice_is_the_image() -> None:
    assert torch.equal(arrange(arrange(images(), "transpose"), "transpose"), images())
    with pytest.raises(DataError, match="14×10"):
        arrange(images(width=10), "transpose")


def test_a_translation_is_by_whole_pixels_of_the_image_alone() -> None:
    whole = images(60)
    moved = arrange(whole, "translate")
    assert torch.equal(moved, torch.cat([arrange(part, "translate") for part in whole.split(7)]))
    reach, offsets = round(REACH * 14), []
    for before, after in zip(whole, moved, strict=True):
        # No pixel of the image is 0, so that what is filled up shows the offset.
        rows, columns = ((after > 0).any(0).any(axis) for axis in (1, 0))
        inside = [torch.nonzero(side).flatten() for side in (rows, columns)]
        down, right = (int(where[0]) if where[0] > 0 else int(where[-1]) - 13 for where in inside)
        offsets.append((down, right))
        source = before[:, max(0, -down) : 14 - max(0, down), max(0, -right) : 14 - max(0, right)]
        assert torch.equal(after[:, rows][:, :, columns], source)
    assert {axis for pair in offsets for axis in pair} == set(range(-reach, reach + 1))


@pytest.mark.parametrize("name", get_args(Arrangement))
def test_training_and_every_test_see_the_same_places(name: Arrangement) -> None:
    plain, arranged = Preprocess((0.0,) * 2, (1.0,) * 2), Preprocess((0.0,) * 2, (1.0,) * 2, arrangement=name)
    for dtype in (torch.uint8, torch.float32):
        whole = images(dtype=dtype)
        expected = plain.evaluate(arrange(whole, name))
        assert torch.equal(arranged.evaluate(whole), expected)
        assert torch.equal(arranged.train(whole, Draws(0, 0, torch.arange(6))), expected)


def test_a_run_keeps_its_arrangement_and_one_without_can_be_tested_under_it() -> None:
    tiny = ("training.steps=60", "training.epochs=null", "training.threads=1", "training.early_stopping=null")
    arranged = zoo.train("conv-net-momentum", *tiny, "data.arrangement=permute-columns", run="arranged")
    plain = zoo.train("conv-net-momentum", *tiny, run="plain")
    learnt = zoo.evaluate(arranged)["accuracy"]
    assert learnt == pytest.approx((arranged.summary or {})["test"]["accuracy"])
    under = zoo.evaluate(plain, arrangement="permute-columns")
    assert under["arrangement"] == "permute-columns" and under["accuracy"] < learnt - 0.2
    assert plain.predictions("test-permute-columns").exists()
    assert "--arrangement permute-columns" in (plain.path / "ledger.jsonl").read_text()
    with pytest.raises(zoo.ZooError, match=r"was trained with data\.arrangement permute-columns already"):
        zoo.evaluate(arranged, arrangement="transpose")


def test_crops_that_are_cut_from_files_come_before_and_are_refused() -> None:
    with pytest.raises(DataError, match="random crops are cut as files are decoded"):
        Preprocess((0.0,), (1.0,), cropped=True, arrangement="transpose")
