from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import zoo
from zoo.plugins import load_catalog
from zoo.report.pictures import pictures, uri
from zoo.training.reading import prepare_data
from zoo.training.run import stored_recipe

SMALL = ("architecture.hidden=8", "training.epochs=1", "data.train_size=50", "training.threads=1")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> zoo.Run:
    return zoo.train("irnn-adam", *SMALL, data="digits", run=tmp_path_factory.mktemp("runs") / "digits")


def decoded(address: str) -> NDArray[np.uint8]:
    head, _, body = address.partition(",")
    assert head == "data:image/png;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(body))))


def test_small_images_are_enlarged_by_repeating_pixels() -> None:
    pixels = np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3)
    found = decoded(uri(pixels))
    assert found.shape == (112, 112, 3)
    assert np.array_equal(found, pixels.repeat(14, 0).repeat(14, 1))


def test_images_of_32_pixels_are_not_smoothed_either() -> None:
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[::2] = 255
    assert set(np.unique(decoded(uri(pixels)))) == {0, 255}


def test_large_images_are_reduced_and_grey_ones_have_one_channel() -> None:
    assert decoded(uri(np.full((224, 448, 3), 77, np.uint8))).shape == (56, 112)


def test_pictures_are_those_of_the_samples_that_are_asked_for(run: zoo.Run) -> None:
    catalog = load_catalog()
    test = prepare_data(stored_recipe(run, catalog)).splits["test"]
    wanted = test.samples[[5, 2]].tolist()
    found = pictures([str(run.path)], wanted, catalog)
    assert found.missing is None
    assert set(found.by_sample) == set(wanted)
    eight = test.images.data[wanted[0]]
    assert np.array_equal(decoded(found.by_sample[wanted[0]]), eight[0].repeat(14, 0).repeat(14, 1))


def test_a_run_that_is_gone_is_passed_over_and_named_where_none_is_left(run: zoo.Run) -> None:
    catalog = load_catalog()
    assert pictures(["gone", str(run.path)], [0, 1, 2, 3, 4, 5, 6], catalog).missing is None
    missing = pictures(["gone"], [0], catalog)
    assert missing.by_sample == {}
    assert missing.missing == "gone is not a run: it has no manifest.json"


def test_without_samples_no_data_is_read() -> None:
    assert pictures(["gone"], [], load_catalog()).missing is None
