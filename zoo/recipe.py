"""A recipe, resolved: every block of `registry.yaml` with its values, and where each value came from.

The structs here are the grammar: their fields are the keys, their types and `Meta` ranges the checks, their descriptions
the help of editors.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from zoo.augmentation import Arrangement
from zoo.augmentation import Augmentation as Augmentation
from zoo.components import Component
from zoo.rounds import Active as Active
from zoo.schedules import SCHEDULES, Fraction, Schedule


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """Base of every block; a value that is absent takes the default given here."""


PositiveInt = Annotated[int, Meta(ge=1)]
Seed = Annotated[int, Meta(ge=0, lt=2**32)]


class Normalization(Block, frozen=True, kw_only=True):
    """Per-channel statistics in units of images scaled to [0, 1]."""

    mean: list[float]
    std: list[Annotated[float, Meta(gt=0)]]


class DataSettings(Block, frozen=True, kw_only=True):
    """Engine settings of the `data` block; the source's own parameters stand beside them."""

    image_size: Annotated[
        Literal["auto"] | Annotated[int, Meta(ge=1, le=4096)],
        Meta(description="pixels per side; auto: arrays keep their size, files take the architecture's, else 64"),
    ] = "auto"
    classes: Annotated[list[str] | None, Meta(description="train on these classes only")] = None
    split_seed: Annotated[Seed, Meta(description="alone decides how splits are cut")] = 0
    validation_fraction: Annotated[
        Annotated[float, Meta(gt=0, lt=1)],
        Meta(description="share of train cut off where there is no validation split"),
    ] = 0.1
    test_fraction: Annotated[
        Annotated[float, Meta(ge=0, lt=1)], Meta(description="share cut off as test where there is one folder only")
    ] = 0.1
    train_size: Annotated[
        PositiveInt | None, Meta(description="use a stratified subset of this many training samples")
    ] = None
    normalization: Annotated[
        Literal["auto"] | Normalization, Meta(description="auto: mean and std per channel measured on train")
    ] = "auto"
    arrangement: Annotated[
        Arrangement | None,
        Meta(description="pixels change places before augmentation, in training and in every test alike"),
    ] = None
    workers: Annotated[
        Literal["auto"] | Annotated[int, Meta(ge=0, le=256)], Meta(description="processes that decode image files")
    ] = "auto"
    memory_limit: Annotated[
        Annotated[int, Meta(ge=0)],
        Meta(description="MiB of decoded images held in memory; larger sets are streamed from the files each epoch"),
    ] = 2048


Loss = Literal["cross-entropy", "bce"]


PRETRAINED = "pretrained"  # in place of a file of weights: what the architecture's authors publish


class Freeze(Block, frozen=True, kw_only=True):
    """Parts of the network that keep their weights, running statistics included."""

    stages: Annotated[
        Literal["backbone"] | Annotated[int, Meta(ge=1)],
        Meta(description="backbone: all but the classifier; a number: so many stages from the stem on"),
    ] = "backbone"
    unfreeze_after: Annotated[
        PositiveInt | None,
        Meta(description="epochs after which everything is trained, while running statistics stay; null: never"),
    ] = None
    lr_scale: Annotated[
        float, Meta(gt=0, le=1, description="learning rate of what was frozen, once trained, in rates of the rest")
    ] = 0.1
    views: Annotated[
        int,
        Meta(
            ge=0,
            le=256,
            description="with a frozen backbone, augmented views of each image that epochs take in turn; 0: new ones",
        ),
    ] = 0
    choose: Annotated[
        bool,
        Meta(description="with a frozen backbone, first choose among the choices of `search` on validation"),
    ] = False


class Distill(Block, frozen=True, kw_only=True):
    """Learning from a finished run (Hinton, Vinyals and Dean, "Distilling the knowledge in a neural network", 2015)."""

    teacher: Annotated[str, Meta(description="a finished run: a path, a name under runs/, or latest")] = ""
    temperature: Annotated[
        float, Meta(gt=0, description="divides the logits of both before they are compared: high, and small ones count")
    ] = 4.0
    weight: Annotated[Fraction, Meta(description="share of the teacher in the loss; the rest is the recipe's own")] = (
        0.9
    )


class EarlyStopping(Block, frozen=True, kw_only=True):
    """Stop when `monitor` has not improved by more than `min_delta` for `patience` epochs; the best weights are kept."""

    monitor: str = "validation/loss"
    patience: PositiveInt = 5
    min_delta: Annotated[float, Meta(ge=0)] = 0.0


class Training(Block, frozen=True, kw_only=True):
    """How long, how fast and how exactly to train."""

    epochs: Annotated[
        PositiveInt | None, Meta(description="passes over train; 10 where neither this nor steps is given")
    ] = None
    steps: Annotated[PositiveInt | None, Meta(description="optimizer steps, instead of epochs")] = None
    draws: Annotated[
        PositiveInt | None,
        Meta(description="samples in an epoch, each image in its turn, instead of each image once"),
    ] = None
    batch_size: Annotated[PositiveInt, Meta(description="samples per optimizer step")] = 64
    accumulate: Annotated[PositiveInt, Meta(description="micro-batches that a batch is cut into, to save memory")] = 1
    clip_norm: Annotated[Annotated[float, Meta(gt=0)] | None, Meta(description="largest total gradient norm")] = None
    early_stopping: EarlyStopping | None = None
    best: Annotated[
        str | None,
        Meta(description="metric whose best epoch is kept; early stopping's monitor, else validation/accuracy"),
    ] = None
    seed: Seed = 0
    deterministic: bool = True
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    channels_last: bool = False
    compile: bool = False
    check_finite: bool = True
    checkpoint_every: Annotated[PositiveInt | None, Meta(description="also write a checkpoint every so many steps")] = (
        None
    )
    threads: Annotated[
        PositiveInt | None,
        Meta(description="CPU threads of torch; recorded and pinned, because the count changes bits"),
    ] = None
    evaluation_batch_size: PositiveInt = 256


class Range(Block, frozen=True, kw_only=True):
    """Values that `zoo tune` may try for one setting: numbers from `low` to `high`, or one of `choices`."""

    low: float | None = None
    high: float | None = None
    log: bool = False
    step: Annotated[float, Meta(gt=0)] | None = None
    choices: list[bool | int | float | str] | None = None


class Target(Block, frozen=True, kw_only=True):
    """A published or promised figure that `zoo verify` reproduces within `tolerance`."""

    metric: str = "test/accuracy"
    value: float = 0.0
    tolerance: Annotated[float, Meta(ge=0)] = 0.0
    seeds: PositiveInt = 1
    data: str | None = None
    source: str | None = None


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """A named recipe with all its parts resolved.

    `origins` maps dotted paths (`optimizer.lr`, `regularizers.dropout.rate`) to who set the value: a position
    `registry.yaml:12:9`, `command line`, `plugin default` or `default`. `notes` say in words what was decided.
    """

    name: str
    data: DataSettings
    source: Component[Literal["data"]]
    architecture: Component[Literal["architecture"]]
    optimizer: Component[Literal["optimizer"]]
    schedule: Schedule
    loss: Loss
    weights: str | None
    freeze: Freeze | None
    distill: Distill | None
    regularizers: tuple[Component[Literal["regularizer"]], ...]
    augmentation: Augmentation
    training: Training
    acquisition: Component[Literal["acquisition"]] | None
    active: Active | None
    search: dict[str, Range]
    target: Target | None
    origins: dict[str, str]
    notes: tuple[str, ...] = ()

    @property
    def schedule_name(self) -> str:
        return next(name for name, struct in SCHEDULES.items() if type(self.schedule) is struct)

    @property
    def components(self) -> tuple[Component[Any], ...]:
        """Every component of the recipe, for provenance."""
        parts: tuple[Component[Any] | None, ...] = (
            self.source,
            self.architecture,
            self.optimizer,
            *self.regularizers,
            self.acquisition,
            *(self.active.strategies if self.active is not None else ()),
        )
        return tuple(part for part in parts if part is not None)

    def to_dict(self) -> dict[str, Any]:
        """Return the recipe as the plain mapping that a registry file would hold: resolved, replayable, JSON-ready."""
        entry: dict[str, Any] = {
            "data": {"name": self.source.name, **plain(self.source.params), **plain(self.data)},
            "architecture": {"name": self.architecture.name, **plain(self.architecture.params)},
            "optimizer": {"name": self.optimizer.name, **plain(self.optimizer.params)},
            "schedule": {"name": self.schedule_name, **plain(self.schedule)},
            "loss": self.loss,
            "regularizers": [{"name": r.name, **plain(r.params)} for r in self.regularizers],
            "augmentation": plain(self.augmentation),
            "training": plain(self.training),
        }
        if self.weights is not None:
            entry["weights"] = self.weights
        if self.freeze is not None:
            entry["freeze"] = plain(self.freeze)
        if self.distill is not None:
            entry["distill"] = plain(self.distill)
        if self.acquisition is not None:
            entry["acquisition"] = {"name": self.acquisition.name, **plain(self.acquisition.params)}
        if self.active is not None:
            entry["active"] = plain(self.active)
        if self.search:
            entry["search"] = {path: plain(values) for path, values in self.search.items()}
        if self.target is not None:
            entry["target"] = plain(self.target)
        return entry


def plain(value: Any) -> Any:
    """Return structs and components as mappings, everything else as it is; None by default is left out."""
    if isinstance(value, Component):
        return {"name": value.name, **plain(value.params)}
    if isinstance(value, msgspec.Struct):
        pairs = ((field, getattr(value, field.name)) for field in msgspec.structs.fields(type(value)))
        return {field.name: plain(item) for field, item in pairs if not (item is None and field.default is None)}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value
