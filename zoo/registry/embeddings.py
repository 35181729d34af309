"""Strategies that need embeddings, of an architecture that gives none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from zoo.components import AcquisitionSpec, ArchitectureSpec, Component
from zoo.nesting import inner, with_inner
from zoo.plugins import Catalog
from zoo.wording import few

Placed = tuple[str, Component[Any]]  # a strategy with the path of the setting that names it


def embedding(path: str, strategy: Component[Any]) -> Iterator[Placed]:
    """Yield a strategy that needs embeddings, and then one inside of it that does, to the innermost."""
    assert isinstance(strategy.spec, AcquisitionSpec)
    if "embeddings" not in strategy.spec.needs_of(strategy.params):
        return
    yield path, strategy
    inside = ([*embedding(f"{path}.{place}", part)] for place, part in inner(strategy, "acquisition").items())
    yield from next(filter(None, inside), [])


def refusal(chain: Sequence[Placed], architecture: Component[Any], catalog: Catalog) -> tuple[str, str, list[str]]:
    """Return of strategies that need embeddings, each inside the one before it: the path of the last, what is wrong with it, and
    a setting that helps: a strategy in its place or, where one around it needs embeddings too, another architecture."""
    (_, first), (path, last) = chain[0], chain[-1]
    named = f"acquisition '{last.name}'" + (f" inside acquisition '{first.name}'" if last is not first else "")
    strategies, architectures = catalog.entries("acquisition"), catalog.entries("architecture")
    without = [e.name for e in strategies if isinstance(e.spec, AcquisitionSpec) and _plain(e.spec)]
    giving = [e.name for e in architectures if isinstance(e.spec, ArchitectureSpec) and e.spec.embeddings]
    own = {part.name for part in inner(architecture, "architecture").values()}
    giving.sort(key=lambda name: name not in own)
    message = (
        f"{named} needs embeddings, which architecture '{architecture.name}' does not give; acquisitions without them are"
        f" {few(without)}; architectures with them are {few(giving)}"
    )
    settable = path.startswith("acquisition") and not any(part.isdigit() for part in path.split("."))
    block, names = (path, without) if settable and not _need(chain[:-1], without, catalog) else ("architecture", giving)
    return path, message, [f"{block}={name}" for name in names[:1]]


def _need(around: Sequence[Placed], plain: Sequence[str], catalog: Catalog) -> bool:
    """Return whether one of these needs embeddings also around a strategy that does not."""
    if not plain:
        return True
    entry = catalog.find("acquisition", plain[0])
    other: Component[Any] = Component(entry.spec, entry.name, entry.spec.params(), entry.provenance)
    return any([*embedding("", with_inner(strategy, lambda part: other))] for _, strategy in around)


def _plain(spec: AcquisitionSpec) -> bool:
    """Return whether a strategy reads no more than what every classifier gives, whatever its parameters are."""
    return spec.needs is not None and spec.needs <= {"logits", "log_probabilities"}
