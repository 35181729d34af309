from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from fixtures.architectures import build
from safetensors.torch import save_file
from torch import Tensor, nn

import zoo
from zoo.cli.main import main
from zoo.errors import ComponentError
from zoo.facts import Pretrained
from zoo.training.weights import load_weights

Tensors = dict[str, Tensor]


def published(outputs: int = 7, channels: int = 3) -> Tensors:
    """Return the weights of a small residual network as somebody else would publish them, moved away from their start."""
    model = build("resnet20", (channels, 16, 16), outputs, width=4)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.5)
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def target(outputs: int = 5, channels: int = 3) -> Any:
    return build("resnet20", (channels, 16, 16), outputs, width=4)


def saved(tensors: Tensors, path: Path) -> str:
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, path)
    return str(path)


def state(model: nn.Module) -> Tensors:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def test_all_but_the_classifier_of_other_classes_is_taken_and_what_is_left_is_named(tmp_path: Path) -> None:
    tensors, model = published(), target()
    file = saved(tensors, tmp_path / "w.safetensors")
    assert load_weights(model, file, None, "resnet20") == [
        f"left out of weights {file}, for other classes: head.bias, head.weight"
    ]
    after = state(model)
    own = {"head.weight", "head.bias"}
    assert all(torch.equal(after[name], tensors[name]) for name in after if name not in own)
    assert not any(after[name].any() for name in own)


def test_a_classifier_for_as_many_classes_is_taken_too(tmp_path: Path) -> None:
    tensors, model = published(5), target(5)
    assert load_weights(model, saved(tensors, tmp_path / "w.safetensors"), None, "resnet20") == []
    assert all(torch.equal(value, tensors[name]) for name, value in state(model).items())


def test_timms_own_names_are_found_in_a_model_that_wraps_its(tmp_path: Path) -> None:
    model = build("resnet18", (3, 16, 16), 5)
    tensors = {
        name.removeprefix("network."): value + 1 for name, value in state(model).items() if value.is_floating_point()
    }
    whole = {**tensors, **{n.removeprefix("network."): v for n, v in state(model).items() if not v.is_floating_point()}}
    assert load_weights(model, saved(whole, tmp_path / "w.safetensors"), None, "resnet18") == []
    assert torch.equal(model.network.conv1.weight, tensors["conv1.weight"])


def test_a_first_convolution_for_three_channels_is_summed_for_one(tmp_path: Path) -> None:
    tensors, model = published(), target(channels=1)
    file = saved(tensors, tmp_path / "w.safetensors")
    notes = load_weights(model, file, None, "resnet20")
    assert notes[1] == f"stem.0.weight of weights {file} summed over its three channels"
    assert torch.equal(model.stem[0].weight, tensors["stem.0.weight"].sum(1, keepdim=True))


def test_weights_without_a_classifier_leave_the_models_own(tmp_path: Path) -> None:
    tensors, model = published(), target()
    for name in ("head.weight", "head.bias"):
        del tensors[name]
    file = saved(tensors, tmp_path / "w.safetensors")
    notes = load_weights(model, file, None, "resnet20")
    assert notes == [f"weights {file}: there is no classifier in it"]
    assert not model.head.weight.any()
    assert torch.equal(model.stem[0].weight, tensors["stem.0.weight"])


def lacking(tensors: Tensors) -> None:
    del tensors["blocks.0.conv1.weight"]


def renamed(tensors: Tensors) -> None:
    tensors["blocks.9.conv1.weight"] = tensors.pop("blocks.0.conv1.weight")


def reshaped(tensors: Tensors) -> None:
    tensors["blocks.0.conv1.weight"] = torch.zeros(4, 4, 1, 1)


def halved(tensors: Tensors) -> None:
    tensors["blocks.0.bn1.weight"] = tensors["blocks.0.bn1.weight"].half()


def broken(tensors: Tensors) -> None:
    tensors["blocks.0.bn1.weight"][0] = float("nan")


def infinite(tensors: Tensors) -> None:
    tensors["blocks.0.bn1.running_var"][0] = float("inf")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lacking, "as this recipe builds it: it lacks blocks.0.conv1.weight\n"),
        (renamed, "it lacks blocks.0.conv1.weight and has besides blocks.9.conv1.weight\n"),
        (reshaped, "blocks.0.conv1.weight is (4, 4, 1, 1), not (4, 4, 3, 3)\n"),
        (halved, "blocks.0.bn1.weight is float16, not float32\n"),
        (broken, "not finite: blocks.0.bn1.weight\n"),
        (infinite, "not finite: blocks.0.bn1.running_var\n"),
    ],
)
def test_what_does_not_fit_is_one_message_and_changes_nothing(
    change: Callable[[Tensors], None], message: str, tmp_path: Path
) -> None:
    tensors, model = published(), target()
    change(tensors)
    before = state(model)
    with pytest.raises(ComponentError) as caught:
        load_weights(model, saved(tensors, tmp_path / "w.safetensors"), None, "resnet20")
    assert message in str(caught.value)
    assert all(torch.equal(value, before[name]) for name, value in state(model).items())


def whole(path: Path) -> bytes:
    saved(published(), path)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (lambda path: pickle.dumps({"weight": [1.0]}), "files of torch.save hold programs and are never read"),
        (lambda path: whole(path)[:-100], "not a whole safetensors file"),
        (lambda path: whole(path)[:50], "not a whole safetensors file"),
        (lambda path: b"", "not a whole safetensors file"),
        (lambda path: b"PK\x03\x04" + bytes(500), "not a whole safetensors file"),
    ],
)
def test_a_file_that_is_something_else_is_refused(content: Callable[[Path], bytes], why: str, tmp_path: Path) -> None:
    path, model = tmp_path / "w.safetensors", target()
    path.write_bytes(content(path))
    before = state(model)
    with pytest.raises(ComponentError) as caught:
        load_weights(model, str(path), None, "resnet20")
    assert why in str(caught.value) and "download it again" in caught.value.hint
    assert all(torch.equal(value, before[name]) for name, value in state(model).items())


def test_published_weights_are_taken_from_whoever_publishes_them() -> None:
    tensors, model = published(), target()
    source = Pretrained(mean=(0.5,) * 3, std=(0.5,) * 3, image_size=32, load=lambda: tensors)
    assert load_weights(model, "pretrained", source, "resnet20") == [
        "left out of the published weights of resnet20, for other classes: head.bias, head.weight"
    ]
    assert torch.equal(model.stem[0].weight, tensors["stem.0.weight"])


def test_a_download_that_fails_says_what_else_there_is() -> None:
    def unreachable() -> Tensors:
        raise OSError("no route to host")

    source = Pretrained(mean=(0.5,) * 3, std=(0.5,) * 3, image_size=32, load=unreachable)
    with pytest.raises(
        ComponentError, match=r"downloading the weights of resnet20: OSError: no route to host"
    ) as caught:
        load_weights(target(), "pretrained", source, "resnet20")
    assert caught.value.hint == "weights=FILE.safetensors"


def test_an_architecture_that_nobody_publishes_weights_for_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "conv-net-momentum", "weights=pretrained", "--run", "r"]) == 2
    assert "nobody publishes weights for conv-net as this recipe builds it" in capsys.readouterr().err
    assert not Path("r").exists()


@pytest.mark.parametrize("name", ["w.safetensors", "folder"])
def test_a_file_that_is_not_there_leaves_no_run(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("folder").mkdir()
    assert main(["train", "conv-net-momentum", f"weights={name}", "--run", "r"]) == 2
    assert f"{name}: there is no such file" in capsys.readouterr().err
    assert not Path("r").exists()


def test_weights_bring_their_size_and_normalisation_along(tmp_path: Path) -> None:
    """Files take the size that the weights are for; arrays keep their own, and one channel the mean of three."""
    from zoo.training.reading import prepare_data

    recipe = zoo.resolve("photos-transfer", "weights=somewhere.safetensors")
    dataset = prepare_data(recipe)
    assert dataset.mean == (0.5,) and dataset.std == (0.5,) and dataset.size == (8, 8)
    given = zoo.resolve("resnet50-transfer", "data.normalization={mean: [0.1], std: [0.2]}", "weights=w.safetensors")
    assert prepare_data(given).mean == (0.1,)
    assert (
        prepare_data(zoo.resolve("resnet50-transfer", "weights=null")).mean
        != prepare_data(zoo.resolve("resnet50-transfer")).mean
    )


def test_a_run_goes_on_without_the_file_that_it_began_with(tmp_path: Path, tiny: Callable[..., Any]) -> None:
    from zoo.errors import Interrupted
    from zoo.training.events import StepDone
    from zoo.training.session import Session

    file = tmp_path / "w.safetensors"
    settings = (
        "architecture={name: resnet20, width: 4}",
        "training.batch_size=100",
        "weights=w.safetensors",
        "regularizers=[]",
    )
    recipe = zoo.resolve("conv-net-momentum", "data.train_size=200", "training.epochs=2", *settings)
    saved({n: t.clone() for n, t in build("resnet20", (1, 8, 8), 10, width=4).state_dict().items()}, file)
    session = Session.start(recipe, catalog=zoo.catalog, run=tmp_path / "r", device="cpu")
    with pytest.raises(Interrupted):
        for event in session.events():
            if isinstance(event, StepDone):
                raise Interrupted(2, "stopped here")
    file.unlink()
    assert (zoo.resume(tmp_path / "r", device="cpu").summary or {})["status"] == "finished"


def test_a_choice_that_was_stopped_begins_anew_from_the_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from zoo.training.events import Evaluating
    from zoo.training.session import Session

    monkeypatch.setenv("ZOO_CACHE", str(tmp_path / "cache"))
    start = state(build("resnet20", (1, 16, 16), 7, width=4))
    given = {name: -tensor if "conv" in name else tensor for name, tensor in start.items()}
    saved(given, tmp_path / "w.safetensors")
    recipe = zoo.resolve(
        "conv-net-momentum", "architecture={name: resnet20, width: 4}", "data.train_size=100", "training.epochs=1",
        "weights=w.safetensors", "regularizers=[]", "augmentation=null", "freeze={stages: backbone, choose: true}",
        "search={optimizer.lr: {choices: [0.1, 0.01]}}",
    )  # fmt: skip
    whole = zoo.train(recipe, run=tmp_path / "whole", device="cpu")
    session = Session.start(recipe, catalog=zoo.catalog, run=tmp_path / "stopped", device="cpu")
    for event in session.events():
        if isinstance(event, Evaluating) and event.split == "heads to choose from":
            break
    resumed = zoo.resume(tmp_path / "stopped", device="cpu")
    states = [run.checkpoints.load_best()["model"] for run in (whole, resumed)]
    assert all(torch.equal(value, states[1][name]) for name, value in states[0].items())
    assert torch.equal(states[0]["blocks.0.conv1.weight"], given["blocks.0.conv1.weight"])
