from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from zoo.errors import ComponentError, RunError
from zoo.training.checkpoint import Checkpoints, dumps, loads
from zoo.training.optimizer import restore_optimizer


def same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return (
            a.dtype == b.dtype and a.shape == b.shape and torch.equal(a.contiguous().view(-1), b.contiguous().view(-1))
        )
    if isinstance(a, dict):
        return isinstance(b, dict) and list(a) == list(b) and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (list, tuple)):
        return type(a) is type(b) and len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, float) and math.isnan(a):
        return isinstance(b, float) and math.isnan(b)
    return type(a) is type(b) and a == b


TREE = {
    "tensors": [
        torch.arange(3),
        torch.tensor(1.5, dtype=torch.float64),
        torch.ones(2, dtype=torch.bfloat16),
        torch.zeros(0, 3),
    ],
    "flags": {"on": True, "off": False, "none": None},
    "numbers": (1, -7, 0.1, math.inf, -math.inf, math.nan, 2**53),
    "dtype": torch.float16,
    "by number": {0: {"step": torch.tensor(3)}, 1: []},
    "channels last": torch.randn(2, 3, 4, 4, generator=torch.Generator().manual_seed(0)).to(
        memory_format=torch.channels_last
    ),
    "text": "é\n",
}


def test_a_tree_comes_back_with_types_and_bits() -> None:
    assert same(loads(dumps(TREE)), TREE)


def test_equal_trees_give_equal_bytes_and_a_changed_bit_does_not() -> None:
    changed = {**TREE, "text": "é"}
    assert dumps(TREE) == dumps(dict(TREE))
    assert dumps(changed) != dumps(TREE)


def test_aliases_are_stored_once_and_come_back_as_one() -> None:
    weight = torch.ones(1000)
    files = dumps({"a": weight, "b": weight, "c": torch.ones(1000)})
    assert len(files["tensors.safetensors"]) < 2.5 * 4000
    tree = loads(files)
    assert tree["a"] is tree["b"] and tree["a"] is not tree["c"]


def test_views_of_one_buffer_are_kept_apart() -> None:
    buffer = torch.arange(10.0)
    tree = loads(dumps({"front": buffer[:4], "overlap": buffer[2:6]}))
    assert tree["front"].tolist() == [0, 1, 2, 3] and tree["overlap"].tolist() == [2, 3, 4, 5]


def test_a_state_that_cannot_be_kept_is_named() -> None:
    with pytest.raises(ComponentError, match=r"'/optimizer/hook' holds a function"):
        dumps({"optimizer": {"hook": lambda: 0}})


@pytest.mark.parametrize("dtype", [torch.int64, torch.float64, torch.float32])
def test_optimizer_state_keeps_its_dtype_and_takes_the_parameters_strides(dtype: torch.dtype) -> None:
    model = nn.Conv2d(3, 8, 3).to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.named_parameters(), lr=0.1, momentum=0.9)
    optimizer.state[model.weight] = {
        "momentum_buffer": torch.full_like(model.weight, 3, dtype=dtype),
        "step": torch.tensor(4),
    }
    saved = loads(dumps(optimizer.state_dict()))
    fresh = torch.optim.SGD(model.named_parameters(), lr=0.5, momentum=0.9)
    restore_optimizer(fresh, saved)
    buffer = fresh.state[model.weight]["momentum_buffer"]
    assert buffer.dtype == dtype and buffer.stride() == model.weight.stride() and bool((buffer == 3).all())
    assert fresh.state[model.weight]["step"].dtype == torch.int64
    assert fresh.param_groups[0]["lr"] == 0.1


def test_roles_move_and_folders_without_a_role_go(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path / "checkpoints")
    for step, best in ((0, False), (5, True), (10, False), (15, False)):
        kept.save({"step": step}, step, best=best)
    names = sorted(p.name for p in kept.folder.iterdir() if p.is_dir())
    assert names == ["step-00000005", "step-00000010", "step-00000015"]
    assert kept.load_last() == ({"step": 15}, [])
    assert kept.load_best() == {"step": 5}


def test_the_same_step_may_be_saved_again(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path / "checkpoints")
    for value in range(4):
        kept.save({"value": value}, 7, best=value == 1)
    assert kept.load_last()[0] == {"value": 3}
    assert kept.load_best() == {"value": 1}


@pytest.mark.parametrize("harm", ["flip", "cut", "remove"])
def test_a_damaged_checkpoint_is_skipped_for_the_one_before_and_that_is_said(tmp_path: Path, harm: str) -> None:
    kept = Checkpoints(tmp_path / "checkpoints")
    kept.save({"w": torch.zeros(100)}, 1, best=True)
    last = kept.save({"w": torch.ones(100)}, 2, best=False) / "tensors.safetensors"
    data = last.read_bytes()
    if harm == "remove":
        last.unlink()
    else:
        last.write_bytes(data[:-1] if harm == "cut" else data[:-1] + bytes([data[-1] ^ 1]))
    tree, notes = kept.load_last()
    assert tree["w"].sum() == 0
    assert len(notes) == 1 and "step-00000002 is damaged" in notes[0]


def test_no_usable_checkpoint_is_an_error_that_says_what_is_wrong(tmp_path: Path) -> None:
    kept = Checkpoints(tmp_path / "checkpoints")
    folder = kept.save({"w": torch.zeros(3)}, 1, best=True)
    (folder / "state.json").write_text("{}")
    with pytest.raises(RunError, match=r"state\.json does not match"):
        kept.load_last()
    with pytest.raises(RunError, match=r"state\.json does not match"):
        kept.load_best()
