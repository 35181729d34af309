from __future__ import annotations

import subprocess
import sys

import pytest

import zoo

PUBLIC = [
    "AcquisitionSpec",
    "ArchitectureFacts",
    "ArchitectureSpec",
    "ArrayImages",
    "BatchStrategy",
    "Block",
    "Catalog",
    "Classifier",
    "Component",
    "Context",
    "DataSourceSpec",
    "DropPath",
    "Dropout",
    "Dropout2d",
    "FileImages",
    "Gate",
    "HeldOut",
    "Labeled",
    "NoParams",
    "OptimizerSpec",
    "Params",
    "Pool",
    "Prediction",
    "Pretrained",
    "Question",
    "Recipe",
    "Regularizer",
    "RegularizerSpec",
    "Run",
    "ScoreStrategy",
    "SourceData",
    "SourceSplit",
    "ZooError",
    "__version__",
    "catalog",
    "compare",
    "dry_run",
    "evaluate",
    "evaluate_corruptions",
    "hookimpl",
    "load",
    "lr_find",
    "resolve",
    "resume",
    "simulate",
    "train",
    "tune",
]


def test_the_public_names_are_these() -> None:
    assert zoo.__all__ == PUBLIC
    assert dir(zoo) == PUBLIC


@pytest.mark.parametrize("name", [name for name in PUBLIC if name != "__version__"])
def test_a_public_name_is_there_and_documented(name: str) -> None:
    thing = getattr(zoo, name)
    documentation = thing.__doc__ or ""
    assert documentation.strip() and not documentation.startswith(f"{name}("), f"{name} has no docstring of its own"
    module = getattr(thing, "__module__", None)
    assert name in {"hookimpl", "catalog"} or str(module).startswith("zoo."), f"{name} comes from {module}"


def test_the_version_is_the_distributions() -> None:
    from importlib.metadata import version

    assert zoo.__version__ == version("zoo-vision")


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'zoo' has no attribute 'fit'"):
        zoo.fit  # noqa: B018  # reading the name is the test


def test_importing_zoo_and_naming_specs_imports_nothing_heavy() -> None:
    code = (
        "import sys, zoo; zoo.ArchitectureSpec, zoo.Regularizer, zoo.ScoreStrategy, zoo.Recipe, zoo.ZooError, zoo.hookimpl\n"
        "print(sorted({'torch', 'numpy', 'timm', 'torchvision', 'PIL', 'sklearn', 'scipy'} & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "[]\n"
