from __future__ import annotations

from typing import Any

import jsonschema
import pytest
import yaml

from zoo.plugins import load_catalog
from zoo.registry import PACKAGED
from zoo.registry.schema import json_schema

SCHEMA = json_schema(load_catalog(quiet=True))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)


def document(**blocks: Any) -> dict[str, Any]:
    return {"version": 1, "recipes": {"r": blocks}}


def test_it_is_a_schema_and_the_packaged_registry_obeys_it() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert VALIDATOR.is_valid(yaml.safe_load(PACKAGED.read_text()))


@pytest.mark.parametrize(
    "blocks",
    [
        {"optimizer": "momentum"},
        {"optimizer": {"name": "momentum", "lr": 0.1}},
        {"optimizer": {"lr": 0.1}},
        {
            "data": {
                "name": "folder",
                "path": "photos",
                "image_size": 96,
                "normalization": {"mean": [0.5], "std": [0.5]},
            }
        },
        {"training": {"early_stopping": {"patience": 3}, "steps": 10}},
        {"schedule": {"name": "step", "milestones": [0.5]}, "acquisition": None},
        {"search": {"optimizer.lr": {"low": 0.1, "high": 1, "log": True}}, "target": {"value": 0.97}},
    ],
)
def test_good_blocks(blocks: dict[str, Any]) -> None:
    assert VALIDATOR.is_valid(document(**blocks))


@pytest.mark.parametrize(
    "blocks",
    [
        {"optimizer": "momentun"},
        {"optimizer": {"name": "momentum", "lr": 0}},
        {"optimizer": {"name": "momentum", "beta1": 0.5}},
        {"optimizer": {"nothing": 1}},
        {"data": {"name": "digits", "path": "x"}},
        {"training": {"epochs": 0}},
        {"training": {"early_stopping": {"wait": 3}}},
        {"schedule": {"name": "step", "warmup": 2}},
        {"loss": "mse"},
        {"trainin": {}},
    ],
)
def test_bad_blocks(blocks: dict[str, Any]) -> None:
    assert not VALIDATOR.is_valid(document(**blocks))


def test_each_choice_explains_itself() -> None:
    names = SCHEMA["$defs"]["optimizer"]["anyOf"][0]["anyOf"]
    momentum = next(choice for choice in names if choice["const"] == "momentum")
    assert momentum["description"].startswith("steps along the exponential average of the gradients (zoo-vision")
