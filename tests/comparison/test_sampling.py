from __future__ import annotations

import optuna
import pytest

from zoo.comparison.sampling import ByNumber, suggest
from zoo.recipe import Range

RANGES = {
    "rate": Range(low=1e-4, high=1.0, log=True),
    "hidden": Range(low=32, high=100, step=32),
    "width": Range(low=1, high=1000, log=True),
    "share": Range(low=0.0, high=0.5, step=0.1),
    "loss": Range(choices=["a", "b"]),
}


def drawn(study: optuna.Study) -> optuna.Trial:
    trial = study.ask()
    for path, values in RANGES.items():
        suggest(trial, path, values)
    return trial


def test_draws_stay_in_their_ranges_and_fill_them() -> None:
    study = optuna.create_study(sampler=ByNumber("random", 0))
    rows = [drawn(study).params for _ in range(200)]
    assert {type(row["width"]) for row in rows} == {int} and all(1 <= row["width"] <= 1000 for row in rows)
    assert {row["hidden"] for row in rows} == {32, 64, 96} and {row["loss"] for row in rows} == {"a", "b"}
    assert {round(row["share"], 9) for row in rows} == {0.0, 0.1, 0.2, 0.3, 0.4, 0.5}
    decades = [sum(10.0**-e <= row["rate"] < 10.0 ** (1 - e) for row in rows) for e in (4, 3, 2, 1)]
    assert sum(decades) == 200 and min(decades) > 30


def test_random_depends_on_seed_number_and_name_only() -> None:
    one, other = (optuna.create_study(sampler=ByNumber("random", 0)) for _ in range(2))
    expected = [drawn(one).params for _ in range(4)]
    assert len({tuple(row.values()) for row in expected}) == 4
    for number in range(4):
        trial = other.ask()
        suggest(trial, "share", RANGES["share"])  # another order, and no other parameters
        suggest(trial, "rate", RANGES["rate"])
        assert trial.params == {name: expected[number][name] for name in ("share", "rate")}
        other.tell(trial, float(number))
    assert drawn(optuna.create_study(sampler=ByNumber("random", 1))).params != expected[0]


@pytest.mark.parametrize("kind", ["random", "tpe"])
def test_a_study_in_one_process_repeats_exactly(kind: str) -> None:
    def best() -> tuple[float, list[dict[str, float]]]:
        study = optuna.create_study(sampler=ByNumber(kind, 0))
        for _ in range(40):
            trial = study.ask()
            suggest(trial, "x", Range(low=-10.0, high=10.0))
            study.tell(trial, (trial.params["x"] - 3) ** 2)
        return study.best_value, [trial.params for trial in study.trials]

    assert best() == best()


def test_tpe_comes_closer_to_the_bottom_of_a_bowl_than_random_draws() -> None:
    errors = {}
    for kind in ("random", "tpe"):
        study = optuna.create_study(sampler=ByNumber(kind, 0))
        for _ in range(60):
            trial = study.ask()
            for name in ("x", "y"):
                suggest(trial, name, Range(low=-10.0, high=10.0))
            study.tell(trial, (trial.params["x"] - 3) ** 2 + (trial.params["y"] + 4) ** 2)
        errors[kind] = sum(trial.value or 0.0 for trial in study.trials[30:]) / 30
    assert errors["tpe"] < 0.3 * errors["random"]
