"""zoo: train, evaluate and compare image classifiers and simulate active learning, from plugins and one registry.

import zoo
run = zoo.train("conv-net-momentum", "training.epochs=5")
zoo.evaluate(run)
zoo.load(run.path).predict(["photo.jpg"])
zoo.catalog.entries("architecture")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from zoo.version import __version__

if TYPE_CHECKING:
    from zoo.api import (
        compare,
        dry_run,
        evaluate,
        evaluate_corruptions,
        lr_find,
        resolve,
        resume,
        simulate,
        train,
        tune,
    )
    from zoo.bases import BatchStrategy, Block, Context, Gate, HeldOut, Labeled, Pool, Regularizer, ScoreStrategy
    from zoo.comparison.question import Question
    from zoo.components import (
        AcquisitionSpec,
        ArchitectureSpec,
        Component,
        DataSourceSpec,
        NoParams,
        OptimizerSpec,
        Params,
        RegularizerSpec,
    )
    from zoo.data.sources import ArrayImages, FileImages, SourceData, SourceSplit
    from zoo.errors import ZooError
    from zoo.evaluation.classifier import Classifier, Prediction, load
    from zoo.facts import ArchitectureFacts, Pretrained
    from zoo.hookspecs import hookimpl
    from zoo.modules import Dropout, Dropout2d, DropPath
    from zoo.plugins import Catalog
    from zoo.recipe import Recipe
    from zoo.training.run import Run

    catalog: Catalog

# Public name → module that defines it; imported on first use, so that `import zoo` costs nothing.
_HOMES = {
    "AcquisitionSpec": "zoo.components",
    "ArchitectureFacts": "zoo.facts",
    "Pretrained": "zoo.facts",
    "ArchitectureSpec": "zoo.components",
    "ArrayImages": "zoo.data.sources",
    "BatchStrategy": "zoo.bases",
    "Block": "zoo.bases",
    "Catalog": "zoo.plugins",
    "Classifier": "zoo.evaluation.classifier",
    "Component": "zoo.components",
    "Context": "zoo.bases",
    "DataSourceSpec": "zoo.components",
    "DropPath": "zoo.modules",
    "Dropout": "zoo.modules",
    "Dropout2d": "zoo.modules",
    "FileImages": "zoo.data.sources",
    "Gate": "zoo.bases",
    "HeldOut": "zoo.bases",
    "Labeled": "zoo.bases",
    "NoParams": "zoo.components",
    "OptimizerSpec": "zoo.components",
    "Params": "zoo.components",
    "Pool": "zoo.bases",
    "Prediction": "zoo.evaluation.classifier",
    "Question": "zoo.comparison.question",
    "Recipe": "zoo.recipe",
    "Regularizer": "zoo.bases",
    "RegularizerSpec": "zoo.components",
    "Run": "zoo.training.run",
    "ScoreStrategy": "zoo.bases",
    "SourceData": "zoo.data.sources",
    "SourceSplit": "zoo.data.sources",
    "ZooError": "zoo.errors",
    "compare": "zoo.api",
    "dry_run": "zoo.api",
    "evaluate": "zoo.api",
    "evaluate_corruptions": "zoo.api",
    "hookimpl": "zoo.hookspecs",
    "load": "zoo.evaluation.classifier",
    "lr_find": "zoo.api",
    "resolve": "zoo.api",
    "resume": "zoo.api",
    "simulate": "zoo.api",
    "train": "zoo.api",
    "tune": "zoo.api",
}

__all__ = [
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


def __getattr__(name: str) -> Any:
    if name == "catalog":
        return import_module("zoo.api").catalog()
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'zoo' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
