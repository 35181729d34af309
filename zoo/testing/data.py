"""Checks of data sources, at the parameters given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zoo.components import Component
from zoo.data.sources import ArrayImages, SourceData, SourceSplit


def _needs_a_place(component: Component[Any]) -> bool:
    """Return whether the source reads from a path where these parameters leave nothing to read; then only its spec is checked."""
    path = getattr(component.params, "path", None)
    return path is not None and not (path and Path(path).exists())


def _groups(split: SourceSplit) -> NDArray[np.int64]:
    return np.arange(len(split.images)) if split.groups is None else split.groups


def check_returns_source_data(component: Component[Any]) -> None:
    """With a place to read from, it returns zoo.SourceData with a train split and two classes or more."""
    if _needs_a_place(component):
        return
    data = component.build()
    assert isinstance(data, SourceData), f"the factory must return zoo.SourceData, got {type(data).__name__} instead"
    assert "train" in data.splits, "there is no train split"
    assert len(data.classes) >= 2, f"there are {len(data.classes)} classes, must be two or more"


def check_repeats(component: Component[Any]) -> None:
    """Two readings give the same images in the same order."""
    if _needs_a_place(component):
        return
    first, second = component.build(), component.build()
    assert first.classes == second.classes and list(first.splits) == list(second.splits), "classes or splits differ"
    for name, split in first.splits.items():
        other = second.splits[name]
        assert np.array_equal(split.labels, other.labels), f"labels of {name} differ between two readings"
        assert np.array_equal(_groups(split), _groups(other)), f"groups of {name} differ between two readings"
        if isinstance(split.images, ArrayImages):
            assert np.array_equal(split.images.data, other.images.data), f"images of {name} differ between two readings"
        else:
            assert split.images.paths == other.images.paths, f"files of {name} differ between two readings"


CHECKS = [check_returns_source_data, check_repeats]
