from __future__ import annotations

import json
from pathlib import Path

import pytest

from zoo.cli.main import main


def test_the_schema_is_a_json_schema_that_knows_the_blocks(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["schema"]) == 0
    out, err = capsys.readouterr()
    schema = json.loads(out)
    assert "json-schema.org" in schema["$schema"]
    assert "conv-net" in out
    assert err == ""


def test_doctor_names_versions_plugins_registry_and_where_runs_go(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["doctor", "--json"]) == 0
    checks = {check["name"]: check for check in json.loads(capsys.readouterr().out)}
    assert all(check["ok"] for check in checks.values())
    assert {"zoo", "python", "torch", "threads", "memory", "plugin architectures", "registry", "runs"} <= set(checks)
    assert str(tmp_path) in checks["runs"]["value"]


def test_doctor_says_what_needs_care_and_exits_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = tmp_path / "bad.yaml"
    bad.write_text("version: 1\nrecipez: {}\n")
    assert main(["--registry", str(bad), "doctor"]) == 1
    out = capsys.readouterr().out
    assert "✗  registry" in out
    assert "bad.yaml:2:1" in out


def test_a_disabled_plugin_is_told_but_is_no_fault(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZOO_DISABLE_PLUGINS", "tensorboard")
    assert main(["doctor"]) == 0
    assert "disabled" in capsys.readouterr().out
