"""The unlabelled samples as strategies read them: no more is computed than is asked for, and the same by any number of processes."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from fixtures import benches
from fixtures.benches import recipe
from torch import Tensor, distributed

from zoo.active.journal import Labels
from zoo.active.pool import FIELDS, Fields, UnlabeledPool, in_memory
from zoo.active.scoring import Scorer
from zoo.active.selection import rank
from zoo.bases import HeldOut, Labeled
from zoo.components import AcquisitionSpec
from zoo.errors import ComponentError
from zoo.registry import resolve_component
from zoo.testing.pool import MemoryPool
from zoo.training.distributed import World
from zoo.training.experiment import Experiment
from zoo_acquisitions.plugin import zoo_acquisitions

IDS = [f"{number:04}" for number in range(100)]
LOGITS = torch.arange(300, dtype=torch.float32).view(100, 3)
MAPS = Path("/proc/self/maps")
HALVES = torch.arange(200, dtype=torch.float16).view(100, 2)


class Counted:
    """Finds fields in memory, and keeps which positions were asked for at once, and which fields of them."""

    def __init__(self) -> None:
        self.asked: list[tuple[list[int], frozenset[str]]] = []
        self._found = in_memory({"logits": LOGITS, "embeddings": HALVES})

    def __call__(self, rows: Sequence[Tensor], wanted: frozenset[str]) -> Iterator[Fields]:
        for row in rows:
            self.asked.append((row.tolist(), wanted))
            yield from self._found([row], wanted)

    @property
    def sizes(self) -> list[int]:
        return [len(rows) for rows, _ in self.asked]


def pool(compute: Callable[..., Iterator[Fields]], *needs: str, **options: Any) -> UnlabeledPool:
    return UnlabeledPool(IDS, compute, frozenset(needs), **{"unit": 16, **options})


def test_blocks_stream_what_they_compute_in_units() -> None:
    compute = Counted()
    blocks = pool(compute, "logits").blocks(20)
    first = next(blocks)
    assert first.ids == IDS[:20] and torch.equal(first.logits, LOGITS[:20])
    assert compute.sizes == [16, 16]  # and no more, until more is asked for
    rest = list(blocks)
    assert [len(block) for block in rest] == [20, 20, 20, 20]
    assert torch.equal(torch.cat([first.logits, *(block.logits for block in rest)]), LOGITS)
    assert [name for block in [first, *rest] for name in block.ids] == IDS
    assert compute.sizes == [16] * 6 + [4]
    assert [len(block) for block in pool(compute, "logits").blocks(70)] == [70, 30]


def test_a_strategy_that_scores_leaves_nothing_behind() -> None:
    compute = Counted()
    samples = pool(compute, "logits")
    assert sum(len(block.logits) for block in samples.blocks(33)) == 100
    assert samples._kept == {} and samples._rows.tolist() == list(range(100))
    list(samples.blocks(33))
    assert compute.sizes == 2 * ([16] * 6 + [4])


@pytest.mark.parametrize("size", [7, 16, 50, 1000])
def test_units_do_not_depend_on_who_asks(size: int) -> None:
    """A row has the same mates wherever it is read: the rounding of its products depends on them."""
    by_blocks, whole = Counted(), Counted()
    list(pool(by_blocks, "logits").blocks(size))
    _ = pool(whole, "logits").logits
    assert by_blocks.asked == whole.asked


def test_what_needs_nothing_computes_nothing() -> None:
    compute = Counted()
    assert [len(block) for block in pool(compute).blocks(60)] == [60, 40] and compute.asked == []


def test_a_field_read_whole_is_computed_once_with_the_others_that_are_needed() -> None:
    compute = Counted()
    samples = pool(compute, "logits", "embeddings")
    assert torch.equal(samples.embeddings, HALVES) and torch.equal(samples.logits, LOGITS)
    assert [block.logits[0, 0].item() for block in samples.blocks(50)] == [0, 150]
    assert compute.sizes == [16] * 6 + [4]
    assert {wanted for _, wanted in compute.asked} == {frozenset({"logits", "embeddings"})}


@pytest.mark.parametrize("name", sorted(FIELDS | {"labeled", "held_out", "target"}))
def test_what_is_not_needed_may_not_be_read(name: str) -> None:
    samples = pool(Counted(), shared={"labeled": lambda: None})
    for part in (samples, next(samples.blocks(10)), samples.taken(torch.tensor([1]))):
        with pytest.raises(ComponentError, match=f"the strategy reads '{name}', which its `needs` does not name"):
            getattr(part, name)
    with pytest.raises(AttributeError):
        _ = samples.labels


def test_blocks_hold_what_fits_and_a_unit_at_least() -> None:
    wide = torch.arange(100.0)[:, None].expand(100, 50_000)  # 195 KiB a row, five of them in a MiB
    narrow = pool(in_memory({"logits": wide}), "logits", memory_limit=1, unit=4)
    rows = [block.logits[:, 0].tolist() for block in narrow.blocks(60)]
    assert rows == [list(range(start, start + 5)) for start in range(0, 100, 5)]
    for limit, sizes in ((1, [16] * 6 + [4]), (12, [60, 40])):
        samples = pool(in_memory({"logits": wide}), "logits", memory_limit=limit)
        assert [len(block) for block in samples.blocks(60)] == sizes
    _ = narrow.logits
    assert {len(block) for block in narrow.blocks(60)} == {5}


BAD = {
    "logits": [torch.nan, torch.inf],
    "log_probabilities": [torch.nan],
    "mc_log_probabilities": [torch.nan],
    "embeddings": [torch.nan, torch.inf, -torch.inf],
    "committee": [torch.nan],
}


def _sound() -> dict[str, Tensor]:
    log_p = torch.full((100, 3), 1 / 3).log()
    several = log_p[:, None].repeat(1, 4, 1)
    return {
        "logits": LOGITS.clone(), "log_probabilities": log_p, "mc_log_probabilities": several,
        "embeddings": HALVES.clone(), "committee": several.clone(),
    }  # fmt: skip


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in BAD.items() for value in values])
def test_what_is_not_a_number_is_refused_by_its_name(name: str, value: float) -> None:
    found = _sound()
    found[name][[40, 44]] = value
    found[name][45].view(-1)[1] = value
    told = rf"{name} are not finite numbers for 3 of 16 samples that were computed together[^$]*lower optimizer\.lr"
    for read in (lambda each: getattr(each, name), lambda each: list(each.blocks(20))):
        with pytest.raises(ComponentError, match=told):
            read(pool(in_memory(found), name))
    with pytest.raises(ComponentError, match="for 3 of 100 samples"):
        MemoryPool(IDS, found, frozenset({name}))
    assert MemoryPool(IDS, found, frozenset()).ids == IDS


@pytest.mark.parametrize("name", sorted(FIELDS - {"embeddings"}))
def test_a_probability_of_nought_is_a_number_and_no_class_at_all_is_not(name: str) -> None:
    found = _sound()
    found[name][:, ..., 1] = -torch.inf
    assert torch.equal(getattr(pool(in_memory(found), name), name), found[name])
    found[name][3] = -torch.inf
    with pytest.raises(ComponentError, match=f"{name} are not finite numbers for 1 of 16"):
        getattr(pool(in_memory(found), name), name)


def test_what_all_samples_have_in_common_is_looked_at_once() -> None:
    embeddings, logits = torch.zeros(4, 2).half(), torch.zeros(4, 3)
    bad, counts = embeddings.clone().index_fill_(0, torch.tensor([2]), torch.nan), torch.tensor([2, 1, 1])
    labeled = Labeled(embeddings=bad, labels=torch.tensor([0, 1, 2, 0]), class_counts=counts)
    held = HeldOut(
        logits=logits, embeddings=embeddings, others=bad, unknown_logits=logits[:0], unknown_embeddings=embeddings[:0]
    )
    shared = {"labeled": labeled, "held_out": [held], "target": torch.full((5, 4, 3), torch.nan)}
    parts = {"labeled": r"labeled\.embeddings", "held_out": r"held_out\.others", "target": "target"}
    for name, value in shared.items():
        samples = pool(Counted(), "logits", name, shared={name: lambda value=value: value})
        for part in (samples, samples.taken(torch.tensor([1])), next(samples.blocks(10))):
            with pytest.raises(ComponentError, match=rf"{parts[name]} are not finite numbers for \d of \d samples"):
                getattr(part, name)
    target = torch.zeros(5, 4, 3)
    samples = pool(Counted(), "target", shared={"target": lambda: target})
    assert samples.target is target
    target.fill_(torch.nan)  # which is not looked for again in any part
    assert samples.taken(torch.arange(3)).target is target


@pytest.mark.parametrize(
    "name", ["batch-bald", "class-balanced", "clue", "badge", "k-center", "bait", "bald", "entropy"]
)
@pytest.mark.parametrize("rows", [1, 100])
def test_no_strategy_chooses_from_a_model_that_diverged(name: str, rows: int) -> None:
    found = {field: values.clone() for field, values in _sound().items()}
    for values in found.values():
        values[:rows] = torch.nan
    component = resolve_component(benches.CATALOG, "acquisition", name, [])
    assert isinstance(component.spec, AcquisitionSpec)
    own = Labeled(embeddings=HALVES[:0], labels=torch.empty(0, dtype=torch.int64), class_counts=torch.tensor([0, 0, 0]))
    wanted = frozenset[str](component.spec.needs_of(component.params))
    with pytest.raises(ComponentError, match="are not finite numbers"):
        rank(component.build(), pool(in_memory(found), *wanted, shared={"labeled": lambda: own}), 5)


@pytest.mark.skipif(not MAPS.exists(), reason="only Linux tells what lies where in memory")
def test_fields_beyond_the_memory_limit_lie_in_a_temporary_file() -> None:
    wide = torch.rand(100, 50_000)  # 19 MiB
    samples = pool(in_memory({"logits": wide}), "logits", memory_limit=1)
    assert torch.equal(samples.logits, wide)
    assert _place(samples.logits).endswith("(deleted)")  # a file without a name, which goes with the process
    inside = pool(in_memory({"logits": wide}), "logits", memory_limit=20)
    assert torch.equal(inside.logits, wide) and not _place(inside.logits).endswith("(deleted)")


def _place(tensor: Tensor) -> str:
    """Return what the memory of a tensor is mapped to."""
    for line in MAPS.read_text().splitlines():
        low, high = (int(text, 16) for text in line.split()[0].split("-"))
        if low <= tensor.data_ptr() < high:
            return line
    raise AssertionError("the tensor is nowhere")


def test_what_is_taken_computes_its_rows_alone() -> None:
    compute = Counted()
    part = pool(compute, "logits", "embeddings").taken(torch.tensor([70, 3, 40]), frozenset({"logits"}))
    assert part.ids == ["0070", "0003", "0040"] and compute.asked == []
    assert torch.equal(part.logits, LOGITS[[70, 3, 40]])
    assert compute.asked == [([70, 3, 40], frozenset({"logits"}))]
    with pytest.raises(ComponentError, match="embeddings"):
        _ = part.embeddings
    assert part.taken(torch.tensor([1])).ids == ["0003"]


def test_what_is_taken_of_what_is_there_is_not_computed_again() -> None:
    compute = Counted()
    samples = pool(compute, "logits")
    _ = samples.logits
    before = len(compute.asked)
    assert torch.equal(samples.taken(torch.tensor([5, 2])).logits, LOGITS[[5, 2]])
    assert len(compute.asked) == before
    whole = pool(compute, "embeddings")
    assert torch.equal(whole.taken(torch.arange(100)).embeddings, HALVES)
    after = len(compute.asked)
    assert torch.equal(whole.embeddings, HALVES) and len(compute.asked) == after  # found by the part


def test_what_is_there_is_not_copied() -> None:
    samples = pool(Counted(), "logits")
    assert samples.ids is IDS and samples.taken(torch.arange(100)).ids is IDS
    kept = samples.logits
    assert [block.logits.data_ptr() for block in samples.blocks(30)] == [kept[i:].data_ptr() for i in (0, 30, 60, 90)]
    assert torch.equal(torch.cat([block.logits for block in samples.blocks(30)]), LOGITS)


def test_rows_and_words_of_the_round_go_with_every_part() -> None:
    samples = pool(
        Counted(), "logits", "labeled", rows=torch.arange(99, -1, -1), shared={"labeled": lambda: 7}, seed=5, round=2
    )
    for part in (samples, samples.taken(torch.arange(4)), next(samples.blocks(4))):
        assert (part.seed, part.round, part.labeled) == (5, 2, 7)
        assert torch.equal(part.logits[:4], LOGITS[[99, 98, 97, 96]])


# Every strategy, on fields of a real network that so many processes compute together.
DROPS = "regularizers=[{name: dropout, rate: 0.5}]"
STRATEGIES = [*((spec.name,) for spec in zoo_acquisitions()), ("entropy", "of=mean"), ("prefilter", "by=nearest")]
SHARE = 24  # so that 180 samples are eight units


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    bench = benches.workbench(recipe(DROPS))
    labels = bench.x.dataset.splits["train"].labels
    rows = np.arange(180, 200)
    one, two = (benches.finished(bench.train(Labels(rows, labels[rows], rows[:0]), seed)) for seed in (0, 1))
    members = [_scorer(bench.loader("train"), x) for x in (one, two)]
    return _scorer(bench.loader("train"), one, members)


def _scorer(samples: Any, x: Experiment, members: Sequence[Scorer] = ()) -> Scorer:
    return Scorer(x, samples, seed=4, passes=3, committee=members)


def chosen(scorer: Scorer, world: World) -> dict[str, Any]:
    """Return what each strategy chooses, and the scores of those that score."""
    ids = [f"{number:04}" for number in range(180)]
    found = {}
    for name, *settings in STRATEGIES:
        component = resolve_component(benches.CATALOG, "acquisition", name, settings)
        assert isinstance(component.spec, AcquisitionSpec)
        samples = UnlabeledPool(
            ids,
            scorer,
            frozenset(component.spec.needs_of(component.params)),
            shared=_shared(scorer),
            unit=SHARE,
            world=world,
        )
        found[" ".join([name, *settings])] = rank(component.build(), samples, 7)
    return found


def _shared(scorer: Scorer) -> dict[str, Callable[[], Any]]:
    def field(rows: Tensor, name: str) -> Tensor:
        return torch.cat([fields[name] for fields in scorer([rows], frozenset({name}))])

    asked, labels = torch.arange(180, 200), torch.arange(20) % 10
    held = HeldOut(
        logits=field(asked, "logits"), embeddings=field(asked[:9], "embeddings"), others=field(asked[9:], "embeddings"),
        unknown_logits=field(asked[:4], "logits"), unknown_embeddings=field(asked[:4], "embeddings"),
    )  # fmt: skip
    own = Labeled(embeddings=field(asked, "embeddings"), labels=labels, class_counts=torch.bincount(labels))
    said = field(asked, "log_probabilities")
    target = field(torch.arange(30), "mc_log_probabilities")
    return {
        "labeled": lambda: own, "labeled_log_probabilities": lambda: said, "held_out": lambda: [held], "target": lambda: target
    }  # fmt: skip


def _chosen_by_one_of(scorer: Scorer, number: int, size: int, folder: Path) -> None:
    distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=number, world_size=size)
    found = chosen(scorer, World(number, size))
    (folder / f"{number}.json").write_text(json.dumps(found))
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def expected(scorer: Scorer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(chosen(scorer, World())))
    return found


@pytest.mark.parametrize("size", [2, 3])
def test_every_strategy_chooses_the_same_by_any_number_of_processes(
    size: int, scorer: Scorer, expected: dict[str, Any], tmp_path: Path
) -> None:
    context = multiprocessing.get_context("fork")
    others = [
        context.Process(target=_chosen_by_one_of, args=(scorer, number, size, tmp_path)) for number in range(size)
    ]
    for process in others:
        process.start()
    for process in others:
        process.join()
    assert [process.exitcode for process in others] == [0] * size
    for number in range(size):
        assert json.loads((tmp_path / f"{number}.json").read_text()) == expected
    assert len(expected) == len(STRATEGIES) and all(len(set(positions)) == 7 for positions, _ in expected.values())
