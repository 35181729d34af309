"""Checks of acquisition strategies, on a pool of forty samples."""

from __future__ import annotations

from typing import Any, cast

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from zoo.active.selection import select
from zoo.bases import BatchStrategy, HeldOut, Labeled, ScoreStrategy
from zoo.components import AcquisitionSpec, Component
from zoo.testing.pool import Fields, MemoryPool, Shared
from zoo.training.randomness import uniform

SIZE, LABELED, CLASSES, PASSES, WIDTH, MEMBERS = 40, 12, 5, 6, 8, 3


def _noise(name: str, *shape: int) -> torch.Tensor:
    rows = shape[0]
    columns = torch.Size(shape[1:]).numel()
    return 4 * uniform(0, name, 0, torch.arange(rows), columns).view(*shape) - 2


def _fields() -> Fields:
    logits = _noise("logits", SIZE, CLASSES)
    return {
        "logits": logits,
        "log_probabilities": logits.log_softmax(1),
        "mc_log_probabilities": _noise("passes", SIZE, PASSES, CLASSES).log_softmax(2),
        "embeddings": _noise("embeddings", SIZE, WIDTH).half(),
        "committee": _noise("committee", SIZE, MEMBERS, CLASSES).log_softmax(2),
    }


def _shared() -> Shared:
    labels = torch.arange(LABELED) % CLASSES
    labeled = Labeled(
        embeddings=_noise("labeled", LABELED, WIDTH).half(),
        labels=labels,
        class_counts=torch.bincount(labels, minlength=CLASSES),
    )
    return {
        "labeled": labeled,
        "labeled_log_probabilities": _noise("labeled logits", LABELED, CLASSES).log_softmax(1),
        "held_out": [_held_out("a"), _held_out("b")],
        "target": _noise("target", LABELED, PASSES, CLASSES).log_softmax(2),
    }


def _held_out(fold: str) -> HeldOut:
    rows = LABELED // 2
    return HeldOut(
        logits=_noise(f"held out {fold}", rows, CLASSES),
        embeddings=_noise(f"held out {fold} embeddings", rows, WIDTH).half(),
        unknown_logits=_noise(f"unknown {fold}", 3, CLASSES),
        unknown_embeddings=_noise(f"unknown {fold} embeddings", 3, WIDTH).half(),
        others=_noise(f"others of {fold}", rows, WIDTH).half(),
    )


def _pool(component: Component[Any], *, seed: int = 0, round: int = 0, fields: Fields | None = None) -> MemoryPool:
    ids = [f"sample-{i:03d}" for i in range(SIZE)]
    needs = cast(AcquisitionSpec, component.spec).needs_of(component.params)
    return MemoryPool(ids, fields or _fields(), frozenset[str](needs), shared=_shared(), seed=seed, round=round)


def _strategy(component: Component[Any]) -> ScoreStrategy | BatchStrategy:
    strategy = component.build()
    assert isinstance(strategy, (ScoreStrategy, BatchStrategy)), (
        f"the factory must return a zoo.ScoreStrategy or zoo.BatchStrategy, got {type(strategy).__name__} instead"
    )
    return strategy


def check_distinct_positions(component: Component[Any]) -> None:
    """For k from 1 to the pool's size, k distinct positions come back; k = n is the whole pool."""
    strategy, pool = _strategy(component), _pool(component)
    for k in (1, 2, 3, CLASSES, LABELED + 1, SIZE // 2, SIZE - 1, SIZE):
        chosen = select(strategy, pool, k)
        assert len(set(chosen)) == k, f"{len(set(chosen))} distinct positions for k={k}"


class Rounded(TorchDispatchMode):
    """Inside it, every product of matrices and every sum is off by up to two units in the last place, as elsewhere it may be."""

    _OFF = ("mm", "bmm", "addmm", "baddbmm", "mv", "dot", "sum")

    def __init__(self, seed: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._generator = torch.Generator().manual_seed(seed)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if func.overloadpacket.__name__ not in self._OFF or not found.is_floating_point():
            return found
        units = torch.randint(-2, 3, found.shape, generator=self._generator)
        return found * (1 + units.to(found.dtype) * torch.finfo(found.dtype).eps)


def check_distinct_however_sums_are_rounded(component: Component[Any]) -> None:
    """Distinct positions come back on processors and libraries that round otherwise, also of samples that are alike in twos and threes."""
    strategy = _strategy(component)
    fields = {name: values[torch.arange(SIZE) % (SIZE // 2 - 1)] for name, values in _fields().items()}
    for seed in range(3):
        with Rounded(seed):
            chosen = select(strategy, _pool(component, seed=seed, fields=fields), SIZE)
        assert sorted(chosen) == list(range(SIZE))


def check_reads_what_it_needs(component: Component[Any]) -> None:
    """It reads no field of the pool that `needs` does not name; labels are not there at all."""
    select(_strategy(component), _pool(component), 5)


def check_repeats(component: Component[Any]) -> None:
    """The same seed and round choose the same samples, whatever the state of torch's generator, which is left alone."""
    before = torch.default_generator.get_state()
    first = select(_strategy(component), _pool(component), 10)
    assert torch.equal(torch.default_generator.get_state(), before), "it draws from torch's global generator"
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(99)
        again = select(_strategy(component), _pool(component), 10)
    assert first == again, "two calls with one seed choose different samples"


def check_order_of_the_pool_does_not_matter(component: Component[Any]) -> None:
    """A permuted pool gives the same sample ids, ties included."""
    flat = _fields()
    flat = {
        name: torch.where(torch.arange(SIZE).view(-1, *[1] * (v.ndim - 1)) < 20, v, v[:1]) for name, v in flat.items()
    }
    for fields in (_fields(), flat):
        pool = _pool(component, fields=fields)
        permuted = pool.taken(torch.argsort(uniform(0, "permutation", 0, torch.arange(SIZE))[:, 0]))
        first = [pool.ids[i] for i in select(_strategy(component), pool, 15)]
        second = [permuted.ids[i] for i in select(_strategy(component), permuted, 15)]
        assert first == second, "the chosen ids change with the order of the pool"


def check_blocks_do_not_matter(component: Component[Any]) -> None:
    """Scored in blocks of seven or at once, the same samples are chosen."""
    strategy = _strategy(component)
    if isinstance(strategy, ScoreStrategy):
        first, second = (select(strategy, _pool(component), 10, block=size) for size in (7, 4096))
        assert first == second, "the chosen samples change with the size of blocks"


def check_finite_when_certain(component: Component[Any]) -> None:
    """Where the net is certain (probabilities of exactly 0 and 1) no score is not-a-number."""
    fields = _fields()
    for name in ("log_probabilities", "mc_log_probabilities", "committee"):
        hit = torch.zeros_like(fields[name]).scatter_(-1, fields[name].argmax(-1, keepdim=True), 1.0)
        fields[name] = hit.log()
    fields["logits"] = 1e4 * (fields["log_probabilities"] == 0)
    chosen = select(_strategy(component), _pool(component, fields=fields), SIZE)
    assert sorted(chosen) == list(range(SIZE))


CHECKS = [
    check_distinct_positions,
    check_distinct_however_sums_are_rounded,
    check_reads_what_it_needs,
    check_repeats,
    check_order_of_the_pool_does_not_matter,
    check_blocks_do_not_matter,
    check_finite_when_certain,
]
