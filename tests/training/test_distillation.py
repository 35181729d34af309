from __future__ import annotations

import math
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torch import nn

import zoo
from zoo.data.augment import Preprocess
from zoo.errors import Interrupted, RecipeError, RunError, UnknownNameError
from zoo.evaluation.evaluate import evaluate
from zoo.recipe import Distill
from zoo.training.checkpoint import dumps
from zoo.training.distillation import Distillation, View, pinned
from zoo.training.dryrun import dry_run
from zoo.training.events import StepDone
from zoo.training.experiment import Experiment, build
from zoo.training.loop import fit
from zoo.training.progress import Progress
from zoo.training.session import Session

TEACHER = ("architecture.filters=4", "architecture.hidden=32", "training.epochs=6", "training.threads=1")
STUDENT = ("architecture.hidden=16", "training.epochs=2", "training.batch_size=64", "training.threads=1")


@pytest.fixture(scope="module")
def teacher(tmp_path_factory: pytest.TempPathFactory) -> zoo.Run:
    """Return a small conv-net that has learnt the digits in seconds."""
    return zoo.train("conv-net-momentum", *TEACHER, run=tmp_path_factory.mktemp("home") / "runs/net", device="cpu")


def student(teacher: zoo.Run | str, *settings: str, data: str | None = None) -> zoo.Recipe:
    path = teacher if isinstance(teacher, str) else teacher.path
    return zoo.resolve("row-lstm-momentum", *STUDENT, f"distill.teacher={path}", *settings, data=data)


def experiment(recipe: zoo.Recipe) -> Experiment:
    return build(recipe, device="cpu", catalog=zoo.catalog)


def state(run: zoo.Run) -> dict[str, bytes]:
    return dumps(run.checkpoints.load_last()[0])


class Answers(nn.Module):
    """A network that gives the same logits whatever it sees."""

    def __init__(self, logits: torch.Tensor) -> None:
        super().__init__()
        self.logits = logits

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.logits


def asked(logits: torch.Tensor, columns: list[int], **settings: float) -> Distillation:
    same = Preprocess([0.5], [0.25])
    return Distillation(
        settings=Distill(teacher="x", **settings),
        run=zoo.Run(Path("x")),
        network=Answers(logits),
        view=View(same, same, (2, 2)),
        columns=torch.tensor(columns),
        precision="fp32",
    )


def test_the_loss_is_t_squared_times_the_divergence_beside_the_students_own() -> None:
    """Teacher (0.8, 0.2) and student (0.5, 0.5) at T = 2: KL = 0.8 ln 1.6 + 0.2 ln 0.4."""
    taught = asked(torch.tensor([[2 * math.log(0.8), 2 * math.log(0.2)]]), [0, 1], temperature=2.0, weight=0.75)
    loss = taught.loss(torch.tensor([3.0]), torch.tensor([[1.0, 1.0]]), torch.zeros(1, 1, 2, 2))
    divergence = 0.8 * math.log(1.6) + 0.2 * math.log(0.4)
    assert float(loss) == pytest.approx(0.75 * 4 * divergence + 0.25 * 3.0, rel=1e-6)


def test_the_teachers_classes_are_put_in_the_students_order() -> None:
    taught = asked(torch.tensor([[1.0, 2.0, 3.0]]), [2, 0, 1], temperature=1.0, weight=1.0)
    assert taught.logits(torch.zeros(1, 1, 2, 2)).tolist() == [[3.0, 1.0, 2.0]]


def test_at_high_temperature_the_gradient_pulls_logits_together() -> None:
    """Hinton, Vinyals and Dean, equation 4: T² times the gradient tends to (z - v) / C for logits of mean 0."""
    z, v = torch.tensor([[1.0, 0.5, -1.5]], requires_grad=True), torch.tensor([[-2.0, 1.0, 1.0]])
    taught = asked(v, [0, 1, 2], temperature=1000.0, weight=1.0)
    taught.loss(torch.zeros(1), z, torch.zeros(1, 1, 2, 2)).sum().backward()
    assert z.grad is not None
    assert z.grad[0].tolist() == pytest.approx(((z - v) / 3)[0].tolist(), rel=5e-3)


def test_the_teacher_sees_the_same_pixels_in_its_own_normalisation() -> None:
    images = torch.randint(0, 256, (2, 3, 4, 4), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    own, other = Preprocess([0.1, 0.2, 0.3], [0.4, 0.5, 0.6]), Preprocess([0.5, 0.4, 0.3], [0.2, 0.3, 0.25])
    assert torch.allclose(View(own, other, (4, 4))(own.evaluate(images)), other.evaluate(images), atol=1e-5)
    assert torch.equal(View(own, own, (4, 4))(own.evaluate(images)), own.evaluate(images))


def test_grey_images_become_colour_and_small_ones_large_for_a_teacher_of_such() -> None:
    grey = torch.full((1, 1, 4, 4), 51, dtype=torch.uint8)
    own, other = Preprocess([0.5], [0.5]), Preprocess([0.0, 0.1, 0.2], [1.0, 1.0, 0.5])
    seen = View(own, other, (8, 8))(own.evaluate(grey))
    assert seen.shape == (1, 3, 8, 8)
    assert seen[0, :, 3, 3].tolist() == pytest.approx([0.2, 0.1, 0.0], abs=1e-6)


def test_a_recurrent_network_learns_from_a_convolutional_one(teacher: zoo.Run) -> None:
    """From its answers alone: of the labels nothing is in the loss."""
    settings = ("distill.weight=1", "architecture.hidden=32", "optimizer.lr=1", "training.epochs=12")
    taught = zoo.train(student(teacher, *settings), run="taught", device="cpu")
    answers = [np.load(run.path / "predictions/test.npz")["logits"].argmax(1) for run in (teacher, taught)]
    assert float((answers[0] == answers[1]).mean()) > 0.6
    assert taught.manifest["teacher"] == teacher.origin
    assert taught.manifest["notes"][-1].startswith(
        f"taught by conv-net-momentum of {teacher.path}, temperature 4, 100%"
    )
    assert {name.split(".")[0] for name in taught.checkpoints.load_best()["model"]} == {"stack", "head"}


def test_weight_0_trains_the_same_bits_as_no_teacher(teacher: zoo.Run) -> None:
    runs = [
        zoo.train(zoo.resolve("row-lstm-momentum", *STUDENT), run="alone", device="cpu"),
        zoo.train(student(teacher, "distill.weight=0"), run="taught", device="cpu"),
    ]
    assert state(runs[0]) == state(runs[1])


def test_it_works_on_mixed_images_and_with_two_passes(teacher: zoo.Run) -> None:
    settings = ("regularizers=[mixup]", "optimizer={name: sam, base: {name: momentum, lr: 0.1}}", "training.steps=3")
    x = experiment(student(teacher, *settings, "training.epochs=null", "augmentation=null"))
    losses = [float(event.loss) for event in fit(x, Progress(x.device)) if isinstance(event, StepDone)]
    assert len(losses) == 3
    assert all(math.isfinite(loss) for loss in losses)


def test_the_teacher_neither_learns_nor_changes(teacher: zoo.Run) -> None:
    x = experiment(student(teacher, "training.epochs=1"))
    assert x.distillation is not None
    network = x.distillation.network
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    list(fit(x, Progress(x.device)))
    assert not network.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert all(parameter.grad is None for parameter in network.parameters())


def test_a_frozen_backbone_is_taught_on_images(teacher: zoo.Run) -> None:
    recipe = zoo.resolve(
        "conv-net-momentum",
        *TEACHER,
        f"distill={teacher.path}",
        "freeze=backbone",
        "augmentation=null",
        "training.epochs=1",
    )
    x = experiment(recipe)
    list(fit(x, Progress(x.device)))
    assert x.inputs is x.images


def test_a_dry_run_asks_the_teacher_and_names_it(teacher: zoo.Run) -> None:
    result = dry_run(student(teacher), device="cpu", catalog=zoo.catalog)
    assert any("taught by conv-net-momentum" in note for note in result.notes)


def interrupted(recipe: zoo.Recipe, folder: Path, at: int) -> None:
    session = Session.start(recipe, catalog=zoo.catalog, run=folder, device="cpu")
    with pytest.raises(Interrupted):
        for event in session.events():
            if isinstance(event, StepDone) and event.step == at:
                raise Interrupted(2, "here")


def test_a_run_that_was_stopped_goes_on_bit_by_bit_whatever_is_the_latest_run_then(
    teacher: zoo.Run, tmp_path: Path
) -> None:
    shutil.copytree(teacher.path, tmp_path / "runs/net")
    settings = ("training.checkpoint_every=5", "data.train_size=400")
    whole = zoo.train(student("latest", *settings), run="whole", device="cpu")
    interrupted(student("latest", *settings), Path("runs/stopped"), at=8)
    assert f"teacher: {tmp_path}/runs/net" in Path("runs/stopped/recipe.yaml").read_text()
    resumed = zoo.resume("runs/stopped", device="cpu")
    assert state(resumed) == state(whole)
    assert evaluate(resumed, catalog=zoo.catalog)["accuracy"] == (whole.summary or {})["test"]["accuracy"]


def test_a_resumed_run_refuses_a_teacher_with_other_weights(teacher: zoo.Run, tmp_path: Path) -> None:
    shutil.copytree(teacher.path, tmp_path / "net")
    interrupted(student(str(tmp_path / "net"), "data.train_size=400"), Path("stopped"), at=3)
    shutil.rmtree(tmp_path / "net")
    zoo.train("conv-net-momentum", *TEACHER, "training.seed=1", "training.epochs=1", run=tmp_path / "net", device="cpu")
    with pytest.raises(RunError, match="net has other weights than when this run began"):
        zoo.resume("stopped", device="cpu")


def test_a_run_that_was_taught_predicts_without_its_teacher(teacher: zoo.Run, tmp_path: Path) -> None:
    shutil.copytree(teacher.path, tmp_path / "net")
    run = zoo.train(student(str(tmp_path / "net"), "training.epochs=1"), run="taught", device="cpu")
    shutil.rmtree(tmp_path / "net")
    assert zoo.load(run.path).predict(np.zeros((1, 8, 8), np.uint8))[0].class_name in map(str, range(10))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["distill.weight=1"], "distill needs a teacher, a finished run: distill.teacher=RUN"),
        (["distill=x", "distill.weight=1.5"], "distill.weight must be a number ≥ 0, ≤ 1, got 1.5"),
        (["distill=x", "distill.temperature=0"], "distill.temperature must be a number > 0, got 0"),
        (["distill=[x]"], "distill must be a run, or a mapping with `teacher`"),
        (["distill=x", "freeze={stages: backbone, views: 2}"], "the teacher of distill sees images"),
    ],
)
def test_bad_settings_are_refused_when_the_recipe_is_read(settings: list[str], message: str) -> None:
    with pytest.raises(RecipeError, match=message.replace("[", r"\[")):
        zoo.resolve("conv-net-momentum", *settings)


def test_a_name_that_is_no_run_is_told_with_those_like_it(teacher: zoo.Run, tmp_path: Path) -> None:
    shutil.copytree(teacher.path, tmp_path / "runs/small-net")
    with pytest.raises(UnknownNameError, match="did you mean 'small-net'"):
        pinned(student("smal-net"))


def test_an_unfinished_teacher_is_refused(teacher: zoo.Run, tmp_path: Path) -> None:
    shutil.copytree(teacher.path, tmp_path / "net")
    (tmp_path / "net/summary.json").unlink()
    with pytest.raises(RunError, match="net is not finished: it is interrupted"):
        experiment(student(str(tmp_path / "net")))


def arrays(path: Path, shape: tuple[int, ...] = (1, 8, 8), dtype: str = "uint8") -> str:
    """Write an npz of the first 600 digits, 500 of them train, in another form; return its path."""
    data = load_digits()
    pixels = np.kron(data.images[:600, None], np.ones((1, shape[1] // 8, shape[2] // 8))).repeat(shape[0], 1)
    pixels = (pixels * 15).astype(dtype)
    if shape[0] == 3:
        pixels = pixels.transpose(0, 2, 3, 1)
    labels = data.target[:600]
    np.savez(path, x_train=pixels[:500], y_train=labels[:500], x_test=pixels[500:], y_test=labels[500:])
    return str(path)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda path: arrays(path, (3, 8, 8)), "its images have 1 channel, and this run's 3 channels"),
        (lambda path: arrays(path, (1, 8, 16)), "its images are 8×8, and this run's 8×16"),
        (lambda path: arrays(path, dtype="float32"), "it was trained on uint8, and this run's images are float32"),
    ],
)
def test_a_teacher_that_cannot_see_the_students_images_is_refused(
    make: Callable[[Path], str], message: str, teacher: zoo.Run, tmp_path: Path
) -> None:
    recipe = student(teacher, "augmentation=null", data=make(tmp_path / "other.npz"))
    with pytest.raises(RunError, match=f"cannot teach this run: .*{message}"):
        experiment(recipe)


def test_a_teacher_of_other_classes_is_refused(teacher: zoo.Run) -> None:
    with pytest.raises(RunError, match=r"its classes are 0, 1, .* and this run's 3, 5"):
        experiment(student(teacher, "data.classes=['3','5']"))


def test_a_teacher_of_pixels_in_other_places_is_refused(teacher: zoo.Run) -> None:
    with pytest.raises(RunError, match=r"its data.arrangement is none, and this run's permute-pixels"):
        experiment(student(teacher, "data.arrangement=permute-pixels"))


def test_a_teacher_that_has_seen_validation_is_refused_with_the_settings_that_differ(tmp_path: Path) -> None:
    data = arrays(tmp_path / "digits.npz")
    settings = (*TEACHER, "training.epochs=1", "data.split_seed=1")
    other = zoo.train("conv-net-momentum", *settings, data=data, run="net", device="cpu")
    with pytest.raises(
        RunError, match=r"of the 50 images of this run's validation split: data.split_seed was 1, and is 0 here"
    ):
        experiment(student(other, data=data))
    assert experiment(student(other, "data.split_seed=1", "data.train_size=100", data=data)).distillation is not None


def test_a_teacher_of_other_data_that_is_gone_is_refused(tmp_path: Path) -> None:
    data = arrays(tmp_path / "digits.npz")
    other = zoo.train("conv-net-momentum", *TEACHER, "training.epochs=1", data=data, run="net", device="cpu")
    assert experiment(student(other)).distillation is not None
    Path(data).unlink()
    with pytest.raises(RunError, match="other data or splits than this run's, which cannot be looked at"):
        experiment(student(other))
