from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from zoo.cli.main import main


def document(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, Any]:
    assert main(["show", *arguments, "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    result: dict[str, Any] = json.loads(out)
    return result


def test_a_recipe_is_shown_resolved_with_who_set_each_value(capsys: pytest.CaptureFixture[str]) -> None:
    shown = document(capsys, "conv-net-momentum", "optimizer.lr=0.07")
    assert shown["kind"] == "recipe"
    assert shown["architecture"]["name"] == "conv-net"
    assert shown["optimizer"]["lr"] == 0.07
    assert shown["origins"]["optimizer.lr"] == "command line"
    assert "registry.yaml:" in shown["origins"]["training.epochs"]


def test_the_table_of_a_recipe_has_value_and_origin_side_by_side(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "conv-net-momentum", "optimizer.lr=0.07"]) == 0
    out = capsys.readouterr().out
    assert ["lr", "0.07", "command", "line"] in [line.split() for line in out.splitlines()]
    assert any(
        line.split()[:2] == ["split_seed", "0"] and line.endswith("default")
        for line in map(str.rstrip, out.splitlines())
    )


def test_a_recipe_of_ones_own_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("version: 1\nrecipes:\n  mine:\n    extends: conv-net-momentum\n    training: {epochs: 3}\n")
    assert main(["--registry", str(file), "show", "mine", "--json"]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["training"]["epochs"] == 3
    assert shown["origins"]["training.epochs"].endswith("mine.yaml:5:24")


def test_an_architecture_is_shown_layer_by_layer(capsys: pytest.CaptureFixture[str]) -> None:
    shown = document(capsys, "conv-net", "--input", "1x28x28", "--classes", "10")
    # 32 filters of 3×3 on one channel, 14×14×32 → 1024, 1024 → 10, each with a bias.
    assert shown["parameters"] == (32 * 9 + 32) + (14 * 14 * 32 + 1) * 1024 + 1025 * 10
    assert shown["parameters"] == sum(layer["parameters"] for layer in shown["layers"])
    assert shown["macs"] == sum(layer["macs"] for layer in shown["layers"])
    assert (shown["kind"], shown["family"], shown["embedding_size"], shown["input"]) == (
        "architecture",
        "cnn",
        1024,
        [1, 28, 28],
    )
    small = document(capsys, "conv-net", "filters=4", "hidden=16", "--input", "1x28x28")
    assert small["parameters"] == (4 * 9 + 4) + (14 * 14 * 4 + 1) * 16 + 17 * 10
    assert main(["show", "conv-net", "--input", "1x28x28"]) == 0
    table = capsys.readouterr().out
    assert "output shape" in table
    assert f"{shown['parameters']:,}" in table


def test_an_architecture_is_shown_with_the_parameters_that_make_it_larger(capsys: pytest.CaptureFixture[str]) -> None:
    shown = document(capsys, "mixer-swap", "width=8", "--input", "1x8x8")
    assert shown["facts"] == {"family": "depends on the settings", "scales": "width, expansion, hidden"}
    assert document(capsys, "linear", "--input", "1x8x8")["facts"] == {"family": "mlp"}


def test_any_other_component_is_shown_with_its_parameters(capsys: pytest.CaptureFixture[str]) -> None:
    shown = document(capsys, "momentum")
    assert (shown["kind"], shown["plugin"]) == ("optimizer", "optimizers")
    lr = next(setting for setting in shown["settings"] if setting["name"] == "lr")
    assert lr["type"].startswith("number")
    for name in ("dropout", "margin", "digits"):
        assert main(["show", name]) == 0
        assert name in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["resnet51"], "did you mean 'resnet50'"),
        (["acme/net"], "acme"),
        (["conv-net", "--input", "28"], "is not CHANNELSxHEIGHTxWIDTH"),
        (["momentum", "lr=3"], "takes no 'lr=3'"),
        (["conv-net", "filter=3"], "unknown key 'filter' of architecture; did you mean 'filters'?"),
        (
            ["conv-net", "filters=0"],
            "architecture.filters must be an integer ≥ 1, got 0 instead (architecture.filters=0)",
        ),
        (["timm", "--kind", "architecture", "model=resnet19"], "timm has no model 'resnet19'"),
        (["conv-net-momentum", "optimizer.lrr=3"], "lrr"),
        (["conv-net", "--kind", "optimiser"], "did you mean 'optimizer'"),
        (["conv-net", "--kind", "optimizer"], "unknown optimizer 'conv-net'"),
        (["resnet50", "--input", "3x2x2"], "pixels a side"),
    ],
)
def test_bad_input_is_one_message_and_exit_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", *arguments, "--json"]) == 2
    out, err = capsys.readouterr()
    assert message in err
    assert out == ""
    assert "Traceback" not in err
