"""Every error that a user can cause, and the exit status each one ends the program with.

ZooError                      2   bad input of any sort
├── UnknownNameError          2   a recipe, component, plugin, run or split that does not exist
├── RecipeError               2   problems of a recipe or registry file, each with its position
├── PluginError               2   a plugin that failed, is disabled, or is in conflict
├── ComponentError            2   a component that broke its contract or does not fit its neighbours
├── DataError                 2   a data source that cannot be used as asked
│   └── ImageError            2   one image that does not decode
├── StatisticsError           2   figures that do not allow the statistic asked for
├── DeviceError               2   a device or precision that this machine does not have
├── RunError                  2   a run directory that exists, is missing, or is damaged
│   └── RunLockedError       75   another process writes to the run
├── StorageError             74   the disk refused a write
├── NonFiniteError           76   loss or gradient became infinite or not-a-number
└── Interrupted         130/143   SIGINT or SIGTERM; the checkpoint is written
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile

import msgspec


class ZooError(Exception):
    """What was asked, what is possible, and what to type next; printed without a traceback."""

    exit_code = 2

    def __init__(self, problem: str, *, possible: str = "", hint: str = "") -> None:
        self.problem = problem
        self.possible = possible
        self.hint = hint
        parts = [problem, f"possible: {possible}" if possible else "", f"try: {hint}" if hint else ""]
        super().__init__("\n  ".join(part for part in parts if part))


class UnknownNameError(ZooError):
    """A name that nothing answers to, with the nearest names that something does."""

    def __init__(self, what: str, name: str, known: Iterable[str], *, hint: str = "") -> None:
        names = sorted(set(known))
        near = nearest(name, names)
        if near:
            possible = f"did you mean {' or '.join(repr(n) for n in near)}?"
        else:
            possible = ", ".join(names[:12]) + (f", … ({len(names)} in all)" if len(names) > 12 else "")
        super().__init__(f"unknown {what} {name!r}", possible=possible or "there are none", hint=hint)
        self.name = name


class Problem(msgspec.Struct, frozen=True, order=True):
    """One problem of a document: `where` is `file:line:column` or `command line`, `recipe` the one that it stands in."""

    where: str
    message: str
    recipe: str = ""

    def __str__(self) -> str:
        named = not self.recipe or f"recipe '{self.recipe}'" in self.message
        return f"{self.where}: {self.message}" if named else f"{self.where}: recipe '{self.recipe}': {self.message}"


class RecipeError(ZooError):
    """All problems of one recipe or registry file, in the order of the document."""

    def __init__(self, problems: Iterable[Problem], *, hint: str = "") -> None:
        self.problems = tuple(problems)
        super().__init__("\n  ".join(str(p) for p in self.problems), hint=hint)


class PluginError(ZooError):
    """A plugin that cannot be used, and why."""


class ComponentError(ZooError):
    """A component that broke its contract or does not fit the others of the recipe."""


class DataError(ZooError):
    """A data source that cannot be used as asked."""


class ImageError(DataError):
    """One image that does not decode; the message names it."""


class StatisticsError(ZooError):
    """Figures, or a number of seeds or architectures, that do not allow the statistic asked for."""


class DeviceError(ZooError):
    """A device or precision that this machine does not have."""


class RunError(ZooError):
    """A run directory that exists already, is missing, or is damaged."""


class RunLockedError(RunError):
    """Another live process writes to the run."""

    exit_code = 75


class StorageError(ZooError):
    """The disk refused a write; what was there before is intact."""

    exit_code = 74


class NonFiniteError(ZooError):
    """Loss or gradient is infinite or not-a-number; the last finite checkpoint is kept."""

    exit_code = 76


class Interrupted(ZooError):
    """A signal ended the run after its checkpoint was written."""

    def __init__(self, signum: int, problem: str, *, hint: str = "") -> None:
        super().__init__(problem, hint=hint)
        self.exit_code = 128 + signum


def nearest(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """Return up to `count` known names that look like `name`, best first, and none much worse than the best.

    A name of a namespace is looked for by what follows the slash as well.
    """
    import difflib

    def likeness(candidate: str) -> float:
        forms = (candidate, candidate.rpartition("/")[2])
        return max(difflib.SequenceMatcher(None, name.lower(), form.lower()).ratio() for form in forms)

    def begins_alike(candidate: str) -> int:
        return sum(
            1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(name.lower(), candidate.lower(), strict=False))
        )

    scored = [(likeness(candidate), begins_alike(candidate), candidate) for candidate in known]
    scored.sort(key=lambda item: (-item[0], -item[1], item[2]))
    worst = max(0.6, scored[0][0] - 0.1) if scored else 1.0
    return [candidate for score, _, candidate in scored[:count] if score >= worst]
