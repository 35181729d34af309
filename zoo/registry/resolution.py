"""One recipe, all layers merged → a Recipe, with checks of how its parts fit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from zoo.components import ArchitectureSpec, Component
from zoo.errors import ZooError, nearest
from zoo.guard import guarded
from zoo.plugins import Catalog
from zoo.recipe import (
    Active,
    Augmentation,
    DataSettings,
    Distill,
    Freeze,
    Loss,
    Range,
    Recipe,
    Target,
    Training,
)
from zoo.registry.conversion import BAD, DEFAULT, Converter
from zoo.registry.documents import Mark, Node
from zoo.registry.embeddings import embedding, refusal
from zoo.registry.fitting import misfits
from zoo.registry.merging import name_node
from zoo.registry.ranges import range_problems, typed
from zoo.schedules import SCHEDULES, Constant, Plateau

REQUIRED = ("data", "architecture", "optimizer")
BLOCKS = (
    *REQUIRED, "schedule", "loss", "weights", "freeze", "distill", "regularizers", "augmentation", "training", "acquisition", "active", "search", "target",
)  # fmt: skip
METRICS = ("train/loss", "train/accuracy", "validation/loss", "validation/accuracy")
TARGETS = tuple(
    f"{split}/{figure}"
    for split in ("test", "validation")
    for figure in ("accuracy", "balanced_accuracy", "macro_f1", "top5", "loss")
)
WEIGHTS = Annotated[str, Meta(min_length=1, description="a safetensors file, or `pretrained`: timm's download")]
_SETTINGS = DataSettings.__struct_fields__

T = TypeVar("T")


class Resolution(msgspec.Struct, frozen=True):
    """The recipe that merged blocks stand for, or None; what is wrong, and settings as they were probably meant."""

    recipe: Recipe | None
    problems: list[tuple[Mark, str]]
    corrections: list[str]


def resolve(
    name: str, node: Node, catalog: Catalog, *, notes: tuple[str, ...] = (), partial: bool = False
) -> Resolution:
    """Return what merged blocks stand for; with `partial`, blocks may be missing, and so may the plugins of components."""
    resolver = _Resolver(name, node, Converter(catalog, partial=partial, notes=list(notes)))
    return Resolution(resolver.recipe(), resolver.converter.problems, resolver.converter.corrections)


class _Resolver:
    """Converts the blocks of one recipe one by one; null takes back what a block inherits."""

    def __init__(self, name: str, node: Node, converter: Converter) -> None:
        self.name = name
        self.node = replace(node, value={key: block for key, block in node.mapping.items() if block.value is not None})
        self.converter = converter
        converter.recipe = self.node

    def recipe(self) -> Recipe | None:
        """Return the recipe, or None where there are problems."""
        converter = self.converter
        for key, block in self.node.mapping.items():
            if key not in BLOCKS:
                converter.unknown_key(block, key, "", BLOCKS)
        regularizers = self._regularizers()
        freeze = self._freeze()
        search = self._search(regularizers, noted=isinstance(freeze, Freeze) and freeze.choose)
        if isinstance(freeze, Freeze) and freeze.choose and search == {} and "search" in self.node.mapping:
            converter.notes.append("nothing is left to choose from: the head trains as the recipe says")
            freeze = msgspec.structs.replace(freeze, choose=False)
        parts: dict[str, Any] = {
            "data": self._data(),
            "source": self._component("data", _SETTINGS),
            "architecture": self._component("architecture"),
            "optimizer": self._component("optimizer"),
            "schedule": self._schedule(),
            "loss": self._block("loss", Loss, "cross-entropy"),
            "weights": self._block("weights", WEIGHTS, None),
            "freeze": freeze,
            "distill": self._distill(),
            "regularizers": regularizers,
            "augmentation": self._block("augmentation", Augmentation, Augmentation()),
            "training": self._block("training", Training, Training()),
            "acquisition": self._component("acquisition") if "acquisition" in self.node.mapping else None,
            "active": self._block("active", Active, None),
            "search": search,
            "target": self._block("target", Target, None),
        }
        for key in REQUIRED:
            if key not in self.node.mapping and not converter.partial:
                converter.report(self.node.key or self.node.mark, f"recipe '{self.name}' has no {key}")
        self._check(parts)
        if converter.problems or any(part is BAD for part in parts.values()):
            return None
        parts["search"] = {path: typed(values, converter.kinds.get(path)) for path, values in search.items()}
        return Recipe(name=self.name, **parts, origins=converter.origins, notes=tuple(converter.notes))

    def _block(self, key: str, kind: Any, default: T) -> T:
        if key not in self.node.mapping:
            self._defaults(key, kind)
            return default
        self.converter.kinds[key] = kind
        value: T = self.converter.value(self.node.mapping[key], kind, key)
        return value

    def _defaults(self, key: str, kind: Any) -> None:
        fields = msgspec.structs.fields(kind) if hasattr(kind, "__struct_fields__") else ()
        kinds = {f"{key}.{field.name}": field.type for field in fields} or {key: kind}
        self.converter.kinds.update(kinds)
        self.converter.origins.update(dict.fromkeys(kinds, DEFAULT))

    def _component(self, key: Any, beside: tuple[str, ...] = ()) -> Any:
        if key not in self.node.mapping:
            return BAD
        return self.converter.component(self.node.mapping[key], key, key, beside)

    def _data(self) -> Any:
        node = self.node.mapping.get("data")
        if node is None:
            return BAD
        known = Node({key: child for key, child in node.mapping.items() if key in _SETTINGS}, node.mark)
        return self.converter.struct(known, DataSettings, "data", DEFAULT)

    def _schedule(self) -> Any:
        node = self.node.mapping.get("schedule")
        if node is None:
            self._defaults("schedule", Constant)
            self.converter.origins["schedule.name"] = DEFAULT
            return Constant()
        named = name_node(node)
        if named is None and self.converter.partial and node.mapping:
            return BAD
        if named is None:
            return self.converter.report(node.mark, f"schedule needs a name: {', '.join(SCHEDULES)}")
        name = self.converter.value(named, Literal[tuple(SCHEDULES)], "schedule.name")
        return BAD if name is BAD else self.converter.struct(node, SCHEDULES[name], "schedule", DEFAULT, ("name",))

    def _search(self, regularizers: Any, *, noted: bool) -> Any:
        """Return the ranges, without those of regularizers that the recipe does not have: it may have inherited them."""
        search: Any = self._block("search", dict[str, Range], {})
        if search is BAD or regularizers is BAD:
            return search
        names = {component.name for component in regularizers}
        gone = [p for p in search if p.startswith("regularizers.") and p.split(".")[1] not in names]
        if noted:
            self.converter.notes += [f"search leaves {path} out: the recipe has no such regularizer" for path in gone]
        return {path: values for path, values in search.items() if path not in gone}

    def _freeze(self) -> Any:
        node = self.node.mapping.get("freeze")
        if node is not None and node.value == "none":
            node = None
        elif node is not None and not node.mapping:  # the bare word or number stands for `stages`
            node = replace(node, value={"stages": node})
        if node is None:
            self.converter.origins["freeze"] = DEFAULT
            return None
        return self.converter.struct(node, Freeze, "freeze", DEFAULT)

    def _distill(self) -> Any:
        node = self.node.mapping.get("distill")
        if node is None:
            self.converter.origins["distill"] = DEFAULT
            return None
        if isinstance(node.value, str):  # the bare word stands for `teacher`
            node = replace(node, value={"teacher": node})
        if not isinstance(node.value, dict):
            return self.converter.report(node.mark, "distill must be a run, or a mapping with `teacher`")
        return self.converter.struct(node, Distill, "distill", DEFAULT)

    def _regularizers(self) -> Any:
        node = self.node.mapping.get("regularizers")
        if node is None:
            return ()
        if not isinstance(node.value, list):
            return self.converter.report(
                node.mark, "regularizers must be a list, like [{name: weight-decay, strength: 0.0005}]"
            )
        named = [name_node(item) for item in node.items]
        names = [str(n.value) if n is not None else "" for n in named]
        paths = [f"regularizers.{name}" if name else f"regularizers[{i}]" for i, name in enumerate(names)]
        found = [self.converter.component(item, "regularizer", p) for item, p in zip(node.items, paths, strict=True)]
        for i, item in enumerate(node.items):
            if names[i] and names[i] in names[:i]:
                self.converter.report(item.mark, f"regularizer '{names[i]}' stands here twice; keep one")
        return BAD if any(part is BAD for part in found) else tuple(found)

    def _check(self, parts: dict[str, Any]) -> None:
        """Report what does not fit together, of the parts that could be read."""
        training, schedule = parts["training"], parts["schedule"]
        if training is not BAD:
            if training.epochs is not None and training.steps is not None:
                self._report(
                    "training.steps", "training has both epochs and steps; keep one: null takes the other back"
                )
            if training.early_stopping is not None:
                self._metric("training.early_stopping.monitor", training.early_stopping.monitor, METRICS)
            if training.best is not None:
                self._metric("training.best", training.best, METRICS)
        if isinstance(schedule, Plateau):
            self._metric("schedule.monitor", schedule.monitor, METRICS)
        if isinstance(parts["target"], Target):
            self._metric("target.metric", parts["target"].metric, TARGETS)
        if parts["architecture"] is not BAD:
            for path, strategy in _strategies(parts):
                self._check_acquisition(path, strategy, parts["architecture"])
        for path, message in misfits(
            {key: part for key, part in parts.items() if part is not BAD}, self.converter.partial
        ):
            self._report(path, message)
        if parts["search"] is not BAD:
            self._check_search(parts["search"])

    def _check_acquisition(self, path: str, acquisition: Component[Any], architecture: Component[Any]) -> None:
        try:
            chain = list(embedding(path, acquisition))
        except ZooError as error:
            self._report(path, error.problem)
            return
        if not chain:
            return
        assert isinstance(architecture.spec, ArchitectureSpec)
        try:
            with guarded(f"architecture '{architecture.name}'", ZooError):
                embeds = architecture.spec.facts(architecture.params).embeddings
        except ZooError as error:
            self._report("architecture", error.problem)
            return
        if not embeds:
            where, message, corrections = refusal(chain, architecture, self.converter.catalog)
            self._report(where, message)
            self.converter.corrections += corrections

    def _check_search(self, search: dict[str, Range]) -> None:
        kinds = {path: kind for path, kind in self.converter.kinds.items() if path in self.converter.origins}
        for path, values in search.items():
            for where, message in range_problems(path, values, kinds, partial=self.converter.partial):
                self._report(f"search.{path}{where}", message)

    def _metric(self, path: str, metric: str, known: tuple[str, ...]) -> None:
        if metric not in known:
            near = nearest(metric, known, 1)
            possible = f"did you mean '{near[0]}'?" if near else f"metrics are {', '.join(known)}"
            self._report(path, f"{path} must be a metric, got '{metric}' instead; {possible}")

    def _report(self, path: str, message: str) -> None:
        self.converter.report(self._mark(path), message)

    def _mark(self, path: str) -> Mark:
        """Return where the nearest node on the way to a dotted path stands."""
        node, rest = self.node, path
        while rest:
            if isinstance(node.value, list):
                number, _, inside = rest.partition(".")
                if number.isdigit():
                    node, rest = node.items[int(number)], inside
                    continue
                found = [item for item in node.items if (named := name_node(item)) and named.value == rest]
                return found[-1].mark if found else node.mark
            key = next((key for key in node.mapping if rest == key or rest.startswith(f"{key}.")), None)
            if key is None:
                break
            node, rest = node.mapping[key], rest[len(key) + 1 :]
        return node.mark


def _strategies(parts: Mapping[str, Any]) -> Iterator[tuple[str, Component[Any]]]:
    """Yield every acquisition strategy that could be read, with its path."""
    if parts["acquisition"] not in (BAD, None):
        yield "acquisition", parts["acquisition"]
    if parts["active"] not in (BAD, None):
        yield from ((f"active.strategies.{i}", strategy) for i, strategy in enumerate(parts["active"].strategies))
