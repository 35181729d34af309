"""From the words of `zoo compare` to the question that they ask."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.errors import ZooError

if TYPE_CHECKING:
    from zoo.comparison.question import Corruptions, Expectation, Question

_EXPECTATION = re.compile(r"(?P<recipe>[^@=]+)@(?P<value>[^=]+)=(?P<sign>falls|rises|equivalent):(?P<points>[0-9.]+)")


def asked(recipes: tuple[str, ...], settings: tuple[str, ...], folder: Path, options: dict[str, Any]) -> Question:
    """Return what the words of the command ask."""
    from zoo.comparison.question import Question

    vary, values = _varied(options["vary"])
    return Question(
        recipes=recipes,
        settings=settings,
        data=options["data"],
        seeds=options["seeds"],
        vary=vary,
        values=values,
        primary=tuple(pair(text) for text in options["primary"]),
        expect=tuple(_expectation(text, recipes, values) for text in options["expect"]),
        corruptions=_corruptions(options),
        **_budget(options["budgets"]),
        trials=options["trials"],
        trial_settings=_trial_settings(options),
        larger=options["larger"],
        measure=not options["no_measure"],
        margin=options["margin"] / 100,
        store=os.path.relpath(options["store"], folder) if options["store"] else "runs",
    )


def _varied(texts: tuple[str, ...]) -> tuple[str | None, tuple[str, ...]]:
    if not texts:
        return None, ()
    text, *others = texts
    if others:
        raise ZooError(
            f"--vary {others[0]} is one too many", possible="one setting a comparison", hint=f"--vary {text}"
        )
    key, _, values = text.partition("=")
    found = tuple(value.strip() for value in values.split(",") if value.strip())
    if len(found) < 2:
        raise ZooError(f"--vary {text} names {len(found)} values", hint=f"--vary {key or 'data.train_size'}=1000,5000")
    return key, found


def pair(text: str) -> tuple[str, str]:
    names = [name.strip() for name in text.split(",")]
    if len(names) != 2 or not all(names):
        raise ZooError(f"--primary {text} is not a pair", hint="--primary RECIPE,RECIPE or --primary cnn,rnn")
    return names[0], names[1]


def _expectation(text: str, recipes: tuple[str, ...], values: tuple[str, ...]) -> Expectation:
    from zoo.comparison.question import Expectation

    found = _EXPECTATION.fullmatch(text)
    if found is None or found["recipe"] not in recipes or found["value"] not in values[1:]:
        raise ZooError(
            f"--expect {text} is not understood",
            possible=f"RECIPE@VALUE=SIGN:POINTS with a recipe of {', '.join(recipes)}; a value of"
            f" {', '.join(values[1:]) or '(no setting is varied)'}; falls, rises or equivalent",
            hint=f"--expect {recipes[0]}@{values[-1] if values else 'VALUE'}=falls:2",
        )
    return Expectation(
        recipe=found["recipe"], value=found["value"], sign=found["sign"], margin=float(found["points"]) / 100
    )


def _budget(texts: tuple[str, ...]) -> dict[str, Any]:
    """Return what a question says of budgets: one of size, and one of seconds."""
    found: dict[str, Any] = {}
    for text in texts:
        kind, _, value = text.partition("=")
        try:
            amount = float(value)
        except ValueError:
            raise ZooError(
                f"--budget {text} is not understood", hint="--budget macs=2e6, or parameters=1e5, seconds=60"
            ) from None
        key, budget = ("seconds", amount) if kind == "seconds" else ("budget", (kind, amount))
        if key in found:
            raise ZooError(f"--budget {text} is one too many", possible="one of macs and parameters, and seconds")
        found[key] = budget
    return found


def _trial_settings(options: dict[str, Any]) -> tuple[str, ...]:
    if options["trial_settings"] and not options["trials"]:
        raise ZooError("--tune-with goes with --tune", hint=f"--tune 8 --tune-with {options['trial_settings'][0]}")
    return tuple(options["trial_settings"])


def _corruptions(options: dict[str, Any]) -> Corruptions | None:
    from zoo.comparison.question import Corruptions

    if options["corruptions"]:
        severities = tuple(sorted(set(options["severities"]))) or Corruptions().severities
        return Corruptions(limit=options["limit"], severities=severities)
    for name, option in (("limit", "--limit"), ("severities", "--severity")):
        if options[name]:
            raise ZooError(f"{option} goes with --corruptions", hint=f"--corruptions {option} …")
    return None
