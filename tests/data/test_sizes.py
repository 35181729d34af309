from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from zoo.data.sizes import choose_size, resize
from zoo.data.sources import ArrayImages, FileImages, Images
from zoo.errors import DataError

FILES = FileImages(Path(), ("a.png",))


def arrays(height: int, width: int) -> ArrayImages:
    return ArrayImages(np.zeros((1, 1, height, width), dtype=np.uint8))


@pytest.mark.parametrize(
    ("images", "asked", "min_size", "preferred", "expected", "why"),
    [
        (arrays(28, 28), "auto", 1, None, (28, 28), "their own size"),
        (arrays(28, 28), "auto", 1, 224, (28, 28), "their own size"),
        (arrays(8, 8), "auto", 32, None, (32, 32), "raised from 8×8 to the minimum of net"),
        (arrays(20, 40), "auto", 32, None, (32, 64), "raised from 20×40"),
        (arrays(8, 8), 16, 1, None, (16, 16), "as asked"),
        (FILES, "auto", 1, None, (64, 64), "the default for files"),
        (FILES, "auto", 1, 224, (224, 224), "the preferred size of net"),
        (FILES, "auto", 96, None, (96, 96), "the minimum of net"),
        (FILES, 48, 32, 224, (48, 48), "as asked"),
        (arrays(1, 300), "auto", 1, None, (1, 300), "signals of 300 values"),
    ],
)
def test_the_rule_of_sizes(
    images: Images, asked: object, min_size: int, preferred: int | None, expected: tuple[int, int], why: str
) -> None:
    size, note = choose_size(images, asked, min_size=min_size, preferred_size=preferred, architecture="net")  # type: ignore[arg-type]
    assert size == expected
    assert why in note


def test_a_size_below_the_minimum_names_architecture_and_minimum() -> None:
    with pytest.raises(DataError, match=r"16 px is too small: architecture 'net' needs at least 32 px") as caught:
        choose_size(FILES, 16, min_size=32, preferred_size=None, architecture="net")
    assert caught.value.hint == "data.image_size=32"


def test_signals_have_no_image_size() -> None:
    with pytest.raises(DataError, match="does not apply to signals"):
        choose_size(arrays(1, 50), 32, min_size=1, preferred_size=None, architecture="net")
    with pytest.raises(DataError, match="signals are one pixel high"):
        choose_size(arrays(1, 50), "auto", min_size=4, preferred_size=None, architecture="net")


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
def test_arrays_are_resized_with_antialiasing_about_their_centre(dtype: type) -> None:
    stripes = np.zeros((2, 1, 32, 64), dtype=dtype)
    stripes[..., ::2] = 200
    small = resize(stripes, (4, 4))
    assert small.shape == (2, 1, 4, 4) and small.dtype == dtype
    assert np.abs(small.astype(float) - 100).max() < 10
    middle = np.zeros((1, 1, 10, 20), dtype=dtype)
    middle[..., 5:15] = 90
    assert (resize(middle, (10, 10)) == 90).all()
    assert resize(middle, (24, 16)).shape == (1, 1, 24, 16)
