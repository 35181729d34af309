from __future__ import annotations

import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch

from zoo.data.sources import ArrayImages, FileImages, SourceData, SourceSplit, canonical

LABELS = np.array([0, 1])
PIXELS = np.zeros((2, 1, 4, 4), dtype=np.uint8)


def test_canonical_order_is_that_of_nfc_names() -> None:
    composed, decomposed = (unicodedata.normalize(form, "é/1.png") for form in ("NFC", "NFD"))
    others = ("f/1.png", "z/1.png", "ê/1.png")
    assert canonical((composed, *others)).index(composed) == canonical((decomposed, *others)).index(decomposed) == 2


def test_arrays_become_contiguous_and_writeable_without_changing_the_callers() -> None:
    frozen = np.zeros((2, 4, 4, 1), dtype=np.uint8).transpose(0, 3, 1, 2)[:, :, ::2]
    frozen.flags.writeable = False
    images = ArrayImages(frozen)
    torch.from_numpy(images.data)
    assert images.size == (2, 4) and images.channels == 1 and len(images) == 2
    assert not frozen.flags.writeable


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ArrayImages(np.zeros((2, 4, 4), dtype=np.uint8)), "needs uint8 or float32"),
        (lambda: ArrayImages(np.zeros((2, 1, 4, 4))), "needs uint8 or float32"),
        (lambda: FileImages(Path(), ("a",), 2), "1 or 3 channels"),
        (lambda: SourceSplit(ArrayImages(PIXELS), LABELS[:1]), "labels must be int64"),
        (lambda: SourceSplit(ArrayImages(PIXELS), LABELS, LABELS[:1]), "groups must be int64"),
        (lambda: SourceSplit(ArrayImages(PIXELS), LABELS, LABELS.astype(np.int32)), "groups must be int64"),  # type: ignore[arg-type]
        (lambda: SourceData(("a",), {"train": SourceSplit(ArrayImages(PIXELS), LABELS)}), "labels of train"),
        (lambda: SourceData(("a", "a"), {"train": SourceSplit(ArrayImages(PIXELS), LABELS)}), "distinct"),
        (lambda: SourceData(("a", "b"), {"val": SourceSplit(ArrayImages(PIXELS), LABELS)}), "splits must be among"),
        (lambda: SourceData(("a", "b"), {}), "splits must be among"),
    ],
)
def test_a_source_that_breaks_the_contract_is_told(build: object, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        build()  # type: ignore[operator]
