"""A package of a third party from `zoo plugin new` to a trained run, alone and among hostile distributions.

Each environment is a venv of its own that sees the packages of this one, so that nothing is downloaded.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from fixtures.distributions import HOSTILE, namespace, wheel

MODULES = sorted(path.stem for path in HOSTILE.glob("*.py") if path.stem not in ("decent", "decent_net"))
LOADED = ("canary", "nonsense_factory", "observer_meddles", "observer_raises", "unresolved_factory", "writes_to_stdout")
TINY = (
    "architecture.width=4",
    "data.train_size=100",
    "training.epochs=2",
    "training.batch_size=50",
    "training.threads=1",
)
COMPONENTS = {
    "architecture": "acme/small-net",
    "optimizer": "acme/lion",
    "regularizer": "acme/confidence-penalty",
    "acquisition": "acme/least-confidence",
}


@dataclass(frozen=True)
class Environment:
    """A virtual environment; commands run in its folder."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    @property
    def site(self) -> Path:
        code = "import sysconfig; print(sysconfig.get_path('purelib'))"
        return Path(self.run("-c", code).stdout.strip())

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run Python with these arguments, without the caller's settings of zoo."""
        variables = {name: value for name, value in os.environ.items() if not name.startswith(("ZOO_", "PYTHON"))}
        return subprocess.run(
            [str(self.python), *arguments], cwd=self.folder, env=variables, capture_output=True, text=True, check=False
        )

    def pip(self, *arguments: str) -> None:
        """Install what these arguments name, without a network."""
        ended = self.run("-m", "pip", "install", "--no-index", "--disable-pip-version-check", "--quiet", *arguments)
        assert ended.returncode == 0, ended.stderr

    def zoo(self, *arguments: str) -> tuple[str, str]:
        """Return what a command that succeeds prints on stdout and stderr."""
        ended = self.run("-m", "zoo", *arguments)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout, ended.stderr

    def document(self, *arguments: str) -> Any:
        return json.loads(self.zoo(*arguments, "--json")[0])


def create(folder: Path, *sites: Path | str) -> Environment:
    """Return a new environment that sees the packages of these site folders and of this process."""
    venv.create(folder, symlinks=os.name != "nt")
    environment = Environment(folder)
    ours = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    lines = [f"import site; site.addsitedir({str(path)!r})\n" for path in (*sites, *ours)]
    (environment.site / "other_packages.pth").write_text("".join(lines))
    return environment


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Return an environment in which pip has built and installed a generated package."""
    environment = create(tmp_path_factory.mktemp("alone") / "env")
    environment.zoo("plugin", "new", "acme")
    environment.pip("--no-build-isolation", "./zoo-acme")
    assert (environment.site / "zoo_acme/plugin.py").is_file()
    return environment


@pytest.fixture(scope="module")
def trained(alone: Environment) -> Path:
    """Return the run of the recipe that comes with the generated package."""
    summary = alone.document("train", "acme/digits", *TINY)
    assert summary["status"] == "finished"
    assert summary["epochs"] == 2
    return alone.folder / summary["run"]


@pytest.fixture(scope="module")
def besieged(alone: Environment, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """Return an environment with the package and every hostile distribution beside it."""
    environment = create(tmp_path_factory.mktemp("besieged") / "env", alone.site)
    wheels = [wheel(environment.folder, module) for module in MODULES]
    wheels.append(wheel(environment.folder, "decent", "decent_net.py", "decent.yaml"))
    environment.pip("--no-deps", *map(str, wheels))
    return environment


def test_every_generated_component_passes_the_kit(alone: Environment) -> None:
    results = alone.document("plugin", "check", "acme")
    assert all(result["passed"] for result in results)
    assert {result["component"] for result in results} == {"acme", *COMPONENTS.values()}


def test_the_tests_of_the_generated_package_pass(alone: Environment) -> None:
    ended = alone.run("-m", "pytest", "-q", "-p", "no:cacheprovider", "-W", "error", "zoo-acme")
    assert ended.returncode == 0, ended.stdout
    assert re.search(r"\d\d passed", ended.stdout)


def test_its_components_of_all_four_kinds_and_its_recipe_are_listed(alone: Environment) -> None:
    out, err = alone.zoo("list", "--json")
    rows = [row for row in json.loads(out) if row["plugin"] == "acme"]
    assert {row["kind"]: row["name"] for row in rows} == {**COMPONENTS, "recipe": "acme/digits"}
    assert {(row["distribution"], row["version"]) for row in rows} == {("zoo-acme", "0.1.0")}
    assert err == ""


def test_its_strategy_is_simulated_by_its_name_at_once(alone: Environment) -> None:
    short = ("--rounds", "1", "--seeds", "1", "--steps", "2", "--run", "simulations")
    analysis = alone.document("active", "acme/digits", *TINY[:1], *short)
    assert [row["name"] for row in analysis["strategies"]] == ["acme-least-confidence", "random"]
    manifest = json.loads((alone.folder / "simulations/acme-least-confidence-0/manifest.json").read_text())
    assert manifest["environment"]["plugins"]["acme/least-confidence"] == "zoo-acme 0.1.0"


def test_a_run_uses_and_records_all_four(trained: Path) -> None:
    manifest = json.loads((trained / "manifest.json").read_text())
    assert manifest["recipe"] == "acme/digits"
    origins = manifest["environment"]["plugins"]
    assert {name: origins[name] for name in COMPONENTS.values()} == dict.fromkeys(COMPONENTS.values(), "zoo-acme 0.1.0")
    assert all(name in (trained / "recipe.yaml").read_text() for name in COMPONENTS.values())


def test_among_hostile_distributions_the_list_is_whole_and_each_is_named(
    besieged: Environment, alone: Environment
) -> None:
    out, err = besieged.zoo("list", "--json")
    names = {(row["kind"], row["name"]) for row in json.loads(out)}
    assert names >= {(row["kind"], row["name"]) for row in alone.document("list")}
    named = re.findall(r"^plugin '(.+)' \((.+) 1\.2\.3\) is not used: \S", err, re.MULTILINE)
    expected = [(namespace(module), f"zoo-{module.replace('_', '-')}") for module in MODULES if module not in LOADED]
    assert sorted(named) == sorted(expected)
    states = {row["distribution"]: row["state"] for row in besieged.document("plugin", "list")}
    assert all(states[distribution] in ("failed", "conflict") for _, distribution in expected)


def test_among_hostile_distributions_the_help_is_as_ever(besieged: Environment) -> None:
    out, err = besieged.zoo("--help")
    assert "Usage: zoo" in out
    assert err == ""


def test_among_hostile_distributions_training_gives_the_same_bits(besieged: Environment, trained: Path) -> None:
    out, err = besieged.zoo("train", "acme/digits", *TINY, "--json")
    summary = json.loads(out)
    run = besieged.folder / summary["run"]
    told = json.loads((trained / "summary.json").read_text())
    assert {**summary, "seconds": 0} == {**told, "seconds": 0}
    assert (run / "metrics.jsonl").read_bytes() == (trained / "metrics.jsonl").read_bytes()
    assert "plugin 'twin' (zoo-twin-one 1.2.3) is not used" in err
    assert "plugin 'observer-raises' (zoo-observer-raises 1.2.3) failed in zoo_run_started" in err
