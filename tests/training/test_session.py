from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import zoo
from zoo.errors import Interrupted, NonFiniteError, RunError, RunLockedError
from zoo.training.checkpoint import dumps
from zoo.training.events import EpochDone, Evaluating, Finished, Saved, Started, StepDone
from zoo.training.run import find_run, list_runs
from zoo.training.session import Session

Tiny = Callable[..., zoo.Recipe]


def state(run: zoo.Run) -> dict[str, bytes]:
    return dumps(run.checkpoints.load_last()[0])


def weights(run: zoo.Run) -> dict[str, bytes]:
    return dumps(run.checkpoints.load_last()[0]["model"])


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Return a folder of 40 real digits as PNG files in two class folders."""
    from sklearn.datasets import load_digits

    data = load_digits(n_class=2)
    for index in range(40):
        folder = tmp_path / "photos" / f"number {data.target[index]}"
        folder.mkdir(parents=True, exist_ok=True)
        Image.fromarray((data.images[index] * 15).astype(np.uint8)).resize((20, 24)).save(folder / f"{index}.png")
    return tmp_path / "photos"


def test_events_tell_the_story_of_a_run_in_order(tiny: Tiny) -> None:
    session = Session.start(tiny(), catalog=zoo.catalog, device="cpu")
    events = list(session.events())
    kinds = [type(event) for event in events if not isinstance(event, Evaluating)]
    epoch = [*[StepDone] * 5, EpochDone, Saved]
    assert kinds == [Started, Saved, *epoch, *epoch, Finished]
    assert [event.step for event in events if isinstance(event, StepDone)] == list(range(1, 11))
    assert [event.metrics for event in events if isinstance(event, EpochDone)] == [
        {key: value for key, value in line.items() if key not in {"epoch", "step"}} for line in session.run.history()
    ]


def test_a_run_keeps_everything_that_the_directory_promises(tiny: Tiny) -> None:
    run = zoo.train(tiny())
    assert run.path == Path("runs/conv-net-momentum-0-1")
    names = {path.name for path in run.path.iterdir()}
    assert names >= {
        "recipe.yaml",
        "manifest.json",
        "metrics.jsonl",
        "timings.jsonl",
        "checkpoints",
        "predictions",
        "ledger.jsonl",
        "summary.json",
    }
    assert any(name.startswith("events.out.tfevents") for name in names)
    assert run.status == "finished" and run.summary is not None
    assert run.summary["test"]["samples"] == 359 and run.summary["exact"] is True
    assert run.manifest["classes"] == [str(n) for n in range(10)]
    assert run.manifest["environment"]["plugins"]["conv-net"].startswith("zoo-vision ")
    assert [json.loads(line)["purpose"] for line in (run.path / "ledger.jsonl").read_text().splitlines()] == [
        "end of training"
    ]
    again = zoo.train(zoo.resolve("conv-net-momentum", registry=run.path / "recipe.yaml"))
    assert state(again) == state(run)


def test_one_seed_gives_equal_bits_and_another_does_not(tiny: Tiny) -> None:
    first, second, other = zoo.train(tiny()), zoo.train(tiny()), zoo.train(tiny("training.seed=1"))
    assert state(first) == state(second)
    assert (first.path / "metrics.jsonl").read_bytes() == (second.path / "metrics.jsonl").read_bytes()
    assert weights(first) != weights(other)


def test_the_callers_random_state_neither_matters_nor_changes(tiny: Tiny) -> None:
    torch.manual_seed(1)
    first = zoo.train(tiny())
    torch.manual_seed(2)
    expected = torch.rand(3)
    torch.manual_seed(2)
    second = zoo.train(tiny())
    assert torch.equal(torch.rand(3), expected)
    assert state(first) == state(second)


@pytest.mark.parametrize("change", [pytest.param("rotation=10", marks=pytest.mark.slow), "random_resized_crop={}"])
def test_workers_and_memory_do_not_change_a_bit(photos: Path, change: str) -> None:
    def trained(*overrides: str) -> dict[str, bytes]:
        common = (
            "data.image_size=16",
            "training.epochs=2",
            "training.batch_size=8",
            f"augmentation.{change}",
            "data.train_size=null",
        )
        recipe = zoo.resolve(
            "conv-net-momentum",
            "architecture.filters=4",
            "architecture.hidden=16",
            "training.threads=1",
            *common,
            *overrides,
            data=str(photos),
        )
        return weights(zoo.train(recipe))

    runs = [trained(f"data.workers={n}", "data.memory_limit=0") for n in (0, 1, 2)]
    assert runs[0] == runs[1] == runs[2] == trained()


def test_early_stopping_ends_and_keeps_the_best_weights(tiny: Tiny) -> None:
    recipe = tiny(
        "optimizer.lr=3", "schedule={name: constant}", "training.epochs=30",
        "training.early_stopping={monitor: validation/loss, patience: 2}",
    )  # fmt: skip
    run = zoo.train(recipe)
    history = run.history()
    losses = [line["validation/loss"] for line in history]
    best = int(np.argmin(losses)) + 1
    assert run.summary is not None
    assert run.summary["stopped_early"] and len(history) == best + 2
    assert run.summary["best"] == {"metric": "validation/loss", "value": min(losses), "epoch": best}
    assert run.summary["validation"]["loss"] == min(losses)
    assert zoo.evaluate(run, split="validation")["loss"] == min(losses)


def test_length_in_steps_ends_in_mid_epoch_and_is_evaluated(tiny: Tiny) -> None:
    run = zoo.train(tiny("training.steps=7", "training.epochs=null"))
    assert [(line["epoch"], line["step"]) for line in run.history()] == [(1, 5), (2, 7)]


def test_accumulation_computes_the_gradient_of_the_whole_batch(tiny: Tiny) -> None:
    """Micro-batches add up to the batch; sums of floats in another order differ by rounding only."""
    whole, parts = (zoo.train(tiny(f"training.accumulate={n}", "regularizers=[]", "training.epochs=1")) for n in (1, 4))
    a, b = (run.checkpoints.load_last()[0]["model"] for run in (whole, parts))
    assert all(torch.allclose(a[name], b[name], atol=1e-5) for name in a)


def test_clipping_bounds_the_step(tiny: Tiny) -> None:
    common = (
        "optimizer={name: sgd, lr: 1, momentum: 0}",
        "schedule={name: constant}",
        "regularizers=[]",
        "training.steps=1",
        "training.epochs=null",
    )
    run = zoo.train(tiny(*common, "training.clip_norm=0.01", "training.checkpoint_every=1"))
    index = run.checkpoints.index()
    assert index.last is not None
    session = Session.start(tiny(*common), catalog=zoo.catalog, device="cpu")
    before, after = session.experiment.model.state_dict(), run.checkpoints.load_last()[0]["model"]
    moved = sum(float((after[name] - before[name]).square().sum()) for name in before) ** 0.5
    assert moved == pytest.approx(0.01, rel=1e-3)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_after_the_step_and_the_run_goes_on_exactly(tiny: Tiny, signum: signal.Signals) -> None:
    whole = zoo.train(tiny(), run="whole")

    def kick(event: object) -> None:
        if isinstance(event, StepDone) and event.step == 3:
            os.kill(os.getpid(), signum)

    with pytest.raises(Interrupted, match="at step 3: the run is saved\n  try: zoo train --resume part") as caught:
        zoo.train(tiny(), run="part", on_event=kick)
    assert caught.value.exit_code == 128 + signum
    part = zoo.Run(Path("part"))
    assert part.status == "interrupted"
    resumed = zoo.resume("part")
    assert resumed.status == "finished" and state(resumed) == state(whole)
    assert (Path("part") / "metrics.jsonl").read_bytes() == (Path("whole") / "metrics.jsonl").read_bytes()


def test_a_finished_run_reports_when_resumed(tiny: Tiny) -> None:
    run = zoo.train(tiny())
    before = (run.path / "ledger.jsonl").read_text()
    assert zoo.resume(run.path).summary == run.summary
    with pytest.raises(RunError, match="is finished"):
        Session.resume(run.path, catalog=zoo.catalog, device="cpu")
    assert (run.path / "ledger.jsonl").read_text() == before


def test_a_loss_that_is_not_finite_stops_before_the_step(tiny: Tiny) -> None:
    recipe = tiny("optimizer.lr=1e30", "schedule={name: constant}", "regularizers=[]")
    with pytest.raises(NonFiniteError, match="not finite at step") as caught:
        zoo.train(recipe, run="diverged")
    assert caught.value.exit_code == 76
    run = zoo.Run(Path("diverged"))
    assert run.status == "failed"
    assert all(bool(value.isfinite().all()) for value in run.checkpoints.load_last()[0]["model"].values())


def test_a_run_has_one_writer(tiny: Tiny) -> None:
    first = Session.start(tiny(), catalog=zoo.catalog, run=Path("run"), device="cpu")
    events = first.events()
    next(events)
    second = Session.resume(Path("run"), catalog=zoo.catalog, device="cpu")
    with pytest.raises(RunLockedError):
        next(second.events())
    events.close()


def test_a_run_that_moved_on_since_it_was_opened_is_not_overwritten(tiny: Tiny) -> None:
    first = Session.start(tiny(), catalog=zoo.catalog, run=Path("run"), device="cpu")
    late = Session.resume(Path("run"), catalog=zoo.catalog, device="cpu")
    events = first.events()
    for event in events:
        if isinstance(event, EpochDone):
            break
    next(events)
    events.close()
    with pytest.raises(RunLockedError, match="has moved on"):
        next(late.events())


def test_a_damaged_last_checkpoint_costs_one_epoch_and_is_said(tiny: Tiny) -> None:
    whole = zoo.train(tiny(), run="whole")
    session = Session.start(tiny(), catalog=zoo.catalog, run=Path("part"), device="cpu")
    events = session.events()
    saved = [event for event in events if isinstance(event, Saved)]
    (saved[-1].path / "tensors.safetensors").write_bytes(b"rot")
    (Path("part") / "summary.json").unlink()
    resumed = Session.resume(Path("part"), catalog=zoo.catalog, device="cpu")
    assert any("is damaged (tensors.safetensors does not match its SHA-256)" in note for note in resumed.notes)
    assert resumed.progress.epoch == 1
    kept = resumed.run.checkpoints.index().previous
    events = resumed.events()
    next(event for event in events if isinstance(event, StepDone))
    index = resumed.run.checkpoints.index()
    assert (index.last, index.previous) == (kept, None)
    list(events)
    assert state(resumed.run) == state(whole)


def begin_elsewhere(recipe: zoo.Recipe, key: str, value: str) -> None:
    """Start the run `run`, and write into its manifest that this was in another environment."""
    next(Session.start(recipe, catalog=zoo.catalog, run=Path("run"), device="cpu").events())
    manifest = json.loads(Path("run/manifest.json").read_text())
    manifest["environment"][key] = value
    Path("run/manifest.json").write_text(json.dumps(manifest))


def test_drift_of_the_environment_marks_the_run_inexact(tiny: Tiny) -> None:
    begin_elsewhere(tiny(), "torch", "1.0")
    run = zoo.resume("run", device="cpu")
    assert run.summary is not None and run.summary["exact"] is False
    assert run.manifest["inexact"] == [f"torch was 1.0, now {version('torch')}"]


def test_a_run_from_another_sort_of_device_goes_on_here_and_says_so(tiny: Tiny) -> None:
    begin_elsewhere(tiny(), "device", "abacus")
    resumed = Session.resume(Path("run"), catalog=zoo.catalog)
    assert any(note.startswith("not exact any more: device was abacus, now ") for note in resumed.notes)


def test_bad_input_leaves_no_directory(tiny: Tiny, photos: Path) -> None:
    (photos / "number 0" / "0.png").write_bytes(b"\x89PNG\r\n\x1a\n not a picture")
    with pytest.raises(zoo.ZooError, match=r"number 0/0\.png"):
        zoo.train("conv-net-momentum", data=str(photos), run="never")
    assert not Path("never").exists()


def test_a_used_directory_is_refused_and_untouched(tiny: Tiny) -> None:
    Path("mine").mkdir()
    (Path("mine") / "thesis.txt").write_text("years")
    with pytest.raises(RunError, match="the run directory mine exists already"):
        zoo.train(tiny(), run="mine")
    assert [path.name for path in Path("mine").iterdir()] == ["thesis.txt"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_place_without_write_permission_is_refused(tiny: Tiny) -> None:
    Path("closed").mkdir(mode=0o500)
    with pytest.raises(RunError, match="permission denied"):
        zoo.train(tiny(), run="closed/run")
    assert not list(Path("closed").iterdir())


def test_two_classes_train_one_sigmoid_output(tiny: Tiny) -> None:
    recipe = tiny(
        "loss=bce", "data.classes=[3, 8]", "data.train_size=100", "training.epochs=20", "training.early_stopping=null"
    )
    run = zoo.train(recipe)
    assert run.summary is not None and run.summary["test"]["accuracy"] > 0.9
    last = [value for name, value in run.checkpoints.load_best()["model"].items() if name.endswith("bias")][-1]
    assert last.shape == (1,)
    rows = np.load(run.path / "predictions" / "test.npz")
    assert rows["logits"].shape[1] == 2 and not rows["logits"][:, 0].any()
    assert rows["classes"].tolist() == ["3", "8"]


def test_bce_with_more_classes_is_refused(tiny: Tiny) -> None:
    with pytest.raises(zoo.ZooError, match="loss bce needs two classes, and the data has 10"):
        zoo.train(tiny("loss=bce"))


def test_bf16_autocast_and_channels_last_train(tiny: Tiny) -> None:
    run = zoo.train(tiny("training.precision=bf16", "training.channels_last=true"))
    assert run.summary is not None and run.manifest["environment"]["precision"] == "bf16"
    assert run.history()[-1]["train/loss"] < run.history()[0]["train/loss"]


def test_a_resolved_recipe_takes_no_settings_that_would_be_lost(tiny: Tiny) -> None:
    for arguments, options in ((("training.epochs=1",), {}), ((), {"seed": 7}), ((), {"data": "digits"})):
        with pytest.raises(zoo.ZooError, match="is resolved already"):
            zoo.train(tiny(), *arguments, **options)
        with pytest.raises(zoo.ZooError, match="is resolved already"):
            zoo.dry_run(tiny(), *arguments, **options)
    assert not Path("runs").exists()


def test_two_runs_that_start_together_get_directories_of_their_own(tiny: Tiny) -> None:
    sessions = [Session.start(tiny(), catalog=zoo.catalog, device="cpu") for _ in range(2)]
    assert [session.run.path.name for session in sessions] == ["conv-net-momentum-0-1", "conv-net-momentum-0-2"]


def test_a_run_whose_data_changed_does_not_go_on(photos: Path) -> None:
    recipe = zoo.resolve(
        "conv-net-momentum", "architecture.filters=4", "architecture.hidden=16", "data.image_size=8", data=str(photos)
    )
    next(Session.start(recipe, catalog=zoo.catalog, run=Path("run"), device="cpu").events())
    next((photos / "number 0").iterdir()).unlink()
    with pytest.raises(RunError, match="is not what it was trained on so far"):
        zoo.resume("run")


def test_a_step_that_cannot_be_computed_is_one_clear_error() -> None:
    recipe = zoo.resolve(
        "resnet18-momentum", "training.batch_size=1", "data.train_size=20", "training.threads=1", "training.steps=2",
        "training.epochs=null",
    )  # fmt: skip
    with pytest.raises(zoo.ZooError, match=r"step 1 of resnet18: ValueError: Expected more than 1 value per channel"):
        zoo.train(recipe, run="one")
    assert zoo.Run(Path("one")).status == "failed"


def test_why_a_run_is_inexact_survives_a_stop(tiny: Tiny) -> None:
    session = Session.start(tiny("training.deterministic=false"), catalog=zoo.catalog, run=Path("run"), device="cpu")
    events = session.events()
    for event in events:
        if isinstance(event, EpochDone):
            break
    events.close()
    assert zoo.Run(Path("run")).status == "interrupted"
    run = zoo.resume("run")
    assert run.manifest["inexact"] == ["training.deterministic is false"]
    assert run.summary is not None and run.summary["exact"] is False


def test_a_damaged_run_is_listed_and_hides_no_other(tiny: Tiny) -> None:
    run = zoo.train(tiny("training.epochs=1"))
    Path("runs/broken").mkdir()
    Path("runs/broken/manifest.json").write_text("{")
    assert {each.name for each in list_runs()} == {"broken", run.name}
    assert find_run("latest").name == run.name


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("c++") is None, reason="torch.compile needs a C++ compiler")
def test_a_compiled_run_learns_what_the_plain_one_does(tiny: Tiny) -> None:
    plain, compiled = (zoo.train(tiny(f"training.compile={flag}"), run=flag) for flag in ("false", "true"))
    assert plain.summary is not None and compiled.summary is not None
    assert compiled.summary["test"]["loss"] == pytest.approx(plain.summary["test"]["loss"], rel=0.05)
    assert zoo.evaluate(compiled)["loss"] == compiled.summary["test"]["loss"]
