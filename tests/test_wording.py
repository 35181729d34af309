from __future__ import annotations

from typing import Annotated, Literal

import pytest
from msgspec import Meta, inspect

from zoo.wording import in_words, in_yaml


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "null"), (True, "true"), ([1, "a"], "[1, a]"), ({"a": [False]}, "{a: [false]}"), (0.0005, "0.0005")],
)
def test_values_are_written_as_in_a_recipe(value: object, text: str) -> None:
    assert in_yaml(value) == text


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        (Annotated[list[str], Meta(min_length=2)], "list of text of at least 2 items"),
        (Annotated[str, Meta(min_length=1, max_length=9)], "text of at least 1 and at most 9 characters"),
        (Literal["b", "a"] | None, "a or b or null"),
        (dict[str, int], "mapping"),
    ],
)
def test_types_are_told_with_their_ranges(kind: object, words: str) -> None:
    assert in_words(inspect.type_info(kind)) == words
