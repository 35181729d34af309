from __future__ import annotations

from typing import Any

from zoo.comparison import plan as plans
from zoo.comparison import sentences
from zoo.comparison.plan import Contestant
from zoo.comparison.question import Question


def interval(estimate: float, half: float, **more: Any) -> dict[str, Any]:
    return {
        "estimate": estimate,
        "low": estimate - half,
        "high": estimate + half,
        "level": 0.95,
        "covers_seeds": True,
        "seeds": 6,
        "equivalence": {"equivalent": False, "margin": 0.005},
        "detectable": 0.012,
        **more,
    }


def pair(estimate: float, half: float, p: float, equivalent: bool = False, seeds: bool = True) -> str:
    row = {
        "a": "net",
        "b": "lstm",
        "difference": interval(estimate, half, covers_seeds=seeds),
        "equivalence": {"equivalent": equivalent},
        "detectable": 0.012,
        "p_holm": p,
    }
    return sentences.pair(row, 0.005, 0.05)


def family(claim: str, p: float, members: int, missing: tuple[str, ...] = ()) -> str:
    row = {
        "a": "cnn",
        "b": "rnn",
        "claim": claim,
        "missing": list(missing),
        "members_a": [f"c{i}" for i in range(members)],
        "members_b": [f"r{i}" for i in range(members)],
        "these": interval(-0.02, 0.01),
        "welch": interval(-0.02, 0.015),
        "permutation": {"estimate": -0.02, "p": p, "smallest": 0.029},
        "p_holm": p,
        "smallest_holm": 0.029,
    }
    return sentences.family(row, 0.05)


def test_a_declared_difference_names_the_higher_first() -> None:
    expected = "lstm scores higher than net by 2.00 points (95 % interval 1.00 to 3.00; p = 0.001 after Holm)."
    assert pair(-0.02, 0.01, 0.001) == expected


def test_what_is_not_shown_says_what_would_have_been_found() -> None:
    text = pair(0.004, 0.009, 0.3)
    assert text.startswith("No difference between net and lstm is shown (difference 0.40 points")
    assert "1.20 points would have been found" in text
    assert "p = 0.3 after Holm" in text and "higher" not in text


def test_equivalence_is_said_where_it_was_tested() -> None:
    assert "are equivalent within 0.50 points" in pair(0.001, 0.003, 0.5, equivalent=True)


def test_one_seed_speaks_of_two_trained_models() -> None:
    assert pair(0.02, 0.01, 0.001, seeds=False).startswith("These two trained models only")


def test_two_seeds_are_said_to_know_little_of_others() -> None:
    row = {"a": "net", "b": "lstm", "difference": interval(0.1, 0.01, seeds=2), "p_holm": 1e-7, "detectable": 0.01}
    text = sentences.pair({**row, "equivalence": {"equivalent": False}}, 0.005, 0.05)
    assert text.startswith("Of 2 seeds, whose spread is hardly known: net scores higher than lstm")


def effect(met: bool | None, estimate: float = -0.0223) -> str:
    expected = {"sign": "falls", "margin": 0.02, "came": sentences.CAME[met]}
    return sentences.effect(
        {
            "recipe": "net",
            "value": "turned",
            "against": None,
            "difference": interval(estimate, 0.5),
            "expected": expected,
        }
    )


def test_an_effect_is_told_with_its_own_sign_and_may_be_undecided() -> None:
    assert effect(None).startswith("net at turned: −2.23 points (95 % interval −52.23 to 47.77): undecided, a fall")
    assert ": as declared, a fall" in effect(True) and ": not as declared" in effect(False)
    assert effect(False, 0.01).startswith("net at turned: +1.00 points")


def test_networks_that_saw_images_of_other_sizes_are_named() -> None:
    asked = Question(recipes=("net", "lstm"), seeds=6)
    contestants = [Contestant(name="net", family="cnn"), Contestant(name="lstm", family="rnn")]
    rows = [
        {"name": "net", "image": [1, 12, 12], "seeds": [0] * 6},
        {"name": "lstm", "image": [1, 8, 8], "seeds": [0] * 6},
    ]
    (note,) = sentences.notes(plans.make(asked, contestants, {}), [{"value": None, "recipes": rows}])
    assert note.endswith("net 1×12×12, lstm 1×8×8.")


def test_four_against_four_may_speak_of_families() -> None:
    text = family("families", 0.029, 4)
    assert text.startswith("rnn scores higher than cnn by 2.00 points: 4 against 4 architectures")
    assert "exact permutation of architectures p = 0.029" in text


def test_a_permutation_that_is_not_small_shows_no_difference_of_families() -> None:
    assert family("families", 0.2, 4).startswith("No difference between the families cnn and rnn is shown")


def test_three_against_three_is_these_against_these() -> None:
    text = family("these", 0.001, 3, ("one more architecture of the family cnn",))
    assert text.startswith(
        "These 3 rnn architectures (r0, r1, r2) score higher than these 3 cnn architectures (c0, c1, c2)"
    )
    assert text.endswith("For a claim about families it takes one more architecture of the family cnn.")
    assert "families cnn" not in text.split("For a claim")[0]


def test_one_against_one_is_two_recipes() -> None:
    text = family(
        "pair", 0.001, 1, ("one more architecture of the family cnn", "one more architecture of the family rnn")
    )
    assert text.startswith("r0 scores higher than c0 by")
