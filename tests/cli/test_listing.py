from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from zoo.cli.listing import ALL_KINDS
from zoo.cli.main import main


@pytest.fixture
def rows(capsys: pytest.CaptureFixture[str]) -> Any:
    def listed(*arguments: str) -> list[dict[str, Any]]:
        assert main(["list", *arguments, "--json"]) == 0
        out, err = capsys.readouterr()
        assert err in ("", "nothing matches\n")
        result: list[dict[str, Any]] = json.loads(out)
        return result

    return listed


def test_json_has_one_row_per_component_and_recipe(rows: Any) -> None:
    found = rows()
    assert {row["kind"] for row in found} == set(ALL_KINDS)
    assert all(list(row) == ["kind", "name", "family", "summary", "plugin", "distribution", "version"] for row in found)
    conv_net = next(row for row in found if row["name"] == "conv-net")
    assert (conv_net["kind"], conv_net["family"], conv_net["plugin"], conv_net["distribution"]) == (
        "architecture",
        "cnn",
        "architectures",
        "zoo-vision",
    )
    assert {"resnet50-momentum", "conv-net-momentum", "row-lstm-momentum"} <= {
        r["name"] for r in found if r["kind"] == "recipe"
    }


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("architectures", "resnet50"),
        ("optimizer", "momentum"),
        ("regularizers", "dropout"),
        ("acquisition", "margin"),
        ("data", "digits"),
        ("data-sources", "folder"),
        ("recipes", "resnet50-momentum"),
    ],
)
def test_kinds_in_singular_and_plural(kind: str, name: str, rows: Any) -> None:
    found = rows(kind)
    assert name in {row["name"] for row in found}
    assert len({row["kind"] for row in found}) == 1


def test_filters_by_part_of_the_name_by_glob_and_by_family(rows: Any) -> None:
    assert {row["name"] for row in rows("architecture", "--filter", "NET50")} == {"resnet50"}
    assert {row["name"] for row in rows("architecture", "--filter", "resnet*")} >= {"resnet18", "resnet50"}
    assert {row["family"] for row in rows("--family", "rnn")} == {"rnn"}
    assert rows("--filter", "no-such-thing") == []


def test_an_unknown_kind_is_refused_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "optimisers", "--json"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "did you mean 'optimizer'?" in err


def test_recipes_that_cannot_be_used_are_said_once_and_the_others_are_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "registry.yaml").write_text(
        "version: 1\nrecipes:\n  bad: {extends: conv-net-momentum, los: bce}\n  good: {extends: conv-net-momentum}\n"
    )
    assert main(["list", "recipe"]) == 0
    out, err = capsys.readouterr()
    assert err == (
        "recipes that cannot be used:\n  registry.yaml:3:37: recipe 'bad': unknown block 'los'; did you mean 'loss'?\n"
    )
    assert [line.split()[0] for line in out.splitlines() if "cannot be used" in line] == ["bad"]
    assert "  good  " in out


def test_the_table_fits_80_columns_and_is_grouped(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 80
    titles = [line.split(" (")[0] for line in lines if line and not line.startswith(" ")]
    assert titles == [
        "Architectures",
        "Optimizers",
        "Regularizers",
        "Acquisition strategies",
        "Data sources",
        "Recipes",
    ]
