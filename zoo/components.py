"""What a plugin announces: one frozen spec per component, and a component resolved with its parameters.

Nothing here imports torch; a spec names its factory by a string, imported when the component is first built.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from importlib import import_module
from typing import Any, ClassVar, Generic, Literal, TypeVar, get_args

import msgspec

from zoo.errors import ComponentError
from zoo.facts import ArchitectureFacts, Family, Pretrained
from zoo.guard import guarded

Kind = Literal["architecture", "optimizer", "regularizer", "acquisition", "data"]
KINDS: tuple[Kind, ...] = get_args(Kind)
Need = Literal["logits", "log_probabilities", "mc_log_probabilities", "embeddings", "labeled", "labeled_log_probabilities", "held_out", "target", "committee"]  # fmt: skip
WeightDecay = Literal["coupled", "decoupled"]

# Engine settings of a recipe's `data` block; a source's own parameters may not take these names.
DATA_SETTINGS = frozenset({
    "name", "image_size", "classes", "split_seed", "validation_fraction", "test_fraction", "train_size", "normalization",
    "arrangement", "workers", "memory_limit",
})  # fmt: skip

_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_FACTORY = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")


class Params(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every parameter schema: scalars, Literals, lists and tuples of them, and `Component[kind]`.

    Ranges and help go through `Annotated[float, msgspec.Meta(ge=0, description="…")]`.
    """


class NoParams(Params, frozen=True, kw_only=True):
    """The schema of a component without parameters."""


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """A named, parameterised component of one kind, as its plugin announces it.

    `factory` is the string `package.module:attribute`, imported on first use and called as `factory(params, …)`; what
    it receives and returns is the contract of its kind. `requires` lists distributions that must be installed before
    the factory can run. Raises TypeError or ValueError for a record that breaks these rules.
    """

    kind: ClassVar[Kind]

    name: str
    factory: str
    summary: str
    params: type[Params] = NoParams
    aliases: tuple[str, ...] = ()
    deprecated: str | None = None
    requires: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in (self.name, *self.aliases):
            if not isinstance(name, str) or not _NAME.fullmatch(name):
                raise ValueError(f"{self.kind} name must be kebab-case (like 'conv-net'), got {name!r} instead")
        if not isinstance(self.factory, str) or not _FACTORY.fullmatch(self.factory):
            raise ValueError(
                f"factory of {self.name!r} must be 'package.module:attribute', got {self.factory!r} instead"
            )
        if not isinstance(self.params, type) or not issubclass(self.params, Params):
            raise TypeError(f"params of {self.name!r} must be a subclass of zoo.Params, got {self.params!r} instead")
        if not isinstance(self.summary, str) or not 0 < len(self.summary) <= 80:
            raise ValueError(f"summary of {self.name!r} must have 1 to 80 characters")
        try:
            msgspec.structs.fields(self.params)  # resolves the annotations now, inside the guard of the plugin
            self.params()
        except (TypeError, NameError) as error:
            raise TypeError(
                f"params of {self.name!r}: every field needs a resolvable type and a default ({error})"
            ) from error


class ArchitectureSpec(Spec, frozen=True, kw_only=True):
    """An image classifier; `factory(params, *, num_outputs, in_channels, image_size) -> nn.Module`.

    `image_size` is (height, width) in pixels and `forward` maps `(B, in_channels, *image_size)` to `(B, num_outputs)`.
    `embeddings` promises `forward_features`, `forward_head`, `classifier`, `embedding_size` and `stages`. `stem` says
    that a `stem` parameter exists (`auto`: small below 64 px). A field that depends on parameters is None, and
    `describe="module:function"` answers `ArchitectureFacts` from the parameters; `pretrained="module:function"` answers
    `Pretrained`, or None where there are no published weights for them. `scales` names numbers among the parameters that
    make the network larger, the main one first and the finest last: by them a recipe is matched to a budget.
    """

    kind = "architecture"
    family: Family | None
    embeddings: bool | None
    min_size: int | None = 1
    preferred_size: int | None = None
    stem: bool = False
    describe: str | None = None
    pretrained: str | None = None
    scales: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        if unknown := [name for name in self.scales if name not in self.params.__struct_fields__]:
            raise ValueError(f"scales of {self.name!r} must name its parameters, got {', '.join(unknown)} instead")

    def published(self, params: Params) -> Pretrained | None:
        """Return what is published for these parameters; imports the plugin's `pretrained` function where there is one."""
        found = None if self.pretrained is None else _answer(self.pretrained, self, params)
        if found is not None and not isinstance(found, Pretrained):
            raise ComponentError(f"{self.pretrained} must return zoo.Pretrained or None, got {found!r} instead")
        return found

    def facts(self, params: Params) -> ArchitectureFacts:
        """Return the facts for these parameters; imports the plugin's `describe` function where there is one."""
        if self.describe is not None:
            facts = _answer(self.describe, self, params)
            if isinstance(facts, ArchitectureFacts):
                return facts
            raise ComponentError(f"{self.describe} must return zoo.ArchitectureFacts, got {facts!r} instead")
        if self.family is None or self.embeddings is None or self.min_size is None:
            raise ComponentError(f"architecture {self.name!r} leaves a field open without `describe`")
        return ArchitectureFacts(
            family=self.family,
            embeddings=self.embeddings,
            min_size=self.min_size,
            preferred_size=self.preferred_size,
        )


class OptimizerSpec(Spec, frozen=True, kw_only=True):
    """An optimizer; `factory(params, parameter_groups) -> torch.optim.Optimizer`.

    It is built with weight decay 0 and obeys `group["weight_decay"]`; `weight_decay` says in which form, None that
    `describe="module:function"` answers from the parameters. `passes=2` asks for `optimizer.step(gradients)`.
    """

    kind = "optimizer"
    weight_decay: WeightDecay | None = "coupled"
    describe: str | None = None
    passes: Literal[1, 2] = 1

    def decay_form(self, params: Params) -> WeightDecay:
        """Return the form for these parameters; imports the plugin's `describe` function where there is one."""
        form: Any = self.weight_decay if self.describe is None else _answer(self.describe, self, params)
        if form not in get_args(WeightDecay):
            raise ComponentError(f"decay of optimizer {self.name!r} must be coupled or decoupled, got {form!r} instead")
        return form  # type: ignore[no-any-return]  # checked above


class RegularizerSpec(Spec, frozen=True, kw_only=True):
    """A regularizer; `factory(params) -> zoo.Regularizer`. At 0, the parameter named `strength` changes nothing.

    `rewrites_targets`: makes float `(B, C)` targets; `replaces_loss`: has a `loss` of its own. A recipe holds at most
    one of each, none of the names in `conflicts`, and no rewriter beside a loss that `needs_labels`, int64 `(B,)`.
    `build_argument` names the keyword under which an architecture's factory that accepts it gets the strength.
    """

    kind = "regularizer"
    strength: str
    rewrites_targets: bool = False
    replaces_loss: bool = False
    needs_labels: bool = False
    conflicts: tuple[str, ...] = ()
    build_argument: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.strength not in self.params.__struct_fields__:
            raise ValueError(
                f"strength of {self.name!r} must name one of its parameters, got {self.strength!r} instead"
            )


class AcquisitionSpec(Spec, frozen=True, kw_only=True):
    """An acquisition strategy; `factory(params) -> zoo.ScoreStrategy | zoo.BatchStrategy`, made for `fixed_embeddings` or for any.

    `needs` names what the scoring pass computes for it; None says that `describe="module:function"` answers from params.
    """

    kind = "acquisition"
    needs: frozenset[Need] | None = frozenset()
    fixed_embeddings: bool = False
    describe: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if unknown := set(self.needs or ()) - set(get_args(Need)):
            raise ValueError(f"needs of {self.name!r} must be among {', '.join(get_args(Need))}, got {sorted(unknown)}")

    def needs_of(self, params: Params) -> frozenset[Need]:
        """Return the needs for these parameters; imports the plugin's `describe` function where there is one."""
        needs: Any = self.needs if self.describe is None else _answer(self.describe, self, params)
        if not isinstance(needs, (set, frozenset)) or not needs <= set(get_args(Need)):
            raise ComponentError(f"needs of {self.name!r} must be among {', '.join(get_args(Need))}, got {needs!r}")
        return frozenset(needs)


class DataSourceSpec(Spec, frozen=True, kw_only=True):
    """A data source; `factory(params) -> zoo.SourceData`.

    `recognizes="module:function"` takes a `Path` given to `--data` and returns why this source reads it, in words, or
    None; the path then becomes the source's `path` parameter.
    """

    kind = "data"
    recognizes: str | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if taken := DATA_SETTINGS & set(self.params.__struct_fields__):
            raise ValueError(f"parameters of data source {self.name!r} may not be called {', '.join(sorted(taken))}")
        if self.recognizes is not None and "path" not in self.params.__struct_fields__:
            raise ValueError(f"data source {self.name!r} recognizes paths and so needs a parameter `path`")


SPECS: dict[Kind, type[Spec]] = {
    spec.kind: spec for spec in (ArchitectureSpec, OptimizerSpec, RegularizerSpec, AcquisitionSpec, DataSourceSpec)
}


class Provenance(msgspec.Struct, frozen=True):
    """Which plugin, of which installed distribution and version, a component came from."""

    plugin: str
    distribution: str
    version: str


K = TypeVar("K")


class Component(Generic[K]):
    """A spec with its parameters resolved; `build(…)` calls the factory.

    As a type of a schema's field, `Component["optimizer"]` (in type-checked code `Component[Literal["optimizer"]]`)
    stands for a component inside a component; it reaches the factory ready to build.
    """

    __slots__ = ("name", "params", "provenance", "spec")

    def __class_getitem__(cls, kind: Any) -> Any:
        """Return the type of components of one kind; text is the name of a kind, not of a class to look for."""
        generic: Any = super()
        return generic.__class_getitem__(Literal[kind] if isinstance(kind, str) else kind)

    def __init__(self, spec: Spec, name: str, params: Params, provenance: Provenance) -> None:
        self.spec = spec
        self.name = name
        self.params = params
        self.provenance = provenance

    def __repr__(self) -> str:
        return f"<{self.spec.kind} {self.name} {self.params}>"

    def __eq__(self, other: object) -> bool:
        parts = ("spec", "name", "params")
        return isinstance(other, Component) and all(getattr(self, part) == getattr(other, part) for part in parts)

    def __hash__(self) -> int:
        return hash((self.spec.kind, self.name))

    def build(self, *args: Any, **kwargs: Any) -> Any:
        """Import the factory and return what it builds; any failure becomes a ComponentError that names the plugin."""
        label = f"{self.spec.kind} {self.name!r} of plugin {self.provenance.plugin!r}"
        source = f"{self.provenance.distribution} {self.provenance.version}"
        _require(self.spec, label)
        with guarded(f"{label} ({source})", ComponentError):
            return import_object(self.spec.factory)(self.params, *args, **kwargs)


def import_object(path: str) -> Callable[..., Any]:
    """Return the object that the string `package.module:attribute` names."""
    module, _, attribute = path.partition(":")
    target: Any = import_module(module)
    for part in attribute.split("."):
        target = getattr(target, part)
    return target  # type: ignore[no-any-return]  # a factory is whatever its plugin says it is


def _answer(describe: str, spec: Spec, params: Params) -> Any:
    with guarded(f"{describe} of {spec.kind} {spec.name!r}", ComponentError):
        return import_object(describe)(params)


def _require(spec: Spec, label: str) -> None:
    from importlib.metadata import PackageNotFoundError, version

    for distribution in spec.requires:
        try:
            version(distribution)
        except PackageNotFoundError:
            raise ComponentError(
                f"{label} needs the package {distribution!r}, which is not installed",
                hint=f"pip install {distribution}",
            ) from None
