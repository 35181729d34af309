"""What a strategy is to ask for next, given what the round's model knows."""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from zoo.active.gate import auroc, folds, fpr_at_tpr
from zoo.active.journal import Labels
from zoo.active.material import TARGET, TARGETS, Material, Rows
from zoo.active.oracle import subset
from zoo.active.pool import UNIT, UnlabeledPool
from zoo.active.scoring import Scorer
from zoo.active.selection import rank
from zoo.active.workbench import Workbench, round_seed
from zoo.bases import Gate, HeldOut, Judgement, Labeled
from zoo.components import AcquisitionSpec, Component
from zoo.errors import ComponentError, DataError, ZooError
from zoo.guard import guarded
from zoo.nesting import inner, with_inner
from zoo.training.events import Event
from zoo.training.experiment import Experiment
from zoo.training.randomness import uniform_ids


@dataclass(frozen=True)
class Situation:
    """A round whose model `x` is trained: what is labelled, and the committee's benches and models."""

    bench: Workbench
    material: Material
    labels: Labels
    x: Experiment
    seed: int
    round: int
    committee: Sequence[tuple[Workbench, Experiment]] = ()
    pulse: Callable[[int], None] = lambda rows: None

    @property
    def device(self) -> torch.device:
        """Where fields are kept and strategies compute: on the model's device, unless that lacks float64."""
        return torch.device("cpu") if self.x.device.type == "mps" else self.x.device

    def scorer(self, bench: Workbench, x: Experiment, split: str = "train") -> Scorer:
        """Return what computes fields of a split, by default of all that can be asked for, with a model."""
        active = self.bench.active
        return Scorer(x, bench.loader(split), seed=round_seed(self.seed, self.round), passes=active.passes)


def needs(strategy: Component[Any]) -> frozenset[str]:
    """Return what a strategy reads of the pool."""
    assert isinstance(strategy.spec, AcquisitionSpec)
    return frozenset[str](strategy.spec.needs_of(strategy.params))


def members(strategy: Component[Any]) -> tuple[str, ...]:
    """Return the recipes of the committee that a strategy asks, or one inside of it; one recipe may be several members of it.

    Raises ZooError for fewer than two members, and for a strategy that asks several committees.
    """
    found = list(_committees(strategy))
    for name, recipes in found:
        if len(recipes) < 2:
            raise ZooError(
                f"strategy {name} asks a committee of {len(recipes)} recipes",
                possible="two recipes or more, of any families, or one that is named several times",
                hint="--strategy '{name: committee, members: [lenet5-adamw, row-lstm-adamw]}'",
            )
    if len({tuple(sorted(recipes)) for _, recipes in found}) > 1:
        raise ZooError(
            f"strategy {strategy.name} asks several committees: {' and '.join(', '.join(each) for _, each in found)}",
            possible="one committee, which all strategies inside of it ask",
            hint="the same members in all of them",
        )
    return found[0][1] if found else ()


def _committees(strategy: Component[Any]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield the strategies that ask a committee by name, and its recipes: those named around a strategy go before its own."""
    if "committee" not in needs(strategy):
        return
    named = tuple(name for name in getattr(strategy.params, "members", ()) if isinstance(name, str))
    inside = [] if named else [each for part in inner(strategy, "acquisition").values() for each in _committees(part)]
    yield from inside or [(strategy.name, named)]


def choose(now: Situation, strategy: Component[Any], count: int) -> Generator[Event, None, tuple[Rows, dict[str, Any]]]:
    """Return up to `count` rows of train to ask for, best first, and how they were chosen; trains on folds where that is needed.

    The candidates stand in the order of their ids, so that neither their order in the data nor the number of processes plays a part.
    Raises DataError for an empty pool.
    """
    wanted = needs(strategy)
    candidates = subset(
        now.material,
        now.labels.open(len(now.material.ids)),
        now.bench.active.pool_subset,
        seed=now.seed,
        round=now.round,
    )
    if not len(candidates):
        raise DataError("the pool is empty: everything has been asked", hint="fewer rounds, or a smaller query")
    candidates = now.material.in_order(candidates)
    held_out: list[HeldOut] = []
    if "held_out" in wanted:
        held_out = yield from _held_out(now)
    pool = _pool(now, candidates, wanted, held_out)
    built = list[Any]()
    asked = _Heard(strategy, built).build()
    with guarded(f"strategy {strategy.name}", ComponentError):
        positions, scores = rank(asked, pool, min(count, len(pool)))
        told: dict[str, Any] = {"pool": len(pool), "scores": None if scores is None else _finite(scores)}
        if judged := _outermost(built):
            known = dict(zip(pool.ids, now.material.known[candidates].tolist(), strict=True))
            told["gate"] = _figures(judged, np.array([known[name] for name in judged.pool.ids]))
    return candidates[positions], told


class _Heard(Component[Any]):
    """A strategy of which all that is built for it is heard of, what is inside first: no gate is found from outside otherwise."""

    __slots__ = ("_built",)

    def __init__(self, strategy: Component[Any], built: list[Any]) -> None:
        inside = with_inner(strategy, lambda part: _Heard(part, built))
        super().__init__(inside.spec, inside.name, inside.params, inside.provenance)
        self._built = built

    def build(self, *args: Any, **kwargs: Any) -> Any:
        """Return what the strategy's factory builds, which is kept in `built` as well."""
        found = super().build(*args, **kwargs)
        self._built.append(found)
        return found


def _outermost(built: Sequence[Any]) -> Judgement | None:
    """Return what the outermost gate has judged, None where none has."""
    return next((each.judged for each in reversed(built) if isinstance(each, Gate) and each.judged is not None), None)


def _finite(scores: Sequence[float]) -> list[float | None]:
    """Return scores as JSON has them, which knows no infinity."""
    return [score if math.isfinite(score) else None for score in scores]


def _pool(now: Situation, candidates: Rows, wanted: frozenset[str], held_out: Sequence[HeldOut]) -> UnlabeledPool:
    members = [now.scorer(bench, x) for bench, x in now.committee]
    scorer = Scorer(
        now.x, now.bench.loader("train"), seed=round_seed(now.seed, now.round), passes=now.bench.active.passes,
        committee=members,
    )  # fmt: skip
    names = [now.material.ids[row] for row in candidates.tolist()]
    shared: dict[str, Callable[[], Any]] = {
        "labeled": cache(lambda: _labeled(now, scorer, "embeddings" in wanted)),
        "labeled_log_probabilities": cache(lambda: _field(now, scorer, _rows_with_labels(now)[0], "log_probabilities")),
        "held_out": lambda: held_out,
        "target": cache(lambda: _target(now, scorer)),
    }
    for name in wanted & {"labeled", "labeled_log_probabilities", "target"}:
        shared[name]()  # before the pool is streamed: files are read by one pass at a time
    return UnlabeledPool(
        names, scorer, wanted, rows=torch.from_numpy(candidates), shared=shared, seed=now.seed, round=now.round,
        memory_limit=now.bench.recipe.data.memory_limit, device=now.device, world=now.x.world, pulse=now.pulse,
    )  # fmt: skip


def _rows_with_labels(now: Situation) -> tuple[Rows, Rows]:
    """Return the rows that have labels, in the order of their ids, and their classes."""
    order = np.argsort(now.material.place[now.labels.rows])
    return now.labels.rows[order], now.labels.classes[order]


def _labeled(now: Situation, scorer: Scorer, embeds: bool) -> Labeled:
    rows, found = _rows_with_labels(now)
    classes = torch.from_numpy(found)
    return Labeled(
        embeddings=_field(now, scorer, rows, "embeddings") if embeds else torch.empty(0, 0, dtype=torch.float16),
        labels=classes,
        class_counts=torch.bincount(classes, minlength=len(now.material.dataset.classes)),
    )


def _target(now: Situation, scorer: Scorer) -> torch.Tensor:
    """Return what the passes say of target inputs: of those that were named, else of some of what has no answer, drawn by id."""
    if named := now.material.target:
        return _field(now, now.scorer(now.bench, now.x, TARGET), np.arange(len(named)), "mc_log_probabilities")
    rows = now.labels.open(len(now.material.ids))
    draws = uniform_ids(now.seed, "target", 0, [now.material.ids[row] for row in rows.tolist()])[:, 0].numpy()
    return _field(now, scorer, rows[np.argsort(draws, kind="stable")[:TARGETS]], "mc_log_probabilities")


def _field(now: Situation, scorer: Scorer, rows: Rows, name: str) -> torch.Tensor:
    if not len(rows):
        return torch.empty(0, 0)
    units = torch.from_numpy(rows).split(UNIT)
    return torch.cat([fields[name] for fields in scorer(units, frozenset({name}))]).to(now.device)


def _held_out(now: Situation) -> Generator[Event, None, list[HeldOut]]:
    """Train on all folds of the answered samples but one, for each in turn, and return what is said of that one."""
    rows, classes = now.labels.rows, now.labels.classes
    names = [now.material.ids[row] for row in rows.tolist()]
    count = min(now.bench.active.folds, len(rows))
    of = folds(torch.from_numpy(classes), count, now.seed, names).numpy()
    unknown = now.material.in_order(now.labels.unknown)
    of_unknown = np.arange(len(unknown)) % count
    found = []
    for fold in range(count):
        held, rest = rows[of == fold], rows[of != fold]
        strangers = unknown[of_unknown == fold]
        part = Labels(rest, classes[of != fold], unknown[of_unknown != fold])
        x = yield from now.bench.train(part, round_seed(now.seed, now.round))
        scorer = now.scorer(now.bench, x)
        embeds = hasattr(x.model, "classifier")
        found.append(
            HeldOut(
                logits=_field(now, scorer, held, "logits"),
                embeddings=_field(now, scorer, held if embeds else held[:0], "embeddings"),
                others=_field(now, scorer, rest if embeds else rest[:0], "embeddings"),
                unknown_logits=_field(now, scorer, strangers, "logits"),
                unknown_embeddings=_field(now, scorer, strangers if embeds else strangers[:0], "embeddings"),
            )
        )
    return found


def _figures(judged: Judgement, known: NDArray[np.bool_]) -> dict[str, Any]:
    """Return how well a gate told what is known of the samples that it judged, which it is not told itself."""
    scores, is_known = judged.scores.cpu(), torch.from_numpy(known)
    accepted = (scores <= judged.limit).numpy()
    return {
        "judged": len(known),
        "auroc": auroc(scores[is_known], scores[~is_known]),
        "fpr95": fpr_at_tpr(scores[is_known], scores[~is_known]),
        "kept": float(accepted.mean()),
        "known_kept": float(accepted[known].mean()) if known.any() else None,
        "purity": float(known[accepted].mean()) if accepted.any() else None,
    }
