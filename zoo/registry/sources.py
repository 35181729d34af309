"""What `--data` means: a path, recognised by looking at it, or the name of a data source."""

from __future__ import annotations

import os
import shlex
from itertools import islice
from pathlib import Path

from zoo.components import DataSourceSpec, import_object
from zoo.errors import DataError, ZooError, nearest
from zoo.guard import guarded
from zoo.plugins import Catalog, Entry

NEIGHBOURS = 1000


def recognize(catalog: Catalog, text: str) -> tuple[str, str | None, str]:
    """Return (name of the source, path for it, the decision in words) for what `--data` says.

    A path that exists comes before a source of the same name. Raises DataError where no source, or more than one, reads it.
    """
    if not text:
        raise DataError("--data is empty", possible="a path, or a data source", hint="zoo list data")
    path = Path(text).expanduser()
    sources = catalog.entries("data")
    if not _exists(path):
        for entry in sources:
            if text in (entry.name, *(entry.qualified(alias) for alias in entry.spec.aliases)):
                return entry.name, None, f"data: source {entry.name}"
        raise _absent(text, path, [entry.name for entry in sources])
    readers = [(entry, why) for entry in sources if (why := _reason(entry, path)) is not None]
    if len(readers) == 1:
        entry, why = readers[0]
        return entry.name, text, f"data: {text} is {why}, read by source {entry.name}"
    if readers:
        names = [entry.name for entry, _ in readers]
        raise DataError(
            f"{' and '.join(names)} both read {text!r}",
            possible="one of them",
            hint=f"'data={{name: {names[0]}, path: {text}}}'",
        )
    raise DataError(
        f"no data source reads {text!r}",
        possible="a folder of class folders, an .npz file of arrays, or torchvision's root folder",
        hint="zoo list data",
    )


def _absent(text: str, path: Path, names: list[str]) -> DataError:
    """Return the error for what is neither a path nor a source, with the paths beside it and the sources of similar names."""
    beside = {str(path.parent / name): f"the path {str(path.parent / name)!r}" for name in _names_in(path.parent)}
    known = {**beside, **{name: f"the source {name!r}" for name in names}}
    near = nearest(text, known)
    return DataError(
        f"there is no file or folder {text!r}, and no data source of that name",
        possible=f"did you mean {' or '.join(known[name] for name in near)}?"
        if near
        else f"a path, or a source: {', '.join(names)}",
        hint=f"--data {shlex.quote(near[0])}" if near else "zoo list data",
    )


def _names_in(folder: Path) -> list[str]:
    """Return the names in a folder but hidden ones, as many as are looked through in no time; none where it cannot be read."""
    try:
        with os.scandir(folder) as found:
            return [entry.name for entry in islice(found, NEIGHBOURS) if not entry.name.startswith(".")]
    except (OSError, ValueError):
        return []


def _reason(entry: Entry, path: Path) -> str | None:
    """Return why the source reads this path; one that fails at looking does not."""
    assert isinstance(entry.spec, DataSourceSpec)
    if entry.spec.recognizes is None:
        return None
    try:
        with guarded(f"{entry.plugin.label} failed to look at {path}", DataError):
            why = import_object(entry.spec.recognizes)(path)
    except ZooError:
        if entry.plugin.first_party:
            raise
        return None
    return str(why) if why else None


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that no file can have
        return False
