"""What this plugin announces; the factories are imported when a source is first used."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

from msgspec import Meta, field

from zoo.components import Component, DataSourceSpec, Params
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


def _digits() -> Any:
    """Return a name, which is resolved like those of a recipe."""
    return "digits"


class Replicas(Params, frozen=True, kw_only=True):
    """Another source, each of its training images several times with normal noise, and all images normalised."""

    base: Annotated[Component[Literal["data"]], Meta(description="source of the images, with its parameters")] = field(
        default_factory=_digits
    )
    times: Annotated[int, Meta(ge=1, description="how often each training image stands in train")] = 3
    noise: Annotated[float, Meta(ge=0, description="standard deviation, in deviations of the training images")] = 0.1
    validation: Annotated[
        int, Meta(ge=0, description="training images of the base, stratified, that are set aside without noise")
    ] = 0
    seed: Annotated[int, Meta(ge=0, lt=2**32, description="decides the noise, and which are set aside")] = 0


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
            name="replicas",
            factory="zoo_data_sources.replicas:build",
            summary="a source with noisy copies of its training images (Kirsch et al., NeurIPS 2019)",
            params=Replicas,
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
