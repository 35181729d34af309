"""The test images that only one family gets right, as small pictures, read through the data of one of the runs."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from zoo.data.dataset import Dataset
from zoo.data.sheet import CELL, enlarged, visible
from zoo.errors import DataError, ZooError
from zoo.plugins import Catalog
from zoo.training.reading import prepare_data
from zoo.training.run import Run, stored_recipe


@dataclass(frozen=True)
class Pictures:
    """Pictures as data: URIs by sample; where there are none, `missing` says why."""

    by_sample: dict[int, str]
    missing: str | None = None


def pictures(runs: Iterable[str], samples: Sequence[int], catalog: Catalog) -> Pictures:
    """Return pictures of test samples, from the data of the first of the runs that has it still."""
    missing = None
    for path in runs if samples else ():
        try:
            return Pictures(_read(Run(Path(path)), samples, catalog))
        except ZooError as error:
            missing = missing or error.problem
    return Pictures({}, missing)


def _read(run: Run, samples: Sequence[int], catalog: Catalog) -> dict[int, str]:
    dataset = _own_data(run, catalog)
    test = dataset.splits["test"]
    chosen = np.flatnonzero(np.isin(test.samples, samples))
    few = test.part(chosen)
    pixels = few.pixels(dataset.size, 0)
    return {int(sample): uri(visible(one, one)) for sample, one in zip(few.samples, pixels, strict=True)}


def _own_data(run: Run, catalog: Catalog) -> Dataset:
    """Return the data of a run. Raises ZooError where it is not there, or not what was trained on any more."""
    manifest = run.manifest
    dataset = prepare_data(stored_recipe(run, catalog))
    if dataset.fingerprint != manifest["environment"]["data"] or "test" not in dataset.splits:
        raise DataError(f"the data of {run.path} is not what it was trained on any more")
    return dataset


def uri(pixels: NDArray[np.uint8]) -> str:
    """Return an image uint8 `(H, W, 3)` as the data: URI of a PNG: small ones with every pixel repeated, large ones reduced."""
    image = Image.fromarray(enlarged(pixels))
    if max(pixels.shape) > CELL:
        image.thumbnail((CELL, CELL), Image.Resampling.LANCZOS)
    grey = bool((pixels == pixels[:, :, :1]).all())
    buffer = io.BytesIO()
    (image.convert("L") if grey else image).save(buffer, "PNG", optimize=True)
    return data_uri("png", buffer.getvalue())


def data_uri(kind: str, picture: bytes) -> str:
    """Return a picture's file, of kind `png` or `jpeg`, as a data: URI."""
    return f"data:image/{kind};base64,{base64.b64encode(picture).decode('ascii')}"
