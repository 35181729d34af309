"""Blocks of a recipe that are each as they should be, and do not fit together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

from zoo.components import Component, RegularizerSpec
from zoo.recipe import Augmentation, Distill, Freeze, Range

OF_A_HEAD = ("optimizer.", "schedule.", "regularizers.", "training.clip_norm")

Misfit = tuple[str, str]  # the dotted path of a setting, and what is wrong with it


def misfits(parts: Mapping[str, Any], partial: bool) -> Iterator[Misfit]:
    """Yield what does not fit, of the blocks that could be read; with `partial`, others may follow."""
    yield from _regularizers(parts.get("regularizers", ()))
    freeze, distill = parts.get("freeze"), parts.get("distill")
    if freeze is not None:
        yield from _freeze(freeze, parts.get("augmentation"), parts.get("search"))
    if distill is not None:
        yield from _distill(distill, freeze, partial)


def _distill(distill: Distill, freeze: Freeze | None, partial: bool) -> Iterator[Misfit]:
    if not distill.teacher and not partial:
        yield "distill", "distill needs a teacher, a finished run: distill.teacher=RUN"
    if freeze is not None and freeze.views:
        yield "freeze.views", "freeze.views are kept as embeddings, and the teacher of distill sees images"


def _freeze(freeze: Freeze, augmentation: Augmentation | None, search: Mapping[str, Range] | None) -> Iterator[Misfit]:
    if freeze.views and augmentation == Augmentation():
        yield "freeze.views", "freeze.views are augmented, and the recipe has no augmentation"
    for name in ("views", "choose"):
        if getattr(freeze, name) and freeze.stages != "backbone":
            yield f"freeze.{name}", f"freeze.{name} needs the whole backbone frozen: stages backbone"
    if freeze.choose and search is not None:
        yield from _choices(search)


def _choices(search: Mapping[str, Range]) -> Iterator[Misfit]:
    if not any(values.choices for values in search.values()):
        yield "freeze.choose", "freeze.choose needs choices: search: {SETTING: {choices: […]}}"
    for path, values in search.items():
        if values.choices and not path.startswith(OF_A_HEAD):
            possible = f"{', '.join(OF_A_HEAD)}… are"
            yield f"search.{path}", f"freeze.choose cannot try '{path}', which is not of the head alone; {possible}"


def _regularizers(regularizers: Sequence[Component[Any]]) -> Iterator[Misfit]:
    for first, second in combinations(regularizers, 2):
        for why in _clashes(first, second):
            yield f"regularizers.{second.name}", f"regularizers '{first.name}' and '{second.name}' {why}; keep one"


def _clashes(first: Component[Any], second: Component[Any]) -> Iterator[str]:
    one, other = first.spec, second.spec
    assert isinstance(one, RegularizerSpec) and isinstance(other, RegularizerSpec)
    if one.rewrites_targets and other.rewrites_targets:
        yield "both rewrite the targets"
    if one.replaces_loss and other.replaces_loss:
        yield "both have a loss of their own"
    if one.needs_labels and other.rewrites_targets:
        yield f"do not fit: '{first.name}' needs labels, which '{second.name}' rewrites"
    if one.rewrites_targets and other.needs_labels:
        yield f"do not fit: '{second.name}' needs labels, which '{first.name}' rewrites"
    if second.name in one.conflicts or first.name in other.conflicts:
        yield "exclude each other"
