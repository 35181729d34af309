"""Generate the package of a new plugin: one real component of each kind, a recipe that uses them, and its tests."""

from __future__ import annotations

import importlib.util
import os
import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from string import Template

import msgspec

from zoo import storage
from zoo.errors import PluginError, RunError
from zoo.loading import FIRST_PARTY, LOCAL, find
from zoo.version import __version__

TEMPLATES = Path(__file__).with_name("templates") / "plugin"
SUFFIX = ".tmpl"
ELSEWHERE = "choose another place with --path DIR"
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_LONGEST_NAME = 40


class Package(msgspec.Struct, frozen=True):
    """The package of a new plugin: `name` is its namespace."""

    name: str

    @property
    def distribution(self) -> str:
        """What pip calls it."""
        return f"zoo-{self.name}"

    @property
    def module(self) -> str:
        """What Python imports."""
        return self.distribution.replace("-", "_")


def write_package(name: str, folder: Path | None = None) -> Path:
    """Write the package of a new plugin into a new or empty folder, whole or not at all, and return the folder.

    Without `folder` that is `zoo-NAME` in the working directory. Raises PluginError for a name that cannot be used or a
    folder that cannot be written.
    """
    package = checked(name)
    folder = Path(package.distribution) if folder is None else folder
    with _translated(folder):
        _require_free(folder)
        _write(folder.absolute(), render(package))
    return folder


def checked(name: str) -> Package:
    """Return the package of this name; raises PluginError for an illegal name, or one that something else has."""
    if not _NAME.fullmatch(name) or len(name) > _LONGEST_NAME:
        near = re.sub(r"[^a-z0-9]+", "-", name.lower())[:_LONGEST_NAME].strip("-")
        raise PluginError(
            f"a plugin's name must be kebab-case (like 'acme') of at most {_LONGEST_NAME} characters, got {name!r} instead",
            hint=f"zoo plugin new {near or 'acme'}",
        )
    package = Package(name)
    owner = _owner(package)
    if owner:
        raise PluginError(
            f"a plugin cannot be called {name!r}: {owner}",
            possible="a name of your own",
            hint=f"zoo plugin new my-{name}",
        )
    return package


def render(package: Package) -> dict[str, str]:
    """Return the text of every file of the package by its path in it."""
    words = {"name": package.name, "package": package.module, "version": __version__}
    texts = {}
    for source in sorted(TEMPLATES.rglob(f"*{SUFFIX}")):
        path = source.relative_to(TEMPLATES).as_posix().removesuffix(SUFFIX)
        path = re.sub(r"^package/", f"{package.module}/", path)
        texts[path] = Template(source.read_text(encoding="utf-8")).substitute(words)
    return texts


def _owner(package: Package) -> str:
    """Return what already has a name of the package, in words, or nothing."""
    if package.name == LOCAL:
        return "that namespace is for the folder of --plugins-dir"
    if package.distribution == FIRST_PARTY:
        return f"its distribution would be called {FIRST_PARTY}, as zoo's own is"
    for candidate in find(None):
        if candidate.plugin.name == package.name:
            return f"{candidate.plugin.distribution} {candidate.plugin.version} has that namespace"
    if importlib.util.find_spec(package.module) is not None:
        return f"an import package {package.module!r} is installed already"
    return ""


def _require_free(folder: Path) -> None:
    if folder.absolute() == Path.cwd():
        raise PluginError("the package needs a folder of its own, not the working directory", hint=ELSEWHERE)
    if folder.is_dir() and not any(folder.iterdir()):
        return
    if folder.exists():
        state = "exists and is not empty" if folder.is_dir() else "is a file"
        raise PluginError(f"{folder} {state}", possible="a new or empty folder", hint=ELSEWHERE)


def _write(folder: Path, texts: dict[str, str]) -> None:
    """Write beside the folder first, then put everything in place by one rename."""
    groups: dict[Path, dict[str, bytes]] = defaultdict(dict)
    for path, text in texts.items():
        groups[Path(path).parent][Path(path).name] = text.encode()
    staging = folder.with_name(f".zoo-plugin-{os.getpid()}")
    try:
        storage.make_folder(folder.parent)
        for parent in sorted(groups):
            storage.write_folder(staging / parent, groups[parent])
        if folder.is_dir():
            folder.rmdir()  # it is empty, and not every system renames over it
        staging.rename(folder)
    finally:
        storage.remove_folder(staging)


@contextmanager
def _translated(folder: Path) -> Iterator[None]:
    try:
        yield
    except RunError as error:
        raise PluginError(error.problem, hint=ELSEWHERE) from error
    except OSError as error:
        raise PluginError(f"cannot write {folder}: {(error.strerror or str(error)).lower()}", hint=ELSEWHERE) from error
