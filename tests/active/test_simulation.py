"""One simulation: what it leaves is a function of its plan and seed, wherever it stopped and in whatever order the pool stands."""

from __future__ import annotations

import multiprocessing
import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from fixtures import benches
from fixtures.benches import asking, bench, left, lines, permuted, recipe, shuffled, simulated, simulation
from msgspec.structs import replace as changed

from zoo.active import choosing
from zoo.active.benches import Bench
from zoo.active.events import Phase, RoundDone
from zoo.active.journal import CORRECT, CURVE, QUERIES, STOP, TIMINGS, Journal, Labels, curve, labelled
from zoo.active.material import Material, gather
from zoo.active.oracle import Oracle
from zoo.active.scoring import Scorer
from zoo.errors import Interrupted, RunError
from zoo.recipe import Recipe
from zoo.training.checkpoint import dumps
from zoo.training.events import EpochDone, StepDone
from zoo.training.run import Run
from zoo_acquisitions.plugin import zoo_acquisitions

# With dropout, which passes need, and without: each strategy that the package has, around others too.
DROPS = "regularizers=[{name: dropout, rate: 0.5}]"
ALONE = sorted(spec.name for spec in zoo_acquisitions())
INSIDE = [("entropy", "of=mean"), ("gate", "by=nearest"), ("prefilter", "by=nearest"), ("distinct", "strategy=bald")]
STRATEGIES: list[tuple[str, ...]] = [*((name,) for name in ALONE), *INSIDE]
MEMBERS = ("lenet5-adamw", "conv-net-momentum")


def strategy(asked: Recipe, name: str, *settings: str) -> Recipe:
    members = [f"members=[{', '.join(MEMBERS)}]"] if name == "committee" else []
    return asking(asked, name, *settings, *members)


@pytest.fixture(scope="module")
def asked() -> Recipe:
    return recipe(DROPS, "active.passes=3", "active.folds=2", "active.pool_subset=120")


@pytest.fixture(scope="module")
def material(asked: Recipe) -> Material:
    return gather(asked)


def with_committee(asked: Recipe, material: Material) -> Bench:
    other = changed(recipe(DROPS, name="lenet5-adamw"), active=asked.active)
    members = (gather(other).dataset, material.dataset)
    benched = [
        benches.workbench(r, replace(material, dataset=data)) for r, data in zip((other, asked), members, strict=True)
    ]
    return Bench(benches.workbench(asked, material), material, dict(zip(MEMBERS, benched, strict=True)))


@pytest.fixture(scope="module")
def shared(asked: Recipe, material: Material) -> Bench:
    return with_committee(asked, material)


@pytest.fixture(scope="module")
def elsewhere(asked: Recipe, material: Material) -> Bench:
    """The same with the pool in another order, and the labels of test shuffled."""
    order = np.random.default_rng(1).permutation(len(material.ids))
    mixed = shuffled(permuted(material, order), "test")
    found = bench(asked, mixed)
    other = changed(recipe(DROPS, name="lenet5-adamw"), active=asked.active)
    own = gather(other)
    member = benches.workbench(other, permuted(own, order))
    return replace(found, committee=dict(zip(MEMBERS, (member, benches.workbench(asked, mixed)), strict=True)))


@pytest.mark.parametrize("words", STRATEGIES, ids=" ".join)
def test_each_strategy_asks_for_the_same_wherever_samples_stand_and_whatever_test_says(
    words: tuple[str, ...], asked: Recipe, shared: Bench, elsewhere: Bench, tmp_path: Path
) -> None:
    own = strategy(asked, *words)
    here = simulated(tmp_path / "here", own, shared, seed=3)
    there = simulated(tmp_path / "there", own, elsewhere, seed=3)
    assert left(here, [QUERIES]) == left(there, [QUERIES])
    assert left(here, [CURVE]) != left(there, [CURVE])
    assert [(line["round"], len(line["ids"])) for line in lines(here)] == [(0, 20), (1, 6), (2, 6)]
    assert len({name for line in lines(here) for name in line["ids"]}) == 32


# Everything that a round may write: answers with dropout, validation, robustness, a watched stop set.
FULL = (
    DROPS, "active.passes=2", "active.steps=3", "active.measure=dropout-mean", "active.validation=free", "active.stop=[stable]",
    "active.robustness=10", "active.start=warm",
)  # fmt: skip
WRITTEN = (QUERIES, CURVE, CORRECT, STOP)


@pytest.fixture(scope="module")
def full() -> tuple[Recipe, Bench]:
    asked = asking(recipe(*FULL), "bald")
    return asked, bench(asked)


@pytest.fixture(scope="module")
def whole(full: tuple[Recipe, Bench], tmp_path_factory: pytest.TempPathFactory) -> Run:
    return simulated(tmp_path_factory.mktemp("whole") / "run", *full)


def same(run: Run, whole: Run) -> bool:
    weights = [dumps(each.checkpoints.load_last()[0]) for each in (run, whole)]
    return left(run, WRITTEN) == left(whole, WRITTEN) and weights[0] == weights[1] and figures(run) == figures(whole)


def figures(run: Run) -> dict[str, Any]:
    return {key: value for key, value in (run.summary or {}).items() if key != "run"}


def test_a_round_tells_all_that_was_asked_for(whole: Run) -> None:
    curve_lines = lines(whole, CURVE)
    assert [(line["round"], line["labels"], line["answers"]) for line in curve_lines] == [
        (0, 20, 20),
        (1, 26, 26),
        (2, 32, 32),
    ]
    assert all({"test", "mc", "validation", "robustness"} <= set(line) for line in curve_lines)
    assert curve_lines[0]["robustness"]["samples"] % 10 == 0 and curve_lines[0]["robustness"]["samples"] > 100
    assert curve_lines[0]["test"] != curve_lines[0]["mc"]
    correct = Journal(whole).correct(359)
    assert correct.shape == (3, 359)
    assert correct.mean(axis=1).tolist() == pytest.approx([line["mc"]["accuracy"] for line in curve_lines])
    assert [(line["round"], line["phase"]) for line in lines(whole, TIMINGS)] == [
        (round, phase) for round in (0, 1, 2) for phase in ("train", "test", "choose")
    ][:-1]
    assert [entry["purpose"] for entry in lines(whole, "ledger.jsonl")] == [
        purpose for round in (0, 1, 2) for purpose in (f"round {round}", f"round {round}, corrupted")
    ]
    assert figures(whole)["test"] == curve_lines[-1]["test"] and figures(whole)["labels"] == 32


def test_stopped_at_every_event_it_goes_on_as_if_it_had_not_been(
    full: tuple[Recipe, Bench], whole: Run, tmp_path: Path
) -> None:
    seen: set[str] = set()
    kinds: set[type] = set()
    run = Run(tmp_path / "run")
    while run.summary is None:
        events = simulation(run.path, *full).events()
        for event in events:
            place = f"{event!r} after {len(Journal(run).lines(CURVE))} rounds"
            if isinstance(event, EpochDone):  # which tells how long it took
                place = f"epoch {event.epoch} {event.metrics}"
            elif isinstance(event, StepDone):
                place = f"step {event.step} of {event.samples} after {len(Journal(run).lines(CURVE))} rounds"
            if place not in seen:
                seen.add(place)
                kinds.add(type(event))
                events.close()  # type: ignore[attr-defined]  # it is a generator
                assert run.status == "interrupted"
                break
    assert len(seen) > 30 and {Phase, RoundDone, StepDone, EpochDone} <= kinds
    assert same(run, whole)


@pytest.mark.parametrize("place", ["training", "trained", "tested", "scoring", "selecting", "persisting"])
def test_killed_outright_it_goes_on_as_if_it_had_not_been(
    place: str, full: tuple[Recipe, Bench], whole: Run, tmp_path: Path
) -> None:
    child = multiprocessing.get_context("fork").Process(target=_die, args=(place, tmp_path / "run", *full))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    assert same(simulated(tmp_path / "run", *full), whole)


def _die(place: str, folder: Path, asked: Recipe, shared: Bench) -> None:
    """Be killed in round 1 of a simulation: as it trains, tests, is tested, or in the midst of what follows its choosing."""

    def killed(*args: Any, **more: Any) -> Any:
        os.kill(os.getpid(), signal.SIGKILL)

    def half_written(journal: Journal, name: str, line: Any) -> None:
        with (journal.run.path / name).open("ab") as file:
            file.write(msgspec.json.encode(line)[:40])
        killed()

    among = {"scoring": (Scorer, "_fields", killed), "selecting": (choosing, "rank", killed)}
    among["persisting"] = (Journal, "add", half_written)
    phase = Phase(name="train", round=0, labels=0)
    for event in simulation(folder, asked, shared).events():
        phase = event if isinstance(event, Phase) else phase
        now = {StepDone: "training", RoundDone: "tested"}.get(type(event)) or {"test": "trained"}.get(phase.name)
        if phase.round == 1 and now == place:
            killed()
        if (phase.name, phase.round) == ("choose", 1) and place in among:
            setattr(*among[place])


@pytest.mark.parametrize("name", [QUERIES, CURVE, TIMINGS, CORRECT, STOP])
def test_a_line_half_written_is_written_again(
    name: str, full: tuple[Recipe, Bench], whole: Run, tmp_path: Path
) -> None:
    """The disk was full, or the power went, in the middle of what round 1 adds."""
    run = stopped(tmp_path / "run", full, "test", 1)
    with (run.path / name).open("ab") as file:
        file.write((whole.path / name).read_bytes()[-30:-5])
    assert same(simulated(run.path, *full), whole)
    assert [line["round"] for line in lines(run, TIMINGS)] == [0, 0, 0, 1, 1, 1, 1, 1, 2, 2]


def stopped(folder: Path, full: tuple[Recipe, Bench], phase: str, round: int) -> Run:
    """Return a simulation that was stopped as a phase began."""
    events = simulation(folder, *full).events()
    for event in events:
        if isinstance(event, Phase) and (event.name, event.round) == (phase, round):
            events.close()  # type: ignore[attr-defined]
    return Run(folder)


def test_what_is_being_written_is_left_alone_by_those_who_read(
    full: tuple[Recipe, Bench], whole: Run, tmp_path: Path
) -> None:
    run = stopped(tmp_path / "run", full, "choose", 1)
    with (run.path / QUERIES).open("ab") as file:
        file.write(b'{"round": 2, "ids')
    before = (run.path / QUERIES).read_bytes()
    found = curve(run.path, "bald", 0, 359, unknown=False)
    assert found.answers.tolist() == [20, 26] and found.correct.shape == (2, 359)
    assert (run.path / QUERIES).read_bytes() == before


def test_the_time_of_a_phase_that_was_stopped_counts(full: tuple[Recipe, Bench], whole: Run, tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    events = simulation(run.path, *full).events()
    while not isinstance(next(events), StepDone):
        pass
    events.close()  # type: ignore[attr-defined]  # it is a generator
    (stopped,) = lines(run, TIMINGS)
    assert (stopped["round"], stopped["phase"]) == (0, "train") and stopped["seconds"] > 0
    assert same(simulated(run.path, *full), whole)
    assert [line["phase"] for line in lines(run, TIMINGS)][:3] == ["train", "train", "test"]


@pytest.mark.parametrize("round", [0, 1])
def test_weights_that_are_damaged_are_trained_anew(
    round: int, full: tuple[Recipe, Bench], whole: Run, tmp_path: Path
) -> None:
    run = stopped(tmp_path / "run", full, "choose", round)
    last = run.checkpoints.index().last
    assert last is not None and last.step == round
    tensors = run.checkpoints.folder / last.folder / "tensors.safetensors"
    tensors.write_bytes(tensors.read_bytes()[:-4])
    assert same(simulated(run.path, *full), whole)


def test_a_warm_start_needs_the_weights_of_the_round_before(full: tuple[Recipe, Bench], tmp_path: Path) -> None:
    run = stopped(tmp_path / "run", full, "train", 2)
    last = run.checkpoints.index().last
    assert last is not None
    (run.checkpoints.folder / last.folder / "state.json").write_bytes(b"")
    with pytest.raises(RunError, match=r"the weights of round 1 in .* are damaged"):
        simulated(run.path, *full)
    assert run.status == "failed"


def test_a_signal_stops_it_at_the_edge_of_a_step(full: tuple[Recipe, Bench], whole: Run, tmp_path: Path) -> None:
    steps = 0
    with pytest.raises(Interrupted, match=r"SIGTERM: what .* has done is kept"):
        for event in simulation(tmp_path / "run", *full).events():
            steps += isinstance(event, StepDone)
            if steps == 2:
                os.kill(os.getpid(), signal.SIGTERM)
    assert steps == 2 and Run(tmp_path / "run").status == "interrupted"
    assert same(simulated(tmp_path / "run", *full), whole)


def test_a_finished_one_does_nothing(full: tuple[Recipe, Bench], whole: Run) -> None:
    before = {path: path.stat().st_mtime_ns for path in whole.path.glob("*.jsonl")}
    assert list(simulation(whole.path, *full).events()) == []
    assert {path: path.stat().st_mtime_ns for path in before} == before
    assert whole.status == "finished"


@pytest.fixture(scope="module")
def plain() -> Recipe:
    return recipe()


@pytest.fixture(scope="module")
def tiny(plain: Recipe) -> Bench:
    return bench(plain)


def with_active(asked: Recipe, **changes: Any) -> Recipe:
    assert asked.active is not None
    return changed(asked, active=changed(asked.active, **changes))


def test_all_strategies_of_a_seed_begin_with_the_same_labels_and_weights(
    plain: Recipe, tiny: Bench, tmp_path: Path
) -> None:
    runs = {
        (name, seed): simulated(tmp_path / f"{name}-{seed}", with_active(asking(plain, name), rounds=1), tiny, seed)
        for name in ("random", "margin")
        for seed in (0, 1)
    }
    first = {key: lines(run)[0]["ids"] for key, run in runs.items()}
    assert first["random", 0] == first["margin", 0] != first["random", 1] == first["margin", 1]
    curves = {key: lines(run, CURVE)[0] for key, run in runs.items()}
    assert curves["random", 0] == curves["margin", 0] != curves["random", 1] == curves["margin", 1]
    assert lines(runs["random", 0])[1]["ids"] != lines(runs["margin", 0])[1]["ids"]
    again = simulated(tmp_path / "again", with_active(asking(plain, "random"), rounds=1), tiny)
    weights = [dumps(run.checkpoints.load_last()[0]) for run in (runs["random", 0], again)]
    assert weights[0] == weights[1]


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        (["labels=26"], "there are 26 answers, and 26 were to be asked for"),
        (["labels=900", "labels=25"], "there are 26 answers, and 25 were to be asked for"),
    ],
)
def test_a_rule_ends_it_with_its_words(
    rules: list[str], reason: str, plain: Recipe, tiny: Bench, tmp_path: Path
) -> None:
    run = simulated(tmp_path / "run", with_active(plain, stop=rules), tiny)
    assert [line.get("stop") for line in lines(run, CURVE)] == [None, reason]
    assert figures(run)["stop"] == reason and len(lines(run)) == 2
    watched = [dict.fromkeys(rules, labels) for labels in (20, 26)]
    assert [line["stopping"] for line in lines(run, CURVE)] == watched
    assert curve(run.path, "margin", 0, 359, unknown=False).finished


def test_a_replication_ends_at_its_test_error(plain: Recipe, tiny: Bench, tmp_path: Path) -> None:
    run = simulated(tmp_path / "run", with_active(plain, until_test_error=0.99), tiny)
    (line,) = lines(run, CURVE)
    error = 1 - line["test"]["accuracy"]
    assert line["stop"] == f"a replication ends here: the test error is {error:.2%}, and 99.00% was to be reached"


def test_predictions_that_do_not_change_end_it(tmp_path: Path) -> None:
    """A rate so low that the weights stay what they were in the first round, which warm starts go on with."""
    asked = recipe("active.stop=[stable]", "active.start=warm", "active.rounds=9", "optimizer.lr=1.0e-12")
    run = simulated(tmp_path / "run", asked, bench(asked))
    stop = lines(run, CURVE)[-1]["stop"]
    assert "predictions on 200 samples of the stop set are stable: mean kappa 1.0000" in stop
    watched = [line["stopping"] for line in lines(run, CURVE)]
    assert watched == [{"stable": kappa} for kappa in (None, None, None, 1.0)]


def test_the_last_round_is_as_short_as_the_pool_and_an_empty_one_ends_it(
    plain: Recipe, tiny: Bench, tmp_path: Path
) -> None:
    run = simulated(tmp_path / "run", with_active(plain, query=[100, 150], rounds=9), tiny)
    assert [(line["round"], len(line["ids"])) for line in lines(run)] == [(0, 20), (1, 100), (2, 80)]
    assert [line["labels"] for line in lines(run, CURVE)] == [20, 120, 200]
    assert figures(run)["rounds"] == 3 and curve(run.path, "margin", 0, 359, unknown=False).finished


def test_rounds_ask_by_their_schedule(plain: Recipe, tiny: Bench, tmp_path: Path) -> None:
    run = simulated(tmp_path / "run", with_active(asking(plain, "random"), query=[3, 5], rounds=3), tiny)
    assert [len(line["ids"]) for line in lines(run)] == [20, 3, 5, 5]


def test_labels_of_what_the_data_does_not_have_are_refused(plain: Recipe, tiny: Bench, tmp_path: Path) -> None:
    run = simulated(tmp_path / "run", with_active(plain, rounds=1), tiny)
    text = (run.path / QUERIES).read_text()
    first = lines(run)[0]["ids"][0]
    (run.path / QUERIES).write_text(text.replace(first, "0" * 32))
    with pytest.raises(RunError, match=r"queries\.jsonl has labels for 0{32}, which the data does not have") as caught:
        simulated(run.path, with_active(plain, rounds=1), tiny)
    assert "--run DIR" in caught.value.hint


def test_lines_that_are_no_lines_are_refused(plain: Recipe, tiny: Bench, tmp_path: Path) -> None:
    run = simulated(tmp_path / "run", with_active(plain, rounds=1), tiny)
    (run.path / CURVE).write_text("accuracy: high\n")
    with pytest.raises(RunError, match=r"curve\.jsonl is damaged"):
        simulated(run.path, with_active(plain, rounds=1), tiny)


def test_validation_counts_as_labels_where_it_is_said(tmp_path: Path) -> None:
    asked = recipe("active.validation=counted", "active.rounds=1", "active.stop=[plateau=9]")
    run = simulated(tmp_path / "run", asked, bench(asked))
    assert [(line["labels"], line["answers"]) for line in lines(run, CURVE)] == [(20, 380), (26, 386)]
    assert lines(run, CURVE)[0]["validation"]["samples"] == 360


def test_a_warm_start_goes_on_with_the_weights_of_the_round_before(plain: Recipe, tiny: Bench, tmp_path: Path) -> None:
    one, two = (simulated(tmp_path / how, with_active(plain, start=how), tiny) for how in ("warm", "scratch"))
    assert lines(one, CURVE)[0] == lines(two, CURVE)[0] and lines(one)[1]["ids"] == lines(two)[1]["ids"]
    assert lines(one, CURVE)[1] != lines(two, CURVE)[1]
    labelled = tiny.own.x.dataset.splits["train"]
    rows = np.array([tiny.material.ids.index(name) for line in lines(two)[:2] for name in line["ids"]])
    x = benches.finished(tiny.own.train(Labels(rows, labelled.labels[rows], rows[:0]), 1))
    found = benches.finished(tiny.own.answers(x, "test"))
    assert float((found.logits.argmax(1) == found.labels).mean()) == lines(two, CURVE)[1]["test"]["accuracy"]


def test_wrong_and_unknown_answers_are_the_same_for_all_strategies(tmp_path: Path) -> None:
    asked = recipe("active.noise=0.3", "active.unknown_classes=['7', '8']", "active.query=150", "active.rounds=1")
    shared = bench(asked)
    told: list[dict[str, str]] = []
    for name in ("random", "margin"):
        run = simulated(tmp_path / name, asking(asked, name), shared)
        told.append(
            {sample: answer for line in lines(run) for sample, answer in zip(line["ids"], line["answers"], strict=True)}
        )
        last = lines(run, CURVE)[-1]
        known = sum(answer != "unknown" for answer in told[-1].values())
        assert last["labels"] == known < last["answers"] == len(told[-1]) == 170
        assert set(told[-1].values()) == {*shared.material.dataset.classes, "unknown"}
    both = set(told[0]) & set(told[1])
    assert len(both) > 120 and all(told[0][sample] == told[1][sample] for sample in both)
    places = {sample: row for row, sample in enumerate(shared.material.ids)}
    truth = {s: shared.material.dataset.classes[shared.material.labels[places[s]]] for s in told[0]}
    wrong = [truth[s] != answer for s, answer in told[0].items() if answer != "unknown"]
    assert 0.2 < sum(wrong) / len(wrong) < 0.4
    assert all((answer == "unknown") == (not shared.material.known[places[s]]) for s, answer in told[0].items())


def test_what_is_of_no_known_class_is_never_trained_on(tmp_path: Path) -> None:
    asked = recipe("active.unknown_classes=['7', '8']", "active.query=200", "active.rounds=1")
    shared = bench(asked)
    run = simulated(tmp_path / "run", asking(asked, "random"), shared)
    labels = labelled(Journal(run), shared.material, Oracle(shared.material, seed=0, noise=0.0))
    assert shared.material.known[labels.rows].all() and not shared.material.known[labels.unknown].any()
    assert len(labels.rows) == lines(run, CURVE)[-1]["labels"] and len(labels.unknown) > 10
