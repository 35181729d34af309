from __future__ import annotations

from hashlib import sha256

import numpy as np
import pytest
from numpy.typing import NDArray

from zoo.data.measures import fingerprint, statistics_float32, statistics_uint8
from zoo.data.sources import ArrayImages, SourceData, SourceSplit
from zoo.errors import DataError

IMAGES = np.random.default_rng(0).integers(0, 200, (50, 3, 6, 7), dtype=np.uint8)


def test_mean_and_deviation_are_those_of_numpy_and_exact_for_any_chunking() -> None:
    scaled = IMAGES.astype(np.float64) / 255
    mean, std = statistics_uint8([IMAGES], 3)
    assert mean == pytest.approx(scaled.mean(axis=(0, 2, 3)), rel=1e-12)
    assert std == pytest.approx(scaled.std(axis=(0, 2, 3)), rel=1e-12)
    assert statistics_uint8([IMAGES[:7], IMAGES[7:8], IMAGES[8:]], 3) == (mean, std)


def test_floats_are_measured_in_their_own_units() -> None:
    images = (IMAGES.astype(np.float32) - 90) * 1e3
    mean, std = statistics_float32(images)
    assert mean == pytest.approx(images.mean(axis=(0, 2, 3), dtype=np.float64), rel=1e-9)
    assert std == pytest.approx(images.std(axis=(0, 2, 3), dtype=np.float64), rel=1e-9)
    images[3, 1, 2, 2] = np.nan
    with pytest.raises(DataError, match="not finite"):
        statistics_float32(images)


def test_a_constant_channel_has_deviation_1() -> None:
    images = IMAGES.copy()
    images[:, 1] = 77
    assert statistics_uint8([images], 3)[1][1] == 1.0
    assert statistics_float32(np.full((5, 1, 3, 3), 0.1, dtype=np.float32))[1] == (1.0,)


def test_the_fingerprint_changes_with_pixels_labels_names_and_splits() -> None:
    labels = np.arange(50) % 2

    def of(images: np.ndarray = IMAGES, classes: tuple[str, ...] = ("a", "b"), keep: int = 50, shift: int = 0) -> str:
        given = (labels + shift) % 2
        data = SourceData(classes, {"train": SourceSplit(ArrayImages(images), given)})
        return fingerprint(data, classes, {"train": (np.arange(keep), given[:keep])})

    changed = IMAGES.copy()
    changed[9, 0, 0, 0] ^= 1
    prints = [of(), of(changed), of(classes=("a", "c")), of(keep=49), of(shift=1)]
    assert of() == prints[0]
    assert len(set(prints)) == 5


def test_groups_change_the_fingerprint_and_none_leave_it_as_it_was() -> None:
    labels, chosen = np.arange(50) % 2, {"train": (np.arange(50), np.arange(50) % 2)}

    def of(groups: NDArray[np.int64] | None) -> str:
        data = SourceData(("a", "b"), {"train": SourceSplit(ArrayImages(IMAGES), labels, groups)})
        return fingerprint(data, ("a", "b"), chosen)

    digest = sha256(repr((("a", "b"), [("train", 50)])).encode())
    for array in chosen["train"]:
        digest.update(array.astype("<i8").tobytes())
    digest.update(f"train|u1{IMAGES.shape}".encode() + IMAGES.tobytes())
    assert of(None) == digest.hexdigest()
    prints = {of(None), of(np.arange(50)), of(np.arange(50) // 2)}
    assert len(prints) == 3 and of(np.arange(50)) in prints
