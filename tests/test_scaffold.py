from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest
import yaml

from zoo.errors import PluginError
from zoo.scaffold import Package, checked, render, write_package

FILES = {
    "README.md",
    "pyproject.toml",
    "tests/test_conformance.py",
    "zoo_my_net/__init__.py",
    "zoo_my_net/confidence_penalty.py",
    "zoo_my_net/least_confidence.py",
    "zoo_my_net/lion.py",
    "zoo_my_net/plugin.py",
    "zoo_my_net/registry.yaml",
    "zoo_my_net/small_net.py",
}


def test_every_file_is_rendered_and_parses() -> None:
    texts = render(checked("my-net"))
    assert set(texts) == FILES
    for path, text in texts.items():
        assert "$" not in text
        assert text.endswith("\n")
        if path.endswith(".py"):
            assert ast.get_docstring(ast.parse(text)) or path.startswith("tests/")


def test_the_entry_point_is_the_name_and_leads_to_the_module() -> None:
    project = tomllib.loads(render(Package("my-net"))["pyproject.toml"])["project"]
    assert project["name"] == "zoo-my-net"
    assert project["entry-points"] == {"zoo": {"my-net": "zoo_my_net.plugin"}}


def test_the_recipe_uses_all_four_components() -> None:
    (recipe,) = yaml.safe_load(render(Package("my-net"))["zoo_my_net/registry.yaml"])["recipes"].values()
    used = [recipe["architecture"]["name"], recipe["optimizer"]["name"], recipe["regularizers"][0]["name"]]
    assert [*used, recipe["acquisition"]] == [
        "my-net/small-net",
        "my-net/lion",
        "my-net/confidence-penalty",
        "my-net/least-confidence",
    ]


def test_the_package_is_written_whole_into_a_new_or_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for folder in (Path("empty"), tmp_path / "a" / "new one"):
        assert write_package("my-net", folder) == folder
        assert {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()} == FILES
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "empty"]


def test_a_failed_write_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(PluginError, match=r"cannot write .*link"):
        write_package("my-net", tmp_path / "link")
    assert [path.name for path in tmp_path.iterdir()] == ["link"]
