from __future__ import annotations

from pathlib import Path

import pytest
import torch
from fixtures.architectures import build
from safetensors.torch import save_file

from zoo.cli.main import main
from zoo.training.lookalikes import lookalikes


def shapes(name: str, classes: int) -> dict[str, tuple[int, ...]]:
    """Return names and shapes of a network's tensors, as its library publishes them."""
    model = build(name, (3, 224, 224), classes)
    prefix = getattr(model, "state_prefix", "")
    return {key.removeprefix(prefix): tuple(tensor.shape) for key, tensor in model.state_dict().items()}


@pytest.mark.parametrize("name", ["resnet18", pytest.param("resnet34", marks=pytest.mark.slow)])
def test_a_file_is_of_the_architecture_with_these_tensors_whatever_its_classes(name: str) -> None:
    assert name in lookalikes(shapes(name, 7))
    assert {"resnet18", "resnet34"} & set(lookalikes(shapes(name, 7))) == {name}


def test_other_shapes_or_no_tensors_are_of_none() -> None:
    given = shapes("resnet20", 10)
    assert "resnet20" in lookalikes(given)
    assert lookalikes({**given, "stem.0.weight": (3, 3, 3, 3)}) == []
    assert lookalikes({}) == []


def test_weights_of_another_architecture_are_told_by_name_with_how_to_take_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_file({name: torch.zeros(shape) for name, shape in shapes("resnet20", 10).items()}, tmp_path / "w.safetensors")
    assert main(["train", "conv-net-momentum", "weights=w.safetensors", "--dry-run"]) == 2
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith(
        "error: weights w.safetensors: 0 of 4 tensors fit conv-net as this recipe builds it: it lacks "
    )
    assert lines[1:] == ["  possible: the file has the tensors of resnet20", "  try: architecture=resnet20"]
