from __future__ import annotations

import inspect
import re

import pytest

from zoo import errors
from zoo.errors import Interrupted, Problem, RecipeError, UnknownNameError, ZooError, nearest

TABLE = re.findall(r"^[│├└─ ]*(\w+) +([\d/]+) +\S", errors.__doc__ or "", re.MULTILINE)
CLASSES = {name: kind for name, kind in vars(errors).items() if inspect.isclass(kind) and issubclass(kind, ZooError)}


def test_the_drawn_tree_holds_every_error_and_its_parent() -> None:
    assert [name for name, _ in TABLE] == list(CLASSES)
    lines = [line for line in (errors.__doc__ or "").splitlines() if re.search(r"\w +[\d/]+ ", line)]
    parents: list[str] = []
    for line in lines:
        name = re.search(r"\w+", line)[0]  # type: ignore[index]
        depth = (len(line) - len(line.lstrip("│├└─ "))) // 4
        parents = [*parents[:depth], name]
        assert CLASSES[name].__base__ is (CLASSES[parents[-2]] if depth else Exception)


@pytest.mark.parametrize(("name", "codes"), TABLE)
def test_the_exit_status_is_the_drawn_one(name: str, codes: str) -> None:
    if name == "Interrupted":
        assert "/".join(str(Interrupted(signum, "stopped").exit_code) for signum in (2, 15)) == codes
    else:
        assert str(CLASSES[name].exit_code) == codes


def test_a_message_says_what_was_asked_what_is_possible_and_what_to_type() -> None:
    error = ZooError("no such thing", possible="a or b", hint="zoo list")
    assert (error.problem, error.possible, error.hint) == ("no such thing", "a or b", "zoo list")
    assert str(error) == "no such thing\n  possible: a or b\n  try: zoo list"
    assert str(ZooError("no such thing", hint="zoo list")) == "no such thing\n  try: zoo list"
    assert str(ZooError("no such thing")) == "no such thing"


def test_an_unknown_name_offers_the_nearest_or_else_lists_what_there_is() -> None:
    near = UnknownNameError("recipe", "resnet5", ["resnet18", "resnet50", "row-lstm"], hint="zoo list")
    assert str(near) == ("unknown recipe 'resnet5'\n  possible: did you mean 'resnet50'?\n  try: zoo list")
    assert near.name == "resnet5"
    assert UnknownNameError("split", "zzz", ["train", "test", "test"]).possible == "test, train"
    many = UnknownNameError("run", "zzz", [f"run-{i:02d}" for i in range(20)])
    assert many.possible == ", ".join(f"run-{i:02d}" for i in range(12)) + ", … (20 in all)"
    assert UnknownNameError("run", "zzz", []).possible == "there are none"


def test_a_recipe_error_lists_its_problems_in_their_order() -> None:
    problems = [Problem("r.yaml:3:5", "unknown key 'lrr'"), Problem("command line", "must be above 0")]
    error = RecipeError(iter(problems), hint="zoo show r")
    assert error.problems == tuple(problems)
    assert str(error) == "r.yaml:3:5: unknown key 'lrr'\n  command line: must be above 0\n  try: zoo show r"


def test_nearest_names_come_best_first_and_at_most_count() -> None:
    known = ["momentum", "adamw", "adam", "adamax", "sgd"]
    assert nearest("adamm", known) == ["adam", "adamw"]
    assert nearest("adamm", known, 1) == ["adam"]
    assert nearest("ADAMW", known, 1) == ["adamw"]
    assert nearest("xyz", known) == []


def test_nearest_looks_behind_the_namespace_of_third_parties() -> None:
    assert nearest("convnet", ["acme/conv-net", "row-lstm"]) == ["acme/conv-net"]
