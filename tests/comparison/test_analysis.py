from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from tests.comparison.conftest import LSTM, NET, TINY, Comparison, conducted, question
from zoo.comparison.analysis import analyse
from zoo.comparison.compare import ANALYSIS
from zoo.comparison.crossed import differences, interval
from zoo.comparison.events import Done
from zoo.errors import RunError, ZooError
from zoo.evaluation.predictions import Predictions, Saved


def right(done: Done) -> np.ndarray:
    rows = Saved.load(done.run.predictions("test")).predictions
    return rows.logits.argmax(1) == rows.labels


def of(compared: Comparison, recipe: str, value: str) -> np.ndarray:
    """Return which test samples a recipe's models get right, a row per seed, straight from the files."""
    return np.stack(
        [right(each) for each in compared.done if (each.cell.contestant, each.cell.value) == (recipe, value)]
    )


def test_the_analysis_is_kept_as_json(compared: Comparison) -> None:
    assert json.loads((compared.folder / ANALYSIS).read_text()) == json.loads(json.dumps(compared.analysis))


def test_figures_are_those_of_the_predictions(compared: Comparison) -> None:
    condition = compared.analysis["conditions"][1]
    net = next(row for row in condition["recipes"] if row["name"] == NET)
    answers = of(compared, NET, "300")
    assert net["accuracy"]["estimate"] == pytest.approx(answers.mean())
    assert [seed["accuracy"] for seed in net["seeds"]] == pytest.approx(answers.mean(1).tolist())
    assert net["figures"]["accuracy"] == pytest.approx(answers.mean())
    assert sum(each["samples"] for each in net["reliability"]) == answers.size
    assert (net["family"], net["parameters"], net["macs"]) == ("cnn", 100, 1000)
    assert [row["train_samples"] for row in compared.analysis["conditions"]] == [100, 300]


def test_a_pair_is_compared_on_the_same_samples_and_seeds(compared: Comparison) -> None:
    (pair,) = compared.analysis["conditions"][0]["pairs"]
    first, second = of(compared, NET, "100"), of(compared, LSTM, "100")
    found = interval(differences(first, second))
    assert pair["difference"]["estimate"] == pytest.approx(found.estimate)
    assert (pair["difference"]["low"], pair["difference"]["high"]) == pytest.approx((found.low, found.high))
    assert pair["primary"] and pair["p_holm"] >= pair["difference"]["p"]
    assert [row["only_first"] for row in pair["mcnemar"]] == (first & ~second).sum(1).tolist()
    assert "train 4 more seeds of both recipes" in pair["sign_flip"]["missing"]


def test_the_effect_of_the_varied_setting_is_paired_and_judged(compared: Comparison) -> None:
    net = next(row for row in compared.analysis["effects"] if row["recipe"] == NET)
    change = of(compared, NET, "300").mean() - of(compared, NET, "100").mean()
    assert net["difference"]["estimate"] == pytest.approx(change)
    came = change >= 0.01 and net["difference"]["low"] > 0
    assert net["expected"]["met"] == (True if came else False if net["difference"]["high"] < 0.01 else None)
    lstm = next(row for row in compared.analysis["effects"] if row["recipe"] == LSTM)
    assert lstm["expected"] is None
    assert any(f"{NET} at 300 against 100" in row["text"] for row in compared.analysis["verdicts"])


def test_robustness_is_the_mean_over_corruptions_of_the_same_samples(compared: Comparison) -> None:
    found = compared.analysis["conditions"][0]["robustness"]
    assert (found["samples"], found["severities"]) == (50, [2])
    net = next(row for row in found["recipes"] if row["name"] == NET)
    assert len(net["by"]) == 17
    assert net["corrupted"]["estimate"] == pytest.approx(np.mean([levels["2"] for levels in net["by"].values()]))
    assert "MNIST-C-like" in found["note"]


def test_looks_at_test_are_counted(compared: Comparison) -> None:
    looks = {row["purpose"]: row["looks"] for row in compared.analysis["ledger"]}
    assert looks == {
        "end of training": compared.plan.runs,
        "zoo eval --corruptions, 18 passes over 50 samples": compared.plan.runs,
    }


def test_overlap_counts_every_sample_once(compared: Comparison) -> None:
    overlap = compared.analysis["conditions"][0]["overlap"]
    (families,) = overlap["families"]
    assert sum(families[key] for key in ("both", "only_a", "only_b", "neither")) == 359
    wrong, others = ~of(compared, NET, "100"), ~of(compared, LSTM, "100")
    by_hand = np.mean([(a & b).sum() / (a | b).sum() for a in wrong for b in others])
    assert overlap["errors"][0][1] == pytest.approx(by_hand)
    own = (wrong[0] & wrong[1]).sum() / (wrong[0] | wrong[1]).sum()
    assert overlap["errors"][0][0] == pytest.approx(own)
    net = of(compared, NET, "100")
    for example in families["examples_a"]:
        assert example["lead"] > 0 and example["class"] != example["taken_for"]
    assert len(families["examples_a"]) == min(12, families["only_a"])
    assert net.shape == (2, 359)


def test_runs_that_answered_other_samples_are_refused_with_the_fields(tmp_path: Path) -> None:
    found = conducted(tmp_path, question(seeds=1))
    path = found.done[0].run.predictions("test")
    saved = Saved.load(path)
    rows = saved.predictions
    labels = rows.labels.copy()
    labels[0] = (labels[0] + 1) % 10
    ids = [each.decode() for each in saved.ids]
    Predictions("test", rows.samples, labels, rows.logits).save(path, ids, saved.classes)
    with pytest.raises(RunError, match=r"differ in test labels: [0-9a-f]{8} and [0-9a-f]{8}\n"):
        analyse(found.plan, found.done, tmp_path)


def test_runs_on_other_splits_are_refused_with_the_fields(tmp_path: Path) -> None:
    one = conducted(tmp_path / "a", question(seeds=1, recipes=(NET, LSTM)))
    other = conducted(tmp_path / "b", question(seeds=1, settings=(*TINY, "data.train_size=150")))
    mixed = [one.done[0], other.done[1]]
    with pytest.raises(RunError, match="train samples: 200 and 150; splits: "):
        analyse(one.plan, mixed, tmp_path)


def test_without_a_finished_run_there_is_no_analysis(compared: Comparison) -> None:
    with pytest.raises(ZooError, match="no run of the comparison is finished"):
        analyse(compared.plan, [], compared.folder)


def test_missing_seeds_are_left_out_and_said(compared: Comparison) -> None:
    some = [each for each in compared.done if (each.cell.contestant, each.cell.seed) != (LSTM, 1)]
    analysis = analyse(compared.plan, some, compared.folder)
    (pair,) = analysis["conditions"][0]["pairs"]
    assert pair["seeds"] == [0] and not pair["difference"]["covers_seeds"]
    texts = [row["text"] for row in analysis["verdicts"]]
    assert any(text.startswith("Not all runs at 100 are finished: row-lstm-momentum") for text in texts)
    assert any("trained models only" in text for text in texts)


def test_arrangements_are_learnt_anew_and_met_in_the_test_alone(tmp_path: Path) -> None:
    values = ("null", "permute-columns")
    found = conducted(tmp_path, question(recipes=(NET,), seeds=2, vary="data.arrangement", values=values))
    (effect,) = found.analysis["effects"]
    base = [each for each in found.done if each.cell.value == "null"]
    only = [Saved.load(each.run.predictions("test-permute-columns")).predictions for each in base]
    alone = np.mean([(rows.logits.argmax(1) == rows.labels).mean() for rows in only])
    trained = np.mean([right(each).mean() for each in found.done if each.cell.value != "null"])
    before = np.mean([right(each).mean() for each in base])
    assert effect["test_time_only"]["estimate"] == pytest.approx(alone - before)
    assert effect["difference"]["estimate"] == pytest.approx(trained - before)


def test_what_a_model_costs_is_measured_once_and_kept(compared: Comparison) -> None:
    kept = json.loads((compared.folder / "costs.json").read_text())
    for row in compared.analysis["conditions"][0]["recipes"]:
        assert row["latency"] == kept[row["name"]]["latency"] and row["latency"]["1"]["median"] > 0
        assert row["images_per_second"]["inference"] > 0 and row["activations"] > 0
    assert compared.analysis["data"]["samples"]["test"] == 359
