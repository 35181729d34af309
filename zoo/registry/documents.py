"""YAML text → nodes that know their position: the YAML 1.2 core schema, without anchors, aliases, tags and merge keys."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import yaml
from msgspec.structs import replace

from zoo.errors import Problem, RecipeError

MAX_BYTES = 1_000_000
MAX_DEPTH = 32
COMMAND_LINE = "command line"

# Without libyaml, PyYAML's own parser reads the same language, ten times slower.
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NULL = frozenset({"", "~", "null", "Null", "NULL"})
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NON_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")

Scalar = bool | int | float | str | None


class Mark(msgspec.Struct, frozen=True, order=True):
    """A position in a file, counted from 1, or one argument of the command line."""

    file: str
    line: int = 0
    column: int = 0
    argument: str = ""

    def __str__(self) -> str:
        return self.file if not self.line else f"{self.file}:{self.line}:{self.column}"

    def problem(self, message: str, recipe: str = "") -> Problem:
        """Return the problem that stands here, in a recipe; the command line has no lines, so its argument is shown."""
        return Problem(str(self), f"{message} ({self.argument})" if self.argument else message, recipe)


class Node(msgspec.Struct, frozen=True):
    """A value with its position.

    `key` is the position of the key it belongs to, `text` a number as it is written. `bare` is the plain string that a
    mapping was merged over: the name, where both turn out to be a component.
    """

    value: Scalar | list[Node] | dict[str, Node]
    mark: Mark
    key: Mark | None = None
    text: str = ""
    bare: Node | None = None

    @property
    def mapping(self) -> dict[str, Node]:
        """The entries of a mapping; of anything else, none."""
        return self.value if isinstance(self.value, dict) else {}

    @property
    def items(self) -> list[Node]:
        """The items of a list; of anything else, none."""
        return self.value if isinstance(self.value, list) else []


def read_document(path: Path, name: str) -> Node:
    """Return the document in a file, which messages call `name`; raises RecipeError with every problem of its form."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise RecipeError([Problem(name, "there is no such file")], hint="zoo --registry FILE") from None
    except IsADirectoryError:
        raise RecipeError([Problem(name, "this is a folder, not a file")], hint="zoo --registry FILE") from None
    except (OSError, ValueError) as error:
        raise RecipeError([Problem(name, f"the file cannot be read: {error}")], hint="zoo --registry FILE") from error
    return parse(raw, name)


def parse(raw: bytes, name: str) -> Node:
    """Return the one document in these bytes; raises RecipeError."""
    if len(raw) > MAX_BYTES:
        raise RecipeError([Problem(name, f"a document has at most {MAX_BYTES:,} bytes, got {len(raw):,} instead")])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        mark = _position(raw[: error.start].decode("utf-8-sig", "replace"), name)
        raise RecipeError(
            [mark.problem(f"text must be UTF-8, got the byte 0x{raw[error.start]:02x} instead")]
        ) from None
    return _Reader(text, name).document()


def parse_value(text: str, mark: Mark) -> Node:
    """Return the value of a command-line argument: a flow collection, a quoted string, or one plain scalar.

    Plain text is taken whole, so that `#`, `:` and `*` need no quotes. Raises RecipeError.
    """
    text = text.strip()
    if text[:1] not in ("[", "{", '"', "'"):
        problems: list[Problem] = []
        node = Node(resolve_scalar(text, mark, problems), mark, text=text)
        if problems:
            raise RecipeError(problems)
        return node
    reader = _Reader(text, mark.file, fixed=mark)
    return reader.document()


def resolve_scalar(text: str, mark: Mark, problems: list[Problem]) -> Scalar:
    """Return what a plain scalar is in the core schema of YAML 1.2.2, section 10.3.2; numbers must be finite."""
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _INT.fullmatch(text):
        if len(text) > 20 or not -(2**63) <= (number := int(text, 0 if text[1:2] in ("o", "x") else 10)) < 2**63:
            problems.append(
                mark.problem(f"an integer must fit in 64 bits, got {text[:24]}{'…' * (len(text) > 24)} instead")
            )
            return 0
        return number
    if _FLOAT.fullmatch(text):
        if math.isfinite(value := float(text)):
            return value
    elif not _NON_FINITE.fullmatch(text):
        return text
    problems.append(mark.problem(f"a number must be finite, got {text} instead"))
    return 0.0


class _Reader(msgspec.Struct):
    """Builds nodes from libyaml's events, where anchors and tags still show; one pass, one level of calls per level."""

    text: str
    name: str
    fixed: Mark | None = None
    problems: list[Problem] = []

    def document(self) -> Node:
        try:
            node = self._document(iter(yaml.parse(self.text, Loader=_LOADER)))
        except yaml.YAMLError as error:
            self.problems.append(self._syntax(error))
            raise RecipeError(self.problems) from None
        if self.problems:
            raise RecipeError(self.problems)
        return node

    def _document(self, events: Iterator[Any]) -> Node:
        next(events)
        start = next(events)
        if isinstance(start, yaml.StreamEndEvent):
            raise RecipeError([self._mark(start).problem("the document is empty")])
        node = self._node(next(events), events, 1)
        next(events)
        after = next(events)
        if not isinstance(after, yaml.StreamEndEvent):
            self._report(after, "a file holds one document; leave out what follows '---'")
        return node

    def _node(self, event: Any, events: Iterator[Any], depth: int) -> Node:
        mark = self._mark(event)
        if depth > MAX_DEPTH:
            raise RecipeError([*self.problems, mark.problem(f"a document has at most {MAX_DEPTH} levels")])
        if isinstance(event, yaml.AliasEvent):
            self._report(event, f"aliases are not read: write out what '*{event.anchor}' stands for, or use extends")
            return Node(None, mark)
        if event.anchor:
            self._report(event, f"anchors are not read: leave out '&{event.anchor}'; recipes share through extends")
        if event.tag:
            self._report(event, f"tags are not read: leave out '{event.tag}'")
        if isinstance(event, yaml.ScalarEvent):
            plain = event.style in (None, "") and not event.tag
            value = resolve_scalar(event.value, mark, self.problems) if plain else event.value
            return Node(value, mark, text=event.value)
        if isinstance(event, yaml.SequenceStartEvent):
            items = []
            while not isinstance(event := next(events), yaml.SequenceEndEvent):
                items.append(self._node(event, events, depth + 1))
            return Node(items, mark)
        return Node(self._entries(events, depth), mark)

    def _entries(self, events: Iterator[Any], depth: int) -> dict[str, Node]:
        entries: dict[str, Node] = {}
        while not isinstance(event := next(events), yaml.MappingEndEvent):
            key_mark = self._mark(event)
            key = self._key(event, events, depth)
            if key in entries:
                self._report(event, f"the key '{key}' stands here twice; the first is at {entries[key].key}")
            node = self._node(next(events), events, depth + 1)
            if key is not None:
                entries.setdefault(key, replace(node, key=key_mark))
        return entries

    def _key(self, event: Any, events: Iterator[Any], depth: int) -> str | None:
        if not isinstance(event, yaml.ScalarEvent):
            node = self._node(event, events, depth + 1)
            if not isinstance(event, yaml.AliasEvent):
                self.problems.append(node.mark.problem("a key must be text"))
            return None
        if event.anchor or event.tag:
            self._node(event, events, depth)
        if event.value == "<<" and event.style in (None, ""):
            self._report(event, "merge keys are not read: recipes share through extends")
            return None
        return str(event.value)

    def _mark(self, event: Any) -> Mark:
        return self.fixed or Mark(self.name, event.start_mark.line + 1, event.start_mark.column + 1)

    def _report(self, event: Any, message: str) -> None:
        self.problems.append(self._mark(event).problem(message))

    def _syntax(self, error: yaml.YAMLError) -> Problem:
        if isinstance(error, yaml.reader.ReaderError):
            bad = next((i for i, c in enumerate(self.text) if not _printable(c)), 0)
            mark = self.fixed or _position(self.text[:bad], self.name)
            return mark.problem(f"the character U+{ord(self.text[bad]):04X} is not allowed in YAML")
        place = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
        line, column = (place.line, place.column) if place else (0, 0)
        mark = self.fixed or Mark(self.name, line + 1, column + 1)
        lines = self.text.splitlines()
        written = lines[line] if line < len(lines) else ""
        if "\t" in written[: len(written) - len(written.lstrip())]:
            return mark.problem("a tab indents this line; YAML wants spaces")
        return mark.problem(f"this is not YAML: {getattr(error, 'problem', None) or error}")


def _printable(character: str) -> bool:
    code = ord(character)
    return (
        character in "\t\n\r\x85"
        or 0x20 <= code <= 0x7E
        or 0xA0 <= code <= 0xD7FF
        or 0xE000 <= code <= 0xFFFD
        or code > 0xFFFF
    )


def _position(before: str, name: str) -> Mark:
    return Mark(name, before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1)
