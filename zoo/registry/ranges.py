"""Ranges of the search block: what `--range` says, and whether a range fits the setting that it is for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import inspect
from msgspec.structs import replace

from zoo.errors import Problem, RecipeError, nearest
from zoo.recipe import Range
from zoo.registry.documents import COMMAND_LINE, Mark, Node, parse_value
from zoo.registry.merging import with_range
from zoo.registry.shapes import options
from zoo.wording import in_words, in_yaml

# What decides on which images, and by what, a trial is judged: trials that differ in it cannot be compared.
JUDGING = frozenset({"training.seed", "training.best", "training.early_stopping.monitor"})
OF_DATA = frozenset({"data.image_size", "data.normalization", "data.train_size"})  # what may vary of data
FORM = "PATH=LOW..HIGH, PATH=log:LOW..HIGH or PATH=A,B,C"


def assign_range(recipe: Node, text: str) -> Node:
    """Return the recipe with the range that `--range PATH=SPEC` gives one setting; null takes a range out.

    Raises RecipeError.
    """
    mark = Mark(COMMAND_LINE, argument=f"--range {text}")
    path, equals, spec = (part.strip() for part in text.partition("="))
    if not path or not equals or not spec:
        raise RecipeError([Problem(COMMAND_LINE, f"a range is {FORM}, got {text!r} instead")], hint="zoo tune --help")
    return with_range(recipe, path, replace(_node(spec, mark), key=mark))


def _node(spec: str, mark: Mark) -> Node:
    word, colon, rest = spec.partition(":")
    log = colon == ":" and word == "log"
    low, dots, high = (rest if log else spec).partition("..")
    if dots:
        ends = {"low": parse_value(low, mark), "high": parse_value(high, mark)}
        return Node({**ends, "log": Node(log, mark)}, mark)
    if log:
        raise RecipeError([mark.problem("after log: stands LOW..HIGH")])
    choices = [parse_value(part, mark) for part in spec.split(",")]
    return (
        choices[0] if len(choices) == 1 and choices[0].value is None else Node({"choices": Node(choices, mark)}, mark)
    )


def range_problems(
    path: str, values: Range, kinds: Mapping[str, Any], *, partial: bool = False
) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a range: where in it (`.low`, or nothing for the whole), and a message.

    `kinds` has the types of all settings of the recipe; with `partial`, some of the recipe's may be missing.
    """
    settings = [each for each in kinds if "[" not in each and not each.startswith(("search.", "target."))]
    if path.endswith(".name"):
        yield "", f"search cannot vary '{path}', which brings settings of its own; make a recipe of each"
    elif path in settings and (path in JUDGING or (path.startswith("data.") and path not in OF_DATA)):
        yield "", f"search cannot vary '{path}', by which trials are judged"
    elif path not in settings and not partial:
        near = nearest(path, settings, 1)
        yield "", f"unknown setting '{path}'" + (f"; did you mean '{near[0]}'?" if near else "")
    numbers = values.low is not None and values.high is not None and values.low < values.high
    if values.choices is not None if numbers else not values.choices:
        yield "", f"search.{path} needs low < high, or choices"
    elif numbers:
        yield from _of_numbers(path, values, kinds.get(path))
    else:
        yield from _of_choices(path, values, kinds.get(path))


def typed(values: Range, kind: Any) -> Range:
    """Return the range with whole numbers where its setting is an integer."""
    if values.choices is not None or not _whole(kind):
        return values
    ends = {name: int(end) for name in ("low", "high", "step") if (end := getattr(values, name)) is not None}
    return replace(values, **ends)


def _of_numbers(path: str, values: Range, kind: Any) -> Iterator[tuple[str, str]]:
    assert values.low is not None
    if values.log and values.low <= 0:
        yield ".low", f"search.{path}.low must be > 0 with log, got {values.low:g} instead"
    if values.log and values.step is not None:
        yield ".step", f"search.{path} has log and step; keep one"
    if kind is not None and not {int, float} & set(options(kind)):
        words = in_words(inspect.type_info(kind), article=True)
        yield "", f"search.{path} needs choices: {path} is {words}"
        return
    for name in ("low", "high", "step"):
        number = getattr(values, name)
        if _whole(kind) and number is not None and not float(number).is_integer():
            yield f".{name}", f"search.{path}.{name} must be an integer, got {number:g} instead"
        elif name != "step" and kind is not None and not (name == "low" and values.log and number <= 0):
            value = int(number) if _whole(kind) else number
            yield from _misfit(f"search.{path}.{name}", f".{name}", value, kind)


def _of_choices(path: str, values: Range, kind: Any) -> Iterator[tuple[str, str]]:
    for name, given in (("low", values.low), ("high", values.high), ("step", values.step), ("log", values.log or None)):
        if given is not None:
            yield f".{name}", f"search.{path} has choices and {name}; keep one"
    for number, choice in enumerate(values.choices or ()):
        if choice in (values.choices or [])[:number]:
            yield f".choices.{number}", f"search.{path}.choices has {in_yaml(choice)} twice"
        if kind is not None:
            yield from _misfit(f"search.{path}.choices[{number}]", f".choices.{number}", choice, kind)


def _misfit(name: str, where: str, value: Any, kind: Any) -> Iterator[tuple[str, str]]:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        words = in_words(inspect.type_info(kind), article=True)
        yield (
            where,
            f"{name} must be {words}, got {f'{value:g}' if isinstance(value, float) else in_yaml(value)} instead",
        )


def _whole(kind: Any) -> bool:
    """Return whether a setting takes integers and no other numbers."""
    return kind is not None and int in options(kind) and float not in options(kind)
