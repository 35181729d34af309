"""Every first-party component passes the kit."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from zoo.plugins import load_catalog
from zoo.testing import parametrize_with_checks

CATALOG = load_catalog()
LARGE = (
    "resnet34",
    "resnet101",
    "vgg16",
    "vgg16-bn",
    "convnext-tiny",
)  # as many layers as others, and a minute of checks


def apart(mark: pytest.MarkDecorator) -> pytest.MarkDecorator:
    """Return the mark with the checks of large networks among the slow tests."""
    names, cases = mark.args
    slow = [
        pytest.param(*case.values, id=case.id, marks=pytest.mark.slow)
        if str(case.id).split("-", 1)[1].rpartition("-")[0] in LARGE
        else case
        for case in cases
    ]
    return pytest.mark.parametrize(names, slow)


@apart(parametrize_with_checks("architectures", CATALOG))
def test_architectures(check: Callable[[], None]) -> None:
    assert check() is None


@parametrize_with_checks("optimizers", CATALOG)
def test_optimizers(check: Callable[[], None]) -> None:
    assert check() is None


@parametrize_with_checks("regularizers", CATALOG)
def test_regularizers(check: Callable[[], None]) -> None:
    assert check() is None


@parametrize_with_checks("acquisitions", CATALOG)
def test_acquisitions(check: Callable[[], None]) -> None:
    assert check() is None


@parametrize_with_checks("data-sources", CATALOG)
def test_data_sources(check: Callable[[], None]) -> None:
    assert check() is None


@pytest.mark.parametrize("name", [plugin.name for plugin in CATALOG.plugins if plugin.first_party])
def test_listing_a_first_party_plugin_is_light(name: str) -> None:
    from zoo.testing.imports import check_imports_light

    assert check_imports_light(name) is None
