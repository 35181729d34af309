from __future__ import annotations

import pytest
import torch

from zoo.data.streaming import cores
from zoo.errors import DeviceError
from zoo.recipe import Training
from zoo.training.device import choose_device, choose_precision, crowded, repeatable


def test_auto_is_the_best_device_here() -> None:
    assert choose_device("auto").type == (
        "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    )
    assert choose_device("cpu") == torch.device("cpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_here_says_what_is() -> None:
    with pytest.raises(DeviceError, match=r"'cuda' is not on this machine\n  possible: .*cpu"):
        choose_device("cuda")


def test_an_unknown_device_lists_the_words() -> None:
    with pytest.raises(DeviceError, match="unknown device 'gpu'\n  possible: auto, cpu, cuda"):
        choose_device("gpu")


def test_precision_auto_is_full_on_the_cpu_and_bf16_on_request() -> None:
    cpu = torch.device("cpu")
    assert [choose_precision(p, cpu) for p in ("auto", "fp32", "bf16")] == ["fp32", "fp32", "bf16"]


def test_switches_of_torch_are_as_before_afterwards() -> None:
    before = (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark)
    with repeatable(Training(), threads=1) as inexact:
        assert torch.get_num_threads() == 1 and torch.are_deterministic_algorithms_enabled()
        assert inexact.reasons == []
    assert (
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
        torch.backends.cudnn.benchmark,
    ) == before


def test_fused_attention_whose_gradients_differ_from_time_to_time_is_off() -> None:
    with repeatable(Training(), threads=1):
        assert not torch.backends.cuda.flash_sdp_enabled() and not torch.backends.cuda.cudnn_sdp_enabled()
        assert not torch.backends.cuda.mem_efficient_sdp_enabled() and torch.backends.cuda.math_sdp_enabled()
    assert torch.backends.cuda.flash_sdp_enabled() and torch.backends.cuda.cudnn_sdp_enabled()


def test_a_recipe_that_gives_up_determinism_says_so() -> None:
    with repeatable(Training(deterministic=False), threads=1) as inexact:
        assert not torch.are_deterministic_algorithms_enabled() and torch.backends.cuda.flash_sdp_enabled()
    assert inexact.reasons == ["training.deterministic is false"]


def test_more_processes_than_cores_are_named() -> None:
    assert crowded("cpu", cores()) is None
    assert str(crowded("cpu", cores() + 1)).startswith(f"{cores() + 1} processes share {cores()} core")
