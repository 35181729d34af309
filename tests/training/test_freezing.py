from __future__ import annotations

import copy
import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import zoo
from zoo.errors import ComponentError
from zoo.training.experiment import Experiment, build
from zoo.training.loop import fit, optimize, set_mode
from zoo.training.progress import Progress

NET = ("architecture={name: resnet20, width: 4}", "data.train_size=100", "training.batch_size=25", "training.epochs=3")
PLAIN = ("regularizers=[]", "augmentation=null", "training.threads=1", "training.early_stopping=null")


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))


def experiment(*settings: str) -> Experiment:
    return build(zoo.resolve("conv-net-momentum", *NET, *PLAIN, *settings), device="cpu")


def digests(model: nn.Module, names: frozenset[str] | None = None) -> dict[str, str]:
    """Return a digest of each tensor of a model, buffers included."""
    return {
        name: hashlib.blake2b(tensor.detach().numpy().tobytes()).hexdigest()
        for name, tensor in model.state_dict().items()
        if names is None or name in names
    }


def train(x: Experiment) -> None:
    for _ in fit(x, Progress(x.device)):
        pass


@pytest.mark.parametrize("regularizers", ["[]", "[{name: weight-decay, strength: 0.1}, {name: ema, decay: 0.5}, swa]"])
@pytest.mark.parametrize("augmentation", ["null", "{shift: 0.1}"])
def test_nothing_of_a_frozen_backbone_changes_while_its_classifier_learns(augmentation: str, regularizers: str) -> None:
    """With augmentation the images are forwarded; without, embeddings are computed once. Running statistics count, too."""
    if "swa" in regularizers:
        regularizers = regularizers.replace(", swa", "")
    x = experiment("freeze=backbone", f"augmentation={augmentation}", f"regularizers={regularizers}")
    before = digests(x.model)
    train(x)
    assert (x.inputs is x.images) == (augmentation != "null")
    after = digests(x.model)
    assert {name for name in before if before[name] != after[name]} == {"head.weight", "head.bias"}


def test_an_average_of_weights_leaves_frozen_statistics_alone() -> None:
    x = experiment("freeze=backbone", "regularizers=[swa]", "augmentation={shift: 0.1}")
    before = digests(x.model)
    train(x)
    averaged = digests(x.regularizers.evaluation_model(x.model))
    assert {name for name in before if before[name] != averaged[name]} == {"head.weight", "head.bias"}


def test_the_first_stages_stay_and_the_others_learn() -> None:
    x = experiment("freeze=3")
    stages: Any = x.model.stages
    frozen = {name for stage in stages[:3] for name in stage}
    before = digests(x.model)
    train(x)
    changed = {name for name, digest in digests(x.model).items() if digest != before[name]}
    assert not changed & frozen
    assert changed >= {name for stage in stages[3:] for name in stage}
    assert not any(name.startswith(("stem.", "blocks.0.", "blocks.1.")) for name in changed)  # statistics of norms, too


def test_frozen_parameters_are_absent_from_the_optimizer() -> None:
    x = experiment("freeze=backbone", "regularizers=[weight-decay, layer-decay]")
    held = [name for group in x.optimizer.param_groups for name in group["param_names"]]
    assert sorted(held) == ["head.bias", "head.weight"]
    assert [p.requires_grad for name, p in x.model.named_parameters() if name not in held] == [False] * 57


def test_frozen_modules_stay_in_evaluation_through_every_call_of_train() -> None:
    x = experiment("freeze=backbone")
    batch = torch.rand(8, 1, 8, 8)
    plain = x.model.eval()(batch)
    for model in (x.model, copy.deepcopy(x.model)):
        assert torch.equal(model.train().train()(batch), plain)


def test_dropout_before_the_classifier_acts_on_a_frozen_backbone() -> None:
    x = experiment("freeze=backbone", "regularizers=[{name: dropout, rate: 0.5}]")
    batch = torch.rand(8, 1, 8, 8)
    assert not torch.equal(x.model.train()(batch), x.model.eval()(batch))


def test_after_the_thaw_all_parameters_learn_at_their_own_rate_and_running_statistics_stay() -> None:
    x = experiment(
        "freeze={stages: backbone, unfreeze_after: 2, lr_scale: 0.25}",
        "regularizers=[weight-decay]",
        "optimizer.lr=0.1",
    )
    before, progress = digests(x.model), Progress(x.device)
    rates: dict[int, dict[str, float]] = {}
    for _ in fit(x, progress):
        if progress.epoch < 2:
            assert {n for n, d in digests(x.model).items() if d != before[n]} <= {"head.weight", "head.bias"}
        rates[progress.epoch] = {n: g["initial_lr"] for g in x.optimizer.param_groups for n in g["param_names"]}
    assert set(rates[1]) == {"head.weight", "head.bias"}
    assert rates[3] == {
        n: 0.1 if n.startswith("head.") else pytest.approx(0.025) for n, _ in x.model.named_parameters()
    }
    assert {n for n, d in digests(x.model).items() if d != before[n]} == {n for n, _ in x.model.named_parameters()}
    assert x.frozen is None and x.inputs is x.images


def test_embeddings_train_the_head_as_images_would() -> None:
    """One step on cached embeddings is one step on images through the frozen backbone."""
    cached, forwarded = experiment("freeze=backbone"), experiment("freeze=backbone")
    list(cached.begin_epoch(0))
    assert cached.inputs is not cached.images
    for x in (cached, forwarded):
        progress = Progress(x.device)
        set_mode(x, training=True)
        for batch in x.train.training(0, 0):
            optimize(x, progress, batch)
            progress.step += 1
    heads: list[Tensor] = [x.model.head.weight for x in (cached, forwarded)]  # type: ignore[assignment]
    assert torch.allclose(heads[0], heads[1], atol=1e-5)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["freeze=11"], "freeze.stages is 11, and resnet20 has 11 stages, the classifier being the last"),
        (["freeze=backbone", "architecture=ensemble"], "ensemble does not say which parameters are its backbone"),
    ],
)
def test_what_cannot_be_frozen_is_refused(settings: list[str], message: str) -> None:
    with pytest.raises(ComponentError, match=message):
        experiment(*settings)
