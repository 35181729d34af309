"""What this plugin announces; the factories are imported when a source is first used."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from msgspec import Meta

from zoo.components import DataSourceSpec, Params
from zoo.hookspecs import hookimpl

TorchvisionName = Literal["MNIST", "FashionMNIST", "KMNIST", "CIFAR10", "CIFAR100", "SVHN"]


class Folder(Params, frozen=True, kw_only=True):
    """A folder of class folders, or one with train, val|validation|valid and test folders of class folders."""

    path: Annotated[str, Meta(description="the folder")] = ""
    channels: Annotated[Literal[3, 1], Meta(description="3: colour, 1: grey")] = 3


class Npz(Params, frozen=True, kw_only=True):
    """A file with x_train, y_train and, where it has them, x_val, y_val, x_test, y_test and class_names."""

    path: Annotated[str, Meta(description="the .npz file")] = ""


class Torchvision(Params, frozen=True, kw_only=True):
    """A dataset of torchvision in its usual layout on disk."""

    path: Annotated[str, Meta(description="torchvision's root folder")] = "data"
    dataset: Annotated[
        Literal["auto"] | TorchvisionName, Meta(description="auto: the one that the root folder holds")
    ] = "auto"
    download: Annotated[bool, Meta(description="fetch the dataset when it is not there")] = False


@hookimpl
def zoo_data_sources() -> Iterable[DataSourceSpec]:
    return [
        DataSourceSpec(
            name="digits",
            factory="zoo_data_sources.digits:build",
            summary="1,797 handwritten digits of 8×8 px that come with scikit-learn; no download",
            requires=("scikit-learn",),
        ),
        DataSourceSpec(
            name="folder",
            factory="zoo_data_sources.folder:build",
            summary="image files in class folders, split already or to be split",
            params=Folder,
            recognizes="zoo_data_sources.recognize:folder",
            requires=("pillow",),
        ),
        DataSourceSpec(
            name="npz",
            factory="zoo_data_sources.arrays:build",
            summary="NumPy arrays x_train, y_train, x_test, y_test in one .npz file",
            params=Npz,
            recognizes="zoo_data_sources.recognize:npz",
        ),
        DataSourceSpec(
            name="torchvision",
            factory="zoo_data_sources.torchvision_sets:build",
            summary="MNIST, FashionMNIST, KMNIST, CIFAR10, CIFAR100, SVHN from torchvision's folder",
            params=Torchvision,
            recognizes="zoo_data_sources.recognize:torchvision",
            requires=("torchvision",),
        ),
    ]
