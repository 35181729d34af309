"""Image files in class folders."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from zoo.data.formats import is_hidden, is_image
from zoo.data.sources import FileImages, SourceData, SourceSplit, canonical
from zoo.errors import DataError
from zoo_data_sources.plugin import Folder
from zoo_data_sources.recognize import split_folders, subfolders


def build(params: Folder) -> SourceData:
    """Return the files of each split; the class names are the folder names in train, in NFC and sorted.

    Raises DataError for a folder that is missing, empty or not of this form, a class folder without images, and classes of
    another split that train does not have.
    """
    if not params.path:
        raise DataError("the folder source needs a path", hint="data.path=FOLDER")
    root = Path(params.path).expanduser()
    try:
        if not root.is_dir():
            raise DataError(f"there is no folder {root}", hint="data.path=FOLDER, relative to the current folder")
        return _read(root, params.channels)
    except OSError as error:
        raise DataError(f"cannot read {error.filename or root}: {error.strerror}") from error


def _read(root: Path, channels: int) -> SourceData:
    folders = split_folders(root) or {"train": [root]}
    if "train" not in folders:
        there = ", ".join(f"{place.name}/" for places in folders.values() for place in places)
        raise DataError(
            f"{root} has {there} and no train/ folder of class folders", possible="train/, validation/ and test/"
        )
    splits: dict[str, dict[str, list[str]]] = {}
    for name, places in folders.items():
        if len(places) > 1:
            raise DataError(
                f"{root} has more than one {name} folder: {', '.join(place.name for place in places)}",
                possible="one of them",
            )
        splits[name] = _class_files(root, places[0])
    classes = tuple(sorted(splits["train"]))
    for name, found in splits.items():
        extra = sorted(set(found) - set(classes))
        if extra:
            raise DataError(
                f"{folders[name][0]} has classes that train does not have: {', '.join(map(repr, extra))}",
                possible=", ".join(classes),
                hint=f"rename or remove these folders, or add them to {folders['train'][0]}",
            )
    return SourceData(classes, {name: _split(root, found, classes, channels) for name, found in splits.items()})


def _class_files(root: Path, place: Path) -> dict[str, list[str]]:
    """Return for each class folder of a split its image files, as paths relative to the root."""
    folders = subfolders(place)
    if not folders:
        raise DataError(f"{place} has no class folders", possible="one folder per class with its images in it")
    found: dict[str, list[str]] = {}
    for folder in folders:
        files = [path.relative_to(root).as_posix() for path in _images(folder)]
        if not files:
            raise DataError(f"class folder {folder} has no images", hint="add images to it, or remove it")
        found.setdefault(unicodedata.normalize("NFC", folder.name), []).extend(files)
    return found


def _images(folder: Path) -> Iterator[Path]:
    """Yield the images at any depth; a folder that links lead to twice is read once."""
    visited: set[tuple[int, int]] = set()
    for place, names, files in os.walk(folder, onerror=_raise, followlinks=True):
        status = os.stat(place)  # noqa: PTH116  # os.walk gives strings
        if (status.st_dev, status.st_ino) in visited:
            names.clear()
            continue
        visited.add((status.st_dev, status.st_ino))
        names[:] = [name for name in names if not is_hidden(name)]
        for name in files:
            path = Path(place, name)
            if not is_hidden(name) and path.is_file() and is_image(path):
                yield path


def _raise(error: OSError) -> None:
    raise error


def _split(root: Path, found: dict[str, list[str]], classes: tuple[str, ...], channels: int) -> SourceSplit:
    labels = {path: classes.index(name) for name, paths in found.items() for path in paths}
    paths = canonical(labels)
    return SourceSplit(FileImages(root, paths, channels), np.array([labels[path] for path in paths], dtype=np.int64))
