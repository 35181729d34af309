"""The simulations of a plan: begun after a look, shared, resumed, analysed."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fixtures import benches
from fixtures.benches import NET, TINY, left, lines
from rich.console import Console

from zoo.active import plan as plans
from zoo.active import simulate
from zoo.active.events import Begun, Done, Phase, Progress, RoundDone, Waiting
from zoo.active.plan import Question
from zoo.active.proposal import begin, propose
from zoo.active.simulate import conduct, report
from zoo.console.simulating import plan_table
from zoo.errors import ComponentError, DataError, Interrupted, RecipeError, RunError, UnknownNameError, ZooError
from zoo.plugins import Catalog, load_catalog
from zoo.registry import Registry
from zoo.training.events import Evaluating, StepDone
from zoo.training.run import Run

REGISTRY = Registry.load(benches.CATALOG)
SMALL = (*TINY, *NET, "active.rounds=1", "active.steps=2")


def question(*settings: str, **more: Any) -> Question:
    words = ("active.strategies=[margin, entropy]", *settings)
    return Question(**{"recipe": "conv-net-momentum", "settings": (*SMALL, *words), "seeds": 2, **more})


def begun(folder: Path, *settings: str, **more: Any) -> plans.Plan:
    return begin(question(*settings, **more), folder, REGISTRY, device="cpu")


def conducted(folder: Path) -> list[Progress]:
    events: list[Progress] = []
    conduct(folder, catalog=benches.CATALOG, device="cpu", progress=events.append)
    return events


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Progress]]:
    """Return the folder of a plan that was carried out, and what was told on the way."""
    folder = tmp_path_factory.mktemp("plan") / "al"
    begun(folder)
    return folder, conducted(folder)


def done(events: list[Progress]) -> list[Done]:
    return [event for event in events if isinstance(event, Done)]


def test_every_simulation_of_a_plan_is_made_once_and_random_is_among_them(
    finished: tuple[Path, list[Progress]],
) -> None:
    _, events = finished
    cells = [(each.cell.strategy, each.cell.seed) for each in done(events)]
    assert cells == [(name, seed) for seed in (0, 1) for name in ("margin", "entropy", "random")]
    assert all(each.reason is None and each.seconds > 0 and each.run.summary for each in done(events))
    assert [(event.done, event.total) for event in events if isinstance(event, Begun)] == [(n, 6) for n in range(6)]
    assert {type(event) for event in events} >= {Begun, Done, Phase, RoundDone, StepDone}
    first = [lines(each.run)[0]["ids"] for each in done(events)]
    assert first[0] == first[1] == first[2] != first[3] == first[4] == first[5]


def test_analysis_and_report_are_there(finished: tuple[Path, list[Progress]]) -> None:
    folder, _ = finished
    analysis = json.loads((folder / "analysis.json").read_text())
    assert {row["name"] for row in analysis["strategies"]} == {"margin", "entropy", "random"}
    assert all(seed["finished"] for row in analysis["strategies"] for seed in row["seeds"])
    assert analysis["plan"]["counting"].startswith("Answers are counted with the 20 initial ones")
    assert analysis["command"][:3] == ["zoo", "active", "conv-net-momentum"]
    assert "margin" in (folder / "report.html").read_text(encoding="utf-8")


def test_the_same_question_goes_on_and_a_finished_plan_does_nothing(finished: tuple[Path, list[Progress]]) -> None:
    folder, _ = finished
    before = (folder / "analysis.json").read_bytes()
    made = (folder / plans.PLAN).read_bytes()
    begun(folder)
    again = conducted(folder)
    assert [type(event) for event in again] == [Done] * 6 and all(each.seconds == 0 for each in done(again))
    assert (folder / "analysis.json").read_bytes() == before and (folder / plans.PLAN).read_bytes() == made


@pytest.mark.parametrize(
    ("settings", "more", "words"),
    [
        ((), {"seeds": 3}, "seeds was 2, now 3"),
        (("active.query=7",), {}, "settings was"),
        ((), {"primary": (("margin", "entropy"),)}, "primary was"),
        ((), {"recipe": "conv-net-muon"}, "recipe was conv-net-momentum, now conv-net-muon"),
    ],
)
def test_another_question_wants_another_folder(
    settings: tuple[str, ...], more: dict[str, Any], words: str, finished: tuple[Path, list[Progress]]
) -> None:
    folder, _ = finished
    before = sorted(path.name for path in folder.iterdir())
    with pytest.raises(RunError, match="holds other simulations") as caught:
        begun(folder, *settings, **more)
    assert words in caught.value.problem and caught.value.hint == "another --run DIR"
    assert sorted(path.name for path in folder.iterdir()) == before


def images(path: Path, seed: int = 0) -> Path:
    """Write arrays of noise in two classes, 60 in train and 20 in each of the others."""
    draws = np.random.default_rng(seed)
    parts = {"train": 60, "validation": 20, "test": 20}
    arrays = {f"x_{name}": draws.integers(0, 256, (count, 8, 8), np.uint8) for name, count in parts.items()}
    arrays |= {f"y_{name}": np.arange(count) % 2 for name, count in parts.items()}
    np.savez(path, **arrays)
    return path


def test_data_that_has_changed_is_told(tmp_path: Path) -> None:
    own = {"data": str(images(tmp_path / "own.npz")), "seeds": 1}
    settings = ("data.train_size=null", "active.init=10")
    begun(tmp_path / "al", *settings, **own)
    images(tmp_path / "own.npz", seed=1)
    with pytest.raises(RunError, match=r"the data of .*al, or the versions of zoo and torch, are not what they were"):
        conducted(tmp_path / "al")
    with pytest.raises(RunError, match="the recipe, its data, or the versions of zoo and torch are not what they were"):
        begun(tmp_path / "al", *settings, **own)
    assert not list((tmp_path / "al").glob("margin-*"))


EMBEDS = "architecture={name: ensemble, members: [{name: lenet5}, {name: lenet5}]}"


@pytest.mark.parametrize(
    ("settings", "kind", "words"),
    [
        (("active.strategies=[bald]", "regularizers=[]"), ComponentError, "no module of conv-net drops at a rate above 0"),
        (("active.measure=dropout-mean", "regularizers=[]"), ComponentError, "no module of conv-net drops at a rate above 0"),
        (("active.strategies=[marign]",), RecipeError, "did you mean 'margin'"),
        (("active.strategies=[random]",), ZooError, "random is compared with nothing but itself"),
        (("active.strategies=[margin, margin]",), ZooError, "a strategy is named twice"),
        (("active.strategies=[committee]",), ZooError, "strategy committee asks a committee of 0 recipes"),
        (
            ("active.strategies=[{name: prefilter, strategy: {name: committee, members: [lenet5-adamw]}}]",),
            ZooError,
            "asks a committee of 1 recipes",
        ),
        (
            ("active.strategies=[{name: committee, members: [lenet5-adamw, lenet5-adamv]}]",),
            UnknownNameError,
            "did you mean 'lenet5-adamw'",
        ),
        (("active.unknown_classes=[eleven]",), UnknownNameError, "eleven"),
        (("active.stop=[plato]",), UnknownNameError, "did you mean 'plateau'"),
        (("active.stop=[labels=few]",), ZooError, "stopping rule 'labels=few' is not understood"),
        (("active.stop=[plateau]",), ZooError, "stopping rule 'plateau' watches validation, whose labels are not used"),
        (("schedule=plateau",), ZooError, "schedule plateau watches validation, whose labels are not used"),
        (("active.init=5",), DataError, "no initial label is of class"),
        (("active.init=11", "active.initial=random"), DataError, "no initial label is of class"),
        (("active.init=500",), DataError, "500 initial labels of 200 samples"),
        (("active.init=200",), ZooError, "200 initial labels leave nothing of 200 to ask for"),
        (("active.robustness=5",), ZooError, "limit 5 is too small for 10 classes"),
        (("active.query=0",), RecipeError, "active.query"),
        (("active.noise=1",), RecipeError, "active.noise"),
        (("active.rounds=many",), RecipeError, "active.rounds"),
        (("active.quary=3",), RecipeError, "quary"),
        (("active.unknown=nowhere",), DataError, "unknown images: "),
        (("active.target_inputs=nowhere",), DataError, "target inputs: "),
    ],
)  # fmt: skip
def test_what_cannot_be_done_is_told_before_anything_is_written(
    settings: tuple[str, ...], kind: type[ZooError], words: str, tmp_path: Path
) -> None:
    with pytest.raises(kind) as caught:
        begun(tmp_path / "al", *settings)
    assert words in str(caught.value)
    assert not (tmp_path / "al").exists()


@pytest.mark.parametrize("strategy", ["k-center", "{name: gate, by: nearest}", "{name: distinct, strategy: margin}"])
def test_embeddings_are_asked_of_architectures_that_have_them(strategy: str, tmp_path: Path) -> None:
    asked = Question(recipe="conv-net-momentum", settings=(*TINY, EMBEDS, f"active.strategies=[{strategy}]"), seeds=1)
    with pytest.raises(ZooError, match="needs embeddings, which architecture 'ensemble' does not give"):
        begin(asked, tmp_path / "al", REGISTRY, device="cpu")
    assert not (tmp_path / "al").exists()


def test_a_declared_pair_is_one_of_strategies(tmp_path: Path) -> None:
    with pytest.raises(ZooError, match="there is no strategy 'bald' to compare"):
        begun(tmp_path / "al", primary=(("margin", "bald"),))


def test_a_pool_that_shares_images_with_test_is_refused(tmp_path: Path) -> None:
    path = images(tmp_path / "own.npz")
    with np.load(path) as arrays:
        changed = dict(arrays)
    changed["x_test"][3:5] = changed["x_train"][:2]
    np.savez(path, **changed)
    named = r"2 images of test stand in the pool as well: .* \(image 0 of train is image 3 of test; image 1 of train is image 4 of test\)"
    with pytest.raises(DataError, match=named):
        begun(tmp_path / "al", "data.train_size=null", "active.init=10", data=str(path), seeds=1)


def test_there_must_be_a_plan_that_can_be_read(tmp_path: Path) -> None:
    with pytest.raises(RunError, match=r"there is no plan\.json"):
        conducted(tmp_path / "nothing")
    (tmp_path / "plan.json").write_text('{"version": "one"}')
    with pytest.raises(RunError, match="is not a plan of simulations"):
        conducted(tmp_path)
    begun(tmp_path / "al")
    with pytest.raises(RunError, match=r"no simulation in .* has finished a round"):
        report(tmp_path / "al", catalog=benches.CATALOG)


def simulations(folder: Path, catalog: Catalog = benches.CATALOG) -> Iterator[Progress]:
    """Bring simulations to their end without an analysis, whose plots take longer."""
    plan, recipe = plans.read(folder, catalog)
    return simulate._execute(plan, recipe, folder, catalog, "cpu")


def same(folder: Path, other: Path) -> bool:
    mine, theirs = (
        {path.parent.name: left(Run(path.parent)) for path in each.glob("*/summary.json")} for each in (folder, other)
    )
    return len(mine) == 6 and mine == theirs


def test_a_killed_plan_goes_on_without_repeating_what_is_finished(
    finished: tuple[Path, list[Progress]], tmp_path: Path
) -> None:
    folder = tmp_path / "al"
    begun(folder)
    child = multiprocessing.get_context("fork").Process(target=_die_in_the_third, args=(folder,))
    child.start()
    child.join()
    assert child.exitcode == -signal.SIGKILL
    partial = report(folder, catalog=benches.CATALOG)
    assert [seed["finished"] for row in partial["strategies"] for seed in row["seeds"]] == [True, True, False]
    found = done(list(simulations(folder)))
    assert [each.seconds == 0 for each in found] == [True, True, False, False, False, False]
    assert same(folder, finished[0])


def _die_in_the_third(folder: Path) -> None:
    begun = 0
    for event in simulations(folder):
        begun += isinstance(event, Begun)
        if begun == 3 and isinstance(event, Phase) and (event.name, event.round) == ("train", 1):
            os.kill(os.getpid(), signal.SIGKILL)


def test_two_processes_share_a_plan_and_do_nothing_twice(
    finished: tuple[Path, list[Progress]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(simulate, "WAIT_SECONDS", 0.1)
    folder = tmp_path / "al"
    begun(folder)
    context = multiprocessing.get_context("fork")
    both = [context.Process(target=_take_part, args=(folder, tmp_path / f"{number}.json")) for number in range(2)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    taken = [json.loads((tmp_path / f"{number}.json").read_text()) for number in range(2)]
    assert sorted(taken[0] + taken[1]) == sorted(path.name for path in folder.glob("*-[01]"))
    assert len(taken[0] + taken[1]) == 6 and all(taken)
    assert same(folder, finished[0])


def _take_part(folder: Path, told: Path) -> None:
    events = list(simulations(folder))
    told.write_text(json.dumps([each.run.path.name for each in done(events) if each.seconds]))


def test_a_simulation_that_another_process_holds_is_left_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulate, "WAIT_SECONDS", 0.0)
    folder = tmp_path / "al"
    begun(folder, seeds=1)
    with simulate.claimed(folder / "margin-0"):
        events = simulations(folder)
        for event in events:
            if isinstance(event, Waiting):
                break
        assert event == Waiting(left=1)
        assert not (folder / "margin-0").exists() and Run(folder / "entropy-0").summary
    assert [each.cell.strategy for each in done(list(events)) if each.seconds] == ["margin"]


def test_a_strategy_that_fails_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins/odd.py").write_text(ODD)
    catalog = load_catalog(tmp_path / "plugins", quiet=True)
    asked = question("active.strategies=[local/breaks, local/first]", seeds=1)
    begin(asked, tmp_path / "al", Registry.load(catalog), device="cpu")
    events = list(simulations(tmp_path / "al", catalog))
    assert [(each.cell.strategy, each.reason) for each in done(events)] == [
        ("local-breaks", "strategy local/breaks: IndexError: no such row"),
        ("local-first", None),
        ("random", None),
    ]
    assert lines(Run(tmp_path / "al/local-first-0"))[1]["scores"] == [None] * 6
    events = list(simulations(tmp_path / "al", catalog))
    assert [(each.seconds, bool(each.reason)) for each in done(events)] == [(0, True), (0, False), (0, False)]
    folder = tmp_path / "al/local-breaks-0"
    assert done(events)[0].reason == (
        f"strategy local/breaks: IndexError: no such row (as before; remove {folder} to try it again)"
    )
    # What it was worth before it chose anything is no finding about it.
    analysis = report(tmp_path / "al", catalog=catalog)
    assert [row["name"] for row in analysis["strategies"]] == ["local-first", "random"]
    told = [row["text"] for row in analysis["verdicts"]]
    assert "local-breaks failed with seed 0: strategy local/breaks: IndexError: no such row." in told
    assert "What failed is left out of every figure." in told
    assert "Nothing can be said of local-breaks against random: local-breaks has no simulation to compare." in told


def test_where_all_failed_the_reasons_and_the_way_on_are_told(tmp_path: Path) -> None:
    begun(tmp_path / "al", "optimizer.lr=1e30", seeds=1)
    with pytest.raises(
        RunError, match=r"no simulation in .* has finished a round; margin failed with seed 0: .*not finite"
    ) as error:
        conducted(tmp_path / "al")
    folders = ", ".join(str(tmp_path / f"al/{name}-0") for name in ("margin", "entropy", "random"))
    assert error.value.hint == f"remove {folders}, then zoo active --resume {tmp_path / 'al'}"


def test_what_a_full_disk_has_stopped_is_in_the_analysis_as_far_as_it_came(
    finished: tuple[Path, list[Progress]], tmp_path: Path
) -> None:
    folder = shutil.copytree(finished[0], tmp_path / "al")
    run = Run(folder / "margin-1")
    (run.path / "summary.json").unlink()
    run.set_status("failed", "no space left on device", "StorageError")
    analysis = report(folder, catalog=benches.CATALOG)
    assert [len(row["seeds"]) for row in analysis["strategies"]] == [2, 2, 2]
    told = [row["text"] for row in analysis["verdicts"]]
    assert "margin was stopped with seed 1, and --resume goes on: no space left on device." in told
    assert "What failed is left out of every figure." not in told


def test_a_signal_before_anything_is_told_ends_it_as_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun(tmp_path / "al", seeds=1)
    own = simulate.set_up_all

    def signalled(*args: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return (yield from own(*args))

    monkeypatch.setattr(simulate, "set_up_all", signalled)
    with pytest.raises(Interrupted, match="SIGINT"):
        list(simulations(tmp_path / "al"))
    assert not (tmp_path / "al/margin-0").exists()


ODD = """
from zoo import AcquisitionSpec, BatchStrategy, ScoreStrategy, hookimpl

@hookimpl
def zoo_acquisitions():
    return [
        AcquisitionSpec(name="breaks", factory="odd:breaks", summary="raises", needs=frozenset()),
        AcquisitionSpec(name="first", factory="odd:first", summary="infinite scores", needs=frozenset()),
    ]

def breaks(params):
    class Breaks(BatchStrategy):
        def select(self, pool, k):
            raise IndexError("no such row")

    return Breaks()

def first(params):
    import torch

    class First(ScoreStrategy):
        def score(self, block, pool):
            return torch.full((len(block.ids),), torch.inf)

    return First()
"""


def test_a_committee_is_that_of_its_strategy_and_kept_with_the_plan(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("version: 1\nrecipes:\n  own: {extends: lenet5-adamw, optimizer: {lr: 0.02}}\n")
    strategies = ", ".join(
        f"{{name: committee, members: [own, {other}]}}" for other in ("lenet5-adamw", "keras-cnn-adamw")
    )
    registry = Registry.load(benches.CATALOG, mine)
    begin(question(f"active.strategies=[{strategies}]", seeds=1), tmp_path / "al", registry, device="cpu")
    assert all(each.reason is None for each in done(list(simulations(tmp_path / "al"))))
    folders = sorted(path.name for path in (tmp_path / "al").glob("*-0"))
    assert folders == ["committee-members-own+keras-cnn-adamw-0", "committee-members-own+lenet5-adamw-0", "random-0"]
    trained = [summary for folder in folders for summary in lines(Run(tmp_path / "al" / folder), "curve.jsonl")]
    assert trained[0] == trained[2] == trained[4]
    scores = [lines(Run(tmp_path / "al" / folder))[1]["scores"] for folder in folders[:2]]
    assert scores[0] != scores[1]


def test_a_recipe_that_is_several_members_is_trained_from_other_weights_for_each(tmp_path: Path) -> None:
    """Of members who answered alike the divergence from their mean would be 0."""
    (tmp_path / "mine.yaml").write_text("version: 1\nrecipes:\n  own: {extends: lenet5-adamw, optimizer: {lr: 0.02}}\n")
    registry = Registry.load(benches.CATALOG, tmp_path / "mine.yaml")
    asked = question("active.strategies=[{name: committee, members: [own, own]}]", seeds=1)
    begin(asked, tmp_path / "al", registry, device="cpu")
    assert all(each.reason is None for each in done(list(simulations(tmp_path / "al"))))
    assert min(lines(Run(tmp_path / "al/committee-0"))[1]["scores"]) > 1e-6


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ((), "20 initial labels and 1 round make 26 answers; 6 simulations of 2 trainings from new weights, each 2 steps"),
        (("active.validation=counted",), "20 initial labels, with 360 of validation, and 1 round make 386 answers"),
        (("active.query=500",), "and 1 round, the last of which asks for 180 only, make 200 answers; 6 simulations"),
        (("active.query=500", "active.rounds=3"), "make 200 answers; the pool is used up after 1 of 3 rounds; 6"),
        (("active.start=warm",), "trainings that go on with the weights of the round before, each 2 steps"),
        (("active.pool_subset=50",), "; each round chooses from 50 samples that are drawn anew"),
        (("active.stop=[stable, labels=60]",), "; a simulation ends early by stable or labels=60"),
        (("active.robustness=30",), "; every model is also tested on 30 test images under corruptions"),
    ],
)  # fmt: skip
def test_a_plan_says_what_will_be_asked_and_trained(settings: tuple[str, ...], words: str) -> None:
    assert words in propose(question(*settings), REGISTRY, device="cpu").work


def test_wrong_answers_that_leave_a_class_without_an_initial_one_are_noted() -> None:
    notes = propose(question("active.noise=0.5", seeds=3), REGISTRY, device="cpu").notes
    assert (
        "with seeds 0, 1, 2 wrong answers leave a class without an initial label; a larger --init has room for them"
        in notes
    )
    assert not any("wrong answers" in note for note in propose(question(seeds=3), REGISTRY, device="cpu").notes)


def test_more_seeds_than_signs_can_be_tried_of_promise_no_p() -> None:
    console = Console(width=200, record=True)
    for seeds in (24, 25):
        console.print(plan_table(propose(question(seeds=seeds), REGISTRY, device="cpu")))
    text = console.export_text()
    assert text.count("the least p that signs of 24 seeds can give is") == 1
    assert text.count("signs of 25 seeds are too many to try: the intervals speak alone") == 1


def test_a_signal_while_images_are_embedded_ends_it_with_what_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    begun(tmp_path / "al", "freeze=backbone", "augmentation=null", "regularizers=[]", seeds=1)
    events = simulations(tmp_path / "al")
    assert isinstance(next(events), Evaluating)
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(Interrupted, match=r"SIGTERM: what .* has done is kept"):
        list(events)
    assert all(each.reason is None for each in done(list(simulations(tmp_path / "al"))))


GATE = "active.strategies=[{name: gate, strategy: margin}]"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ((GATE,), "gate-margin: nothing in the pool is of no known class; --unknown PATH"),
        ((GATE, "active.unknown_classes=['9']", "active.start=warm"), "--scratch makes them alike"),
        ((GATE, "data.classes=['3', '8']", "loss=bce"), "one sigmoid output has no energy that tells the unknown"),
        (("active.target_inputs=digits",), "no strategy asks for target inputs; epig does"),
        (("active.strategies=[typiclust]",), "made for embeddings that no label has a part in"),
        (("regularizers=[outlier-exposure]",), "there are no images of no known class to learn from"),
        ((GATE, "active.unknown_classes=['9']", "regularizers=[outlier-exposure]"), ""),
    ],
)  # fmt: skip
def test_what_can_be_done_and_may_not_be_meant_is_noted_in_the_plan(settings: tuple[str, ...], words: str) -> None:
    plan = propose(question("data.train_size=100", *settings), REGISTRY, device="cpu")
    told = " ".join(plan.notes)
    assert words in told and (words or not any(name in told for name in ("gate", "outlier-exposure")))
