"""The same code on cuda: training, bf16 autocast, evaluation, resume."""

from __future__ import annotations

from collections.abc import Callable
from itertools import takewhile
from pathlib import Path

import pytest
import torch
from fixtures import mnist

import zoo
from zoo.cli.main import main
from zoo.evaluation.speed import measure_all
from zoo.plugins import load_catalog
from zoo.registry import Registry
from zoo.training.checkpoint import dumps
from zoo.training.events import StepDone
from zoo.training.experiment import build
from zoo.training.randomness import uniform
from zoo.training.session import Session

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device"),
]


NAMES = [name for name in Registry.load(zoo.catalog).names() if "/" not in name]


def weights(run: zoo.Run) -> dict[str, bytes]:
    return dumps(run.checkpoints.load_last()[0])


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_training_on_cuda_learns_and_evaluates(tiny: Callable[..., zoo.Recipe], precision: str) -> None:
    run = zoo.train(tiny(f"training.precision={precision}", "training.epochs=20", "data.train_size=800"), device="cuda")
    assert run.summary is not None and run.summary["test"]["accuracy"] > 0.8
    assert run.manifest["environment"]["precision"] == precision
    again = zoo.evaluate(run, device="cuda")
    assert again["accuracy"] == run.summary["test"]["accuracy"]
    on_cpu = zoo.evaluate(run, device="cpu")
    assert on_cpu["loss"] == pytest.approx(again["loss"], rel=0.05)


def test_auto_takes_the_device_and_its_fast_precision(tiny: Callable[..., zoo.Recipe]) -> None:
    run = zoo.train(tiny("training.steps=2", "training.epochs=null"))
    assert run.manifest["environment"]["device"].startswith("cuda")


def test_a_run_on_cuda_resumes_bit_by_bit(tiny: Callable[..., zoo.Recipe], tmp_path: Path) -> None:
    recipe = tiny(
        "training.checkpoint_every=1", "regularizers=[{name: dropout, rate: 0.5}]", "augmentation.rotation=10"
    )
    whole = zoo.train(recipe, run=tmp_path / "whole", device="cuda")
    session = Session.start(recipe, catalog=zoo.catalog, run=tmp_path / "part", device="cuda")
    events = session.events()
    for _ in takewhile(lambda event: not (isinstance(event, StepDone) and event.step == 4), events):
        pass
    events.close()
    part = zoo.resume(tmp_path / "part", device="cuda")
    assert whole.manifest["exact"] == part.manifest["exact"]
    assert weights(part) == weights(whole)
    assert (part.path / "metrics.jsonl").read_bytes() == (whole.path / "metrics.jsonl").read_bytes()


def test_a_run_begun_on_the_cpu_stays_there(tiny: Callable[..., zoo.Recipe], tmp_path: Path) -> None:
    session = Session.start(tiny(), catalog=zoo.catalog, run=tmp_path / "run", device="cpu")
    next(session.events())
    assert Session.resume(tmp_path / "run", catalog=zoo.catalog).experiment.device.type == "cpu"


def test_the_cost_of_a_recipe_on_cuda_has_no_part_of_its_neighbours(tiny: Callable[..., zoo.Recipe]) -> None:
    small, large = tiny(), tiny("architecture.hidden=4096")
    alone = measure_all([small], device="cuda", seconds=0.0)[0]
    beside, wide = measure_all([small, large], device="cuda", seconds=0.0)
    assert beside["environment"]["device"].startswith("cuda") and beside["training_step"]["median"] > 0
    assert 0 < beside["memory_bytes"]["training"] <= 1.5 * alone["memory_bytes"]["training"]
    assert wide["memory_bytes"]["training"] > 3 * 4 * wide["parameters"]


def test_draws_are_the_same_bits_on_cpu_and_cuda() -> None:
    samples = torch.arange(10_000)
    assert torch.equal(uniform(1, "x", 2, samples, 6), uniform(1, "x", 2, samples.cuda(), 6).cpu())


def settings(name: str, folder: Path) -> list[str]:
    """Return what makes a recipe start without published weights and data, which it would download."""
    recipe = zoo.resolve(name)
    return mnist.settings(recipe, folder) + ([] if recipe.weights is None else ["weights=null", "freeze=null"])


@pytest.mark.parametrize("name", NAMES)
def test_a_run_of_every_recipe_would_start_on_cuda(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", name, "--dry-run", "training.threads=1", "--device", "cuda", *settings(name, tmp_path)]) == 0
    assert "two steps, evaluation, save and restore went well" in "".join(capsys.readouterr())


@pytest.mark.parametrize("name", NAMES)
def test_a_model_answers_on_cuda_as_on_the_cpu(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)  # whose products have ten bits
    x = build(zoo.resolve(name, *settings(name, tmp_path), "training.precision=fp32"), device="cpu")
    model, images = x.model.eval(), next(iter(x.train.training(0, 0))).images[:8].float() / 255
    with torch.inference_mode():
        here = model(images)
        there = model.to("cuda")(images.to("cuda")).cpu()
    assert torch.allclose(here, there, rtol=1e-3, atol=1e-3 * float(here.abs().max()))


def test_simulations_on_cuda_ask_for_the_same_when_they_are_repeated(tmp_path: Path) -> None:
    named = sorted(entry.name for entry in load_catalog(quiet=True).entries("acquisition"))
    members = "{name: committee, members: [lenet5-adamw, row-lstm-adamw]}"
    strategies = ", ".join({"committee": members}.get(name, name) for name in named if name != "random")
    settings = (
        f"active.strategies=[{strategies}]",
        "active.rounds=1",
        "active.steps=20",
        "active.measure=dropout-mean",
    )
    small = ("architecture.filters=4", "architecture.hidden=16", "data.train_size=200", "active.folds=2")
    for name in ("one", "two"):
        zoo.simulate("conv-net-momentum", *settings, *small, run=tmp_path / name, seeds=1, device="cuda")
    asked = sorted(path.relative_to(tmp_path / "one") for path in (tmp_path / "one").glob("*/queries.jsonl"))
    assert len(asked) == len(named)
    assert all((tmp_path / "one" / path).read_bytes() == (tmp_path / "two" / path).read_bytes() for path in asked)
