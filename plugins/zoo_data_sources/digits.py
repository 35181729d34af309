"""The 8×8 digits of scikit-learn, a copy of the test set of the UCI ML optical recognition of handwritten digits data."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits

from zoo.components import NoParams
from zoo.data.sources import ArrayImages, SourceData, SourceSplit
from zoo.data.splits import cut


def build(params: NoParams) -> SourceData:  # every factory takes its parameters
    """Return uint8 `(N, 1, 8, 8)` in a fixed stratified split of 60, 20 and 20 percent."""
    data = load_digits()
    # The values are 0 … 16.
    images = np.floor(data.images[:, None] * (255 / 16) + 0.5).astype(np.uint8)
    labels = data.target.astype(np.int64)
    samples = np.arange(len(labels))
    test = cut(labels, samples, 0.2, seed=0, name="digits/test")
    rest = samples[~test]
    validation = np.zeros_like(test)
    validation[rest] = cut(labels[rest], rest, 0.25, seed=0, name="digits/validation")
    masks = {"train": ~(test | validation), "validation": validation, "test": test}
    return SourceData(
        classes=tuple(str(name) for name in data.target_names),
        splits={name: SourceSplit(ArrayImages(images[mask]), labels[mask]) for name, mask in masks.items()},
    )
