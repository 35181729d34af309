"""What a path given to `--data` is, told by looking at it; the standard library suffices."""

from __future__ import annotations

import zipfile
from pathlib import Path

from zoo.data.formats import HEAD, image_format, is_hidden

SPLIT_NAMES = {"train": "train", "val": "validation", "validation": "validation", "valid": "validation", "test": "test"}

# A file that torchvision's dataset of this name cannot do without, below its root folder.
TORCHVISION_FILES = {
    "MNIST": "MNIST/raw/train-images-idx3-ubyte",
    "FashionMNIST": "FashionMNIST/raw/train-images-idx3-ubyte",
    "KMNIST": "KMNIST/raw/train-images-idx3-ubyte",
    "CIFAR10": "cifar-10-batches-py/data_batch_1",
    "CIFAR100": "cifar-100-python/train",
    "SVHN": "train_32x32.mat",
}


def folder(path: Path) -> str | None:
    """Return why the folder source reads this path, or None."""
    if not path.is_dir() or torchvision_names(path):
        return None
    splits = split_folders(path)
    if "train" in splits:
        return f"a folder with {', '.join(f'{folders[0].name}/' for folders in splits.values())} of class folders"
    classes = subfolders(path)
    if classes:
        return f"a folder of {len(classes)} class folders"
    files = [entry for entry in path.iterdir() if entry.is_file() and not is_hidden(entry.name)]
    return None if files and not any(map(_has_image_content, files)) else "a folder"


def npz(path: Path) -> str | None:
    """Return why the npz source reads this path, or None."""
    if not path.is_file() or not zipfile.is_zipfile(path):
        return None
    with zipfile.ZipFile(path) as archive:
        names = [name.removesuffix(".npy") for name in archive.namelist() if name.endswith(".npy")]
    return f"an npz file with {', '.join(names[:6])}" if names else None


def torchvision(path: Path) -> str | None:
    """Return why the torchvision source reads this path, or None."""
    names = torchvision_names(path)
    return f"torchvision's folder of {', '.join(names)}" if names else None


def torchvision_names(path: Path) -> list[str]:
    """Return the datasets of torchvision whose files are below this root folder, packed or unpacked."""
    return [
        name for name, file in TORCHVISION_FILES.items() if (path / file).is_file() or (path / f"{file}.gz").is_file()
    ]


def subfolders(path: Path) -> list[Path]:
    """Return the folders in a folder, hidden ones left out."""
    return sorted(entry for entry in path.iterdir() if entry.is_dir() and not is_hidden(entry.name))


def split_folders(path: Path) -> dict[str, list[Path]]:
    """Return the folders of each split that is there.

    A folder called train without folders in it is a class (of vehicles, say), not a split.
    """
    found: dict[str, list[Path]] = {}
    for entry in subfolders(path):
        split = SPLIT_NAMES.get(entry.name.lower())
        if split and subfolders(entry):
            found.setdefault(split, []).append(entry)
    return {split: found[split] for split in ("train", "validation", "test") if split in found}


def _has_image_content(path: Path) -> bool:
    with path.open("rb") as file:
        return image_format(file.read(HEAD)) is not None
