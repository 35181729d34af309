"""A resolved recipe with something of it changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from zoo.components import Component, DataSourceSpec
from zoo.errors import ZooError
from zoo.recipe import PRETRAINED, Recipe
from zoo.rounds import Active


def with_setting(recipe: Recipe, path: str, value: Any) -> Recipe:
    """Return the recipe with one value changed, by its dotted path (`optimizer.lr`, `regularizers.dropout.rate`).

    Raises ZooError for a setting that the recipe does not have, or a value that it does not take.
    """
    block, _, rest = path.partition(".")
    if block == "regularizers":
        name, _, rest = rest.rpartition(".")
        known = [component.name for component in recipe.regularizers]
        if name not in known:
            raise ZooError(f"the recipe has no setting {path!r}", possible=f"its regularizers are {', '.join(known)}")
        changed = tuple(_changed(c, path, rest, value) if c.name == name else c for c in recipe.regularizers)
        return msgspec.structs.replace(recipe, regularizers=changed, origins={**recipe.origins, path: "chosen"})
    if block not in recipe.__struct_fields__ or not rest:
        raise ZooError(f"the recipe has no setting {path!r}")
    part = _changed(getattr(recipe, block), path, rest, value)
    return msgspec.structs.replace(recipe, **{block: part}, origins={**recipe.origins, path: "chosen"})


def _changed(part: Any, path: str, name: str, value: Any) -> Any:
    if isinstance(part, Component):
        return Component(part.spec, part.name, _changed(part.params, path, name, value), part.provenance)
    fields = {field.name: field for field in msgspec.structs.fields(type(part))} if part is not None else {}
    if name not in fields:
        raise ZooError(f"the recipe has no setting {path!r}", possible=", ".join(fields))
    try:
        return msgspec.structs.replace(part, **{name: msgspec.convert(value, fields[name].type)})
    except msgspec.ValidationError as error:
        raise ZooError(f"{path} cannot be {value!r}: {error}") from error


def absolute_paths(recipe: Recipe) -> Recipe:
    """Return the recipe with the paths of its data source and of its weights made absolute: they mean the same in any folder."""
    source = _placed(recipe.source)
    if source != recipe.source:
        recipe = msgspec.structs.replace(recipe, source=source)
    if recipe.active is not None:
        recipe = msgspec.structs.replace(recipe, active=_with_other_images_placed(recipe.active))
    if recipe.weights in (None, PRETRAINED):
        return recipe
    return msgspec.structs.replace(recipe, weights=_absolute(recipe.weights))


def _with_other_images_placed(active: Active) -> Active:
    for name in ("unknown", "target_inputs"):
        named = getattr(active, name)
        if named is not None and Path(named).expanduser().exists():  # else the name of a source
            active = msgspec.structs.replace(active, **{name: _absolute(named)})
    return active


def _placed(source: Component[Any]) -> Component[Any]:
    """Return a data source with its path, and those of sources inside it, made absolute."""
    assert isinstance(source.spec, DataSourceSpec)
    values = {name: getattr(source.params, name) for name in source.params.__struct_fields__}
    changed: dict[str, Any] = {
        name: _placed(value)
        for name, value in values.items()
        if isinstance(value, Component) and value.spec.kind == "data"
    }
    path = values.get("path")
    if source.spec.recognizes is not None and isinstance(path, str) and path:
        changed["path"] = _absolute(path)
    params = msgspec.structs.replace(source.params, **changed)
    return Component(source.spec, source.name, params, source.provenance)


def _absolute(path: str) -> str:
    return str(Path(path).expanduser().absolute())
