"""What two runs must have in common to be one: everything that decides their figures, but the seed, and no more."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from zoo.recipe import PRETRAINED, Recipe
from zoo.training.run import Run
from zoo.version import __version__

_LIBRARIES = ("torch", "torchvision", "timm")
# Settings that change nothing but where things are, and how fast they go.
_PLACES = {"data": ("path", "workers", "memory_limit"), "training": ("seed", "checkpoint_every")}


def fingerprint(recipe: Recipe, data: str) -> str:
    """Return a digest of the recipe, of the data by its fingerprint, of the weights and the teacher that it begins from by their
    contents, and of the versions that compute.
    """
    document: dict[str, Any] = {key: _without(value, _PLACES.get(key, ())) for key, value in recipe.to_dict().items()}
    for key in ("acquisition", "active", "target", *(() if _chooses(recipe) else ("search",))):
        document.pop(key, None)
    if recipe.weights not in (None, PRETRAINED):
        document["weights"] = _contents(Path(str(recipe.weights)).expanduser())
    if recipe.distill is not None:
        document["distill"]["teacher"] = Run(Path(recipe.distill.teacher)).origin["sha256"]
    document["versions"] = [__version__, *map(version, _LIBRARIES), *sorted(_plugins(recipe))]
    described = json.dumps([document, data], sort_keys=True)
    return hashlib.blake2b(described.encode(), digest_size=16).hexdigest()


def _without(value: Any, names: Collection[str]) -> Any:
    """Return a block without the settings of these names, be they its own or those of what is in it."""
    if not isinstance(value, dict):
        return value
    return {name: _without(item, names) for name, item in value.items() if name not in names}


def _chooses(recipe: Recipe) -> bool:
    """Return whether a run of the recipe chooses among what its `search` block says."""
    return recipe.freeze is not None and recipe.freeze.choose


def _plugins(recipe: Recipe) -> set[str]:
    return {f"{part.provenance.distribution} {part.provenance.version}" for part in recipe.components}


def _contents(path: Path) -> str:
    status = path.stat()
    return _digest(path, status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=64)
def _digest(path: Path, size: int, modified: int) -> str:  # size and time are keys of the cache
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
