"""What all simulations of a plan share: the material, and a workbench for the recipe and for each member of its committees."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from zoo.active.choosing import members
from zoo.active.material import TARGET, Material, gather
from zoo.active.workbench import Workbench, before_embedding, set_up
from zoo.components import Component
from zoo.errors import DataError, ZooError
from zoo.recipe import Recipe
from zoo.registry import Registry
from zoo.training.events import Event

Strategies = Iterable[Component[Any]]


@dataclass(frozen=True)
class Bench:
    """The workbench of the recipe, its material, and the workbench of each recipe that a committee is made of."""

    own: Workbench
    material: Material
    committee: Mapping[str, Workbench]


def material_of(recipe: Recipe, registry: Registry) -> Material:
    """Return the material of a recipe, with other images from the sources that its `active` block names."""
    active = recipe.active
    assert active is not None
    unknown = _other_source(recipe.name, active.unknown, registry, "unknown images", "--unknown")
    target = _other_source(recipe.name, active.target_inputs, registry, TARGET, "--target-inputs")
    return gather(recipe, unknown, target)


def _other_source(recipe: str, named: str | None, registry: Registry, what: str, option: str) -> Component[Any] | None:
    if named is None:
        return None
    try:
        return registry.resolve(recipe, data=named).source
    except ZooError as error:
        raise DataError(
            f"{what}: {error.problem}",
            possible=error.possible,
            hint=f"{option} PATH, or the name of a data source",
        ) from error


def asked(strategies: Strategies) -> list[str]:
    """Return the names of the recipes that the committees of these strategies are made of."""
    return sorted({name for strategy in strategies for name in members(strategy)})


def set_up_all(
    recipe: Recipe, strategies: Strategies, material: Material, registry: Registry, device: str
) -> Generator[Event, None, Bench]:
    """Return what simulations share; yields progress while a frozen backbone embeds images."""
    own = yield from set_up(recipe, material.dataset, device, registry.catalog)
    committee = {}
    for name, member, seen in _members(recipe, strategies, material, registry):
        committee[name] = yield from set_up(member, seen.dataset, device, registry.catalog)
    return Bench(own, material, committee)


def tried(recipe: Recipe, strategies: Strategies, material: Material, registry: Registry, device: str) -> Workbench:
    """Return the recipe's workbench before any image is embedded, after those of committees were built as well."""
    for _, member, seen in _members(recipe, strategies, material, registry):
        before_embedding(member, seen.dataset, device, registry.catalog)
    return before_embedding(recipe, material.dataset, device, registry.catalog)


def _members(
    recipe: Recipe, strategies: Strategies, material: Material, registry: Registry
) -> Iterator[tuple[str, Recipe, Material]]:
    """Yield name, recipe and material of each member of a committee, which sees the recipe's data at a size of its own."""
    active = recipe.active and msgspec.structs.replace(recipe.active, target_inputs=None)  # of which no member is asked
    for name in asked(strategies):
        member = registry.resolve(name)
        settings = msgspec.structs.replace(recipe.data, image_size=member.data.image_size)
        member = msgspec.structs.replace(member, data=settings, source=recipe.source, active=active, acquisition=None)
        seen = material_of(member, registry)
        if seen.ids != material.ids:
            raise ZooError(f"committee member {name} sees other data than {recipe.name}")
        yield name, member, seen
