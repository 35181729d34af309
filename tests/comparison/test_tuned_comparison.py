from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

import zoo
from tests.comparison.conftest import TINY, question
from zoo.comparison import plan as plans
from zoo.comparison.compare import TUNING, begin, conduct
from zoo.comparison.question import Question
from zoo.comparison.trials import expected_best
from zoo.errors import RunError
from zoo.registry import Registry

pytest.importorskip("optuna")

ASKED = question(trials=3, seeds=1, settings=(*TINY, "data.train_size=200"), trial_settings=("data.train_size=100",))


def begun(folder: Path, asked: Question = ASKED, **options: object) -> plans.Plan:
    return begin(asked, folder, Registry.load(zoo.catalog), device="cpu", **options)  # type: ignore[arg-type]


def test_every_recipe_is_tuned_by_the_same_number_of_trials_and_every_trial_is_told(tmp_path: Path) -> None:
    folder, notes = tmp_path / "tuned", list[str]()
    plan = begun(folder, note=notes.append)
    recipes = Registry.load(zoo.catalog, folder / plans.RECIPES)
    for contestant in plan.contestants:
        trials = list((folder / TUNING / contestant.name / "trials").glob("[0-9]*"))
        assert len(trials) == 3 and not any((trial / "ledger.jsonl").exists() for trial in trials)
        assert len([note for note in notes if note.startswith(f"{contestant.name}: trial ")]) == 3
        assert {zoo.Run(trial).manifest["samples"]["train"] for trial in trials} == {100}
        for path, value in contestant.changed.items():
            assert msgspec.json.encode(value) in msgspec.json.encode(recipes.resolve(contestant.name).to_dict()), path
    assert any(contestant.changed for contestant in plan.contestants)

    analysis = conduct(folder, catalog=zoo.catalog, device="cpu")
    for row, contestant in zip(analysis["tuning"], plan.contestants, strict=True):
        figures = [trial["value"] for trial in row["trials"]]
        assert row["expected"] == pytest.approx(expected_best(figures)) and row["expected"][-1] == max(figures)
        assert row["best"]["parameters"].items() >= contestant.changed.items()
    (condition,) = analysis["conditions"]
    assert condition["train_samples"] == 200
    page = (folder / "report.html").read_text(encoding="utf-8")
    assert '<section id="tuning">' in page and page.count("Expected best figure on validation against trials") == 2


@pytest.mark.slow
def test_what_was_drafted_and_tried_before_a_stop_is_neither_measured_nor_tried_again(tmp_path: Path) -> None:
    asked = msgspec.structs.replace(ASKED, seconds=0.2, settings=("training.threads=1", "training.early_stopping=null"))
    folder = tmp_path / "stopped"

    def stop(note: str) -> None:
        if "trial 2" in note:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        begun(folder, asked, note=stop)
    assert not (folder / plans.PLAN).exists()
    with pytest.raises(RunError, match="seeds was 1, now 2"):
        begun(folder, msgspec.structs.replace(asked, seeds=2))
    drafted, notes = json.loads((folder / TUNING / plans.PLAN).read_text()), list[str]()
    plan = begun(folder, asked, note=notes.append)
    steps = [contestant["changed"]["training.steps"] for contestant in drafted["contestants"]]
    assert [contestant.changed["training.steps"] for contestant in plan.contestants] == steps
    told = [note for note in notes if note.startswith(plan.contestants[0].name) and "trial" in note]
    assert [note.partition(",")[0] for note in told] == [f"{plan.contestants[0].name}: trial 3 of 3"]
