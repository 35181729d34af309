from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.special import log_softmax, logsumexp

import zoo
from zoo.cli.main import main
from zoo.errors import RunError, UnknownNameError
from zoo.training.combining import combine
from zoo.training.run import list_runs

SMALL = ("training.epochs=4", "training.threads=1")
NETWORKS = {
    "net": ("conv-net-momentum", "architecture.filters=4", "architecture.hidden=32"),
    "lstm": ("row-lstm-momentum", "architecture.hidden=16"),
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[zoo.Run]:
    """Return a small conv-net and a small row-lstm, each trained on all digits for seconds."""
    home = tmp_path_factory.mktemp("home") / "runs"
    return [zoo.train(name, *rest, *SMALL, run=home / short) for short, (name, *rest) in NETWORKS.items()]


@pytest.fixture(scope="module")
def made(runs: list[zoo.Run]) -> zoo.Run:
    folder = runs[0].path.parent / "both"
    combine(runs, catalog=zoo.catalog, run=folder, device="cpu")
    return zoo.Run(folder)


def logits(run: zoo.Run, split: str = "test") -> np.ndarray[Any, Any]:
    return np.load(run.path / "predictions" / f"{split}.npz")["logits"].astype(np.float64)  # type: ignore[no-any-return]


def mean_of(runs: list[zoo.Run], split: str = "test") -> np.ndarray[Any, Any]:
    """Return the log of the mean of the runs' own probabilities."""
    own = np.stack([log_softmax(logits(run, split), axis=1) for run in runs])
    return logsumexp(own, axis=0) - np.log(len(runs))  # type: ignore[no-any-return]


@pytest.mark.parametrize("split", ["validation", "test"])
def test_logits_are_the_log_of_the_mean_of_the_members_probabilities(
    split: str, runs: list[zoo.Run], made: zoo.Run
) -> None:
    assert logits(made, split) == pytest.approx(mean_of(runs, split), abs=1e-6, rel=1e-6)


def test_the_summary_has_the_ensembles_figures_and_those_of_each_member(runs: list[zoo.Run], made: zoo.Run) -> None:
    summary, labels = made.summary or {}, np.load(made.path / "predictions/test.npz")["labels"]
    assert summary["test"]["accuracy"] == pytest.approx((mean_of(runs).argmax(1) == labels).mean())
    assert summary["test"]["loss"] == pytest.approx(-mean_of(runs)[np.arange(len(labels)), labels].mean(), abs=1e-6)
    assert [member["test"] for member in summary["members"]] == [(run.summary or {})["test"] for run in runs]
    assert [member["architecture"] for member in summary["members"]] == ["conv-net", "row-lstm"]
    assert (summary["status"], summary["epochs"], summary["exact"]) == ("finished", 0, True)


def test_the_run_is_like_any_other(runs: list[zoo.Run], made: zoo.Run) -> None:
    """It is listed, evaluated and loaded, and repeats nothing but the answers that it was made with."""
    assert made.status == "finished" and made.name in [run.name for run in list_runs(made.path.parent)]
    figures = zoo.evaluate(made)
    assert (figures["accuracy"], figures["members"]) == ((made.summary or {})["test"]["accuracy"], 2)
    assert zoo.resume(made.path).summary == made.summary
    classifier = zoo.load(made)
    image = np.random.default_rng(0).integers(0, 17, (1, 8, 8)).astype(np.uint8)
    shares = [dict(zoo.load(run).predict(image, top=10)[0].top) for run in runs]
    for name, probability in classifier.predict(image, top=10)[0].top:
        assert probability == pytest.approx(sum(share[name] for share in shares) / 2, abs=1e-6)


def test_the_checkpoint_holds_each_members_best_weights(runs: list[zoo.Run], made: zoo.Run) -> None:
    weights = made.checkpoints.load_best()["model"]
    for index, run in enumerate(runs):
        best = run.checkpoints.load_best()
        for name, value in best.get("evaluation", best["model"]).items():
            assert (weights[f"members.{index}.{name}"] == value).all()
    assert len(weights) == sum(len(run.checkpoints.load_best()["model"]) for run in runs)


def test_the_recipe_is_the_first_runs_with_an_ensemble_in_it(made: zoo.Run) -> None:
    recipe = zoo.resolve(made.recipe_name, registry=made.path / "recipe.yaml").to_dict()
    assert made.recipe_name == "conv-net-momentum-ensemble"
    assert recipe["architecture"] == {
        "name": "ensemble",
        "members": [
            {"name": "conv-net", "filters": 4, "hidden": 32},
            {"name": "row-lstm", "hidden": 16, "layers": 1, "cell": "lstm", "forget_bias": 1.0},
        ],
        "combine": "probabilities",
    }
    assert recipe["optimizer"]["name"] == "momentum" and recipe["acquisition"] == {"name": "margin"}


def test_manifest_and_ledger_say_where_it_comes_from(runs: list[zoo.Run], made: zoo.Run) -> None:
    origins = made.manifest["members"]
    assert [origin["run"] for origin in origins] == [str(run.path.resolve()) for run in runs]
    best = runs[1].checkpoints.index().best
    assert best is not None and origins[1]["sha256"] == best.sha256
    assert made.manifest["parameters"] == sum(run.manifest["parameters"] for run in runs)
    (line, *_) = (made.path / "ledger.jsonl").read_text().splitlines()
    assert {"split": "test", "purpose": "zoo ensemble", "samples": 359}.items() <= json.loads(line).items()


def test_logits_may_be_averaged_instead(runs: list[zoo.Run]) -> None:
    summary = combine(runs, catalog=zoo.catalog, how="logits", device="cpu")
    assert summary["run"] == "runs/conv-net-momentum-ensemble-0-1" and summary["combine"] == "logits"
    expected = np.mean([logits(run) for run in runs], axis=0)
    assert logits(zoo.Run(Path(summary["run"]))) == pytest.approx(expected, abs=1e-5)


def test_averaged_weights_are_the_ones_that_count() -> None:
    """With an average of the weights a run is evaluated by it, and not by the weights of the last step."""
    name, *rest = NETWORKS["net"]
    ema = (*rest, *SMALL, "regularizers=[{name: ema, decay: 0.9}]")
    averaged = [zoo.train(name, *ema, seed=seed, run=f"seed-{seed}") for seed in (0, 1)]
    combine(averaged, catalog=zoo.catalog, run=Path("both"), device="cpu")
    assert logits(zoo.Run(Path("both"))) == pytest.approx(mean_of(averaged), abs=1e-6, rel=1e-6)


def test_one_output_for_two_classes_is_averaged_as_two_probabilities() -> None:
    binary = (*SMALL, "loss=bce", "data.classes=[3, 8]", "data.train_size=100", "training.batch_size=20")
    two = [zoo.train(name, *rest, *binary, run=short) for short, (name, *rest) in NETWORKS.items()]
    combine(two, catalog=zoo.catalog, run=Path("both"), device="cpu")
    got = log_softmax(logits(zoo.Run(Path("both"))), axis=1)
    assert got == pytest.approx(mean_of(two), abs=1e-6, rel=1e-6)


def test_ensembles_are_members_as_long_as_components_do_not_stand_too_deep(runs: list[zoo.Run], made: zoo.Run) -> None:
    combine([made, runs[0]], catalog=zoo.catalog, run=Path("three"), device="cpu")
    share = np.stack([log_softmax(logits(run), axis=1) for run in (made, runs[0])])
    three = zoo.Run(Path("three"))
    assert logits(three) == pytest.approx(logsumexp(share, axis=0) - np.log(2), abs=1e-6, rel=1e-6)
    assert zoo.evaluate(three)["samples"] == 359
    with pytest.raises(RunError, match=r"three is made of components 3 deep.*\n.*at most 3 deep"):
        combine([three, runs[1]], catalog=zoo.catalog)
    assert not Path("runs").exists()


def test_what_is_for_the_training_of_one_network_is_left_out(runs: list[zoo.Run]) -> None:
    name, *rest = NETWORKS["net"]
    settings = ("freeze={stages: 1}", "search={architecture.filters: {choices: [4, 8]}}")
    first = zoo.train(name, *rest, *SMALL, *settings, "training.epochs=1", run="first")
    summary = combine([first, runs[1]], catalog=zoo.catalog, device="cpu")
    recipe = zoo.resolve(summary["recipe"], registry=Path(summary["run"]) / "recipe.yaml")
    assert recipe.freeze is None and recipe.search == {} and recipe.acquisition is not None


@pytest.mark.parametrize(
    ("settings", "what"),
    [
        (("data.classes=[1, 2, 3]",), r"classes \(10: 0, 1, 2, 3, 4, …\) in .*net, \(3: 1, 2, 3\) in other"),
        (("data.image_size=12",), "image size 8×8 in .*net, 12×12 in other"),
        (("data.train_size=500",), "data or splits [0-9a-f]{12} in .*net, [0-9a-f]{12} in other"),
        (("data.normalization={mean: [0.5], std: [0.5]}",), r"normalisation \(mean 0.3057.*\(mean 0.5, std 0.5\)"),
        (("data.classes=[0, 1]", "loss=bce"), "loss cross-entropy in .*net, bce in other"),
    ],
)
def test_runs_that_differ_are_refused_with_what_differs(
    settings: tuple[str, ...], what: str, runs: list[zoo.Run]
) -> None:
    name, *rest = NETWORKS["lstm"]
    other = zoo.train(name, *rest, *settings, "training.epochs=1", run="other")
    with pytest.raises(RunError, match=f"the runs do not fit together: .*{what}"):
        combine([*runs, other], catalog=zoo.catalog, run=Path("all"))
    assert not Path("all").exists()


def test_runs_of_other_sizes_are_answered_with_the_training_that_makes_them_fit(
    runs: list[zoo.Run],
) -> None:
    name, *rest = NETWORKS["lstm"]
    other = zoo.train(name, *rest, "data.image_size=12", "training.epochs=1", run="other")
    with pytest.raises(RunError) as caught:
        combine([runs[0], other], catalog=zoo.catalog)
    command = f"zoo --registry {runs[0].path}/recipe.yaml train conv-net-momentum data.image_size=12"
    assert caught.value.hint == command
    assert main([*shlex.split(command)[1:], "training.epochs=1", "--run", "again"]) == 0
    assert combine([zoo.Run(Path("again")), other], catalog=zoo.catalog)["status"] == "finished"


def test_too_few_unfinished_or_repeated_runs_are_refused(runs: list[zoo.Run], tmp_path: Path) -> None:
    with pytest.raises(RunError, match="two runs or more, got 1 instead"):
        combine(runs[:1], catalog=zoo.catalog)
    with pytest.raises(RunError, match="net is named twice"):
        combine([*runs, runs[0]], catalog=zoo.catalog)
    name, *rest = NETWORKS["net"]
    cut = zoo.train(name, *rest, "training.epochs=1", run="cut")
    (cut.path / "summary.json").unlink()
    with pytest.raises(RunError, match=r"cut is not finished: it is \w+\n  try: zoo train --resume cut"):
        combine([*runs, cut], catalog=zoo.catalog)
    with pytest.raises(RunError, match=r"exists already\n.*\n  try: another --run DIR"):
        combine(runs, catalog=zoo.catalog, run=runs[0].path)


def test_a_folder_that_was_not_completed_is_no_run(runs: list[zoo.Run], made: zoo.Run, tmp_path: Path) -> None:
    half = tmp_path / "runs" / "half"
    half.mkdir(parents=True)
    for name in ("recipe.yaml", "summary.json"):
        (half / name).write_bytes((made.path / name).read_bytes())
    assert list_runs(tmp_path / "runs") == []
    with pytest.raises(UnknownNameError):
        zoo.evaluate("half")
