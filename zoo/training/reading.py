"""A recipe's data: prepared for its architecture and weights, and read in batches."""

from __future__ import annotations

import torch

from zoo.augmentation import ResizedCrop
from zoo.components import ArchitectureSpec
from zoo.data.dataset import Dataset, prepare
from zoo.data.loader import Loader
from zoo.recipe import Recipe
from zoo.training.distributed import World


def prepare_data(recipe: Recipe, *, measured: int | None = None) -> Dataset:
    """Return the recipe's data with splits cut and sizes chosen; with weights, of the size and normalisation that these are for.

    `measured` as in `prepare`.
    """
    spec = recipe.architecture.spec
    assert isinstance(spec, ArchitectureSpec)
    facts = spec.facts(recipe.architecture.params)
    published = spec.published(recipe.architecture.params) if recipe.weights is not None else None
    return prepare(
        recipe.data,
        recipe.source,
        min_size=facts.min_size,
        preferred_size=facts.preferred_size if published is None else published.image_size,
        architecture=recipe.architecture.name,
        statistics=None if published is None else (published.mean, published.std),
        measured=measured,
    )


def loader(
    dataset: Dataset,
    split: str,
    recipe: Recipe,
    device: torch.device,
    world: World,
    batch_size: int,
    crop: ResizedCrop | None = None,
) -> Loader:
    """Return the loader of one split."""
    return Loader(
        dataset,
        split,
        device=device,
        batch_size=batch_size,
        workers=recipe.data.workers,
        memory_limit=recipe.data.memory_limit,
        crop=crop,
        draws=recipe.training.draws if split == "train" else None,
        rank=world.rank,
        world=world.size,
    )
