"""What `--data` means: a path, recognised by looking at it, or the name of a data source."""

from __future__ import annotations

from pathlib import Path

from zoo.components import DataSourceSpec, import_object
from zoo.errors import DataError, ZooError, nearest
from zoo.guard import guarded
from zoo.plugins import Catalog, Entry


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
        names = [entry.name for entry in sources]
        near = nearest(text, names, 1)
        possible = f"did you mean the source {near[0]!r}?" if near else f"a path, or a source: {', '.join(names)}"
        raise DataError(f"there is no file or folder {text!r}, and no data source of that name", possible=possible)
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
