"""`zoo schema` and `zoo doctor`."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import click

from zoo.cli.command import Command
from zoo.cli.workspace import Workspace
from zoo.console.doctor import Check, checks_table
from zoo.console.output import print_json, print_result
from zoo.errors import ZooError
from zoo.version import __version__

PACKAGES = ("torch", "torchvision", "timm", "numpy", "pillow", "scikit-learn", "safetensors", "tensorboard")


@click.command("schema", cls=Command)
@click.pass_obj
def schema(workspace: Workspace) -> None:
    """Print the JSON Schema of registry files on stdout, for editors."""
    from zoo.registry.schema import json_schema

    print_json(json_schema(workspace.catalog))


@click.command("doctor", cls=Command)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON document on stdout.")
@click.pass_obj
def doctor(workspace: Workspace, as_json: bool) -> int:
    """Check this machine and installation; the exit status is 1 where something needs care."""
    checks = [*_python(), *_devices(), *_plugins(workspace), _registry(workspace), _runs_folder()]
    if as_json:
        print_json(checks)
    else:
        print_result(checks_table(checks))
    return 0 if all(check.ok for check in checks) else 1


def _python() -> Iterator[Check]:
    yield Check("zoo", __version__)
    yield Check("python", f"{platform.python_version()} ({sys.executable})", ok=sys.version_info >= (3, 11))
    yield Check("system", platform.platform())
    for name in PACKAGES:
        try:
            yield Check(name, version(name))
        except PackageNotFoundError:
            yield Check(name, "not installed", ok=False, hint=f"pip install {name}")


def _devices() -> Iterator[Check]:
    try:
        import torch
    except (ImportError, OSError) as error:
        yield Check("torch", f"does not load: {error}", ok=False, hint="pip install --force-reinstall torch")
        return
    yield Check("threads", f"{torch.get_num_threads()} of {os.cpu_count()} processors")
    memory = _memory()
    if memory is not None:
        yield Check("memory", f"{memory / 2**30:.1f} GiB")
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        yield Check(f"cuda:{index}", f"{properties.name}, {properties.total_memory / 2**30:.0f} GiB")
    if torch.backends.mps.is_available():
        yield Check("mps", "available")
    if not torch.cuda.is_available() and not torch.backends.mps.is_available():
        yield Check("accelerator", "none: training runs on the CPU")


def _memory() -> int | None:
    """Return the bytes of main memory, or None where the system does not tell."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows has no sysconf
        return None


def _plugins(workspace: Workspace) -> Iterator[Check]:
    for plugin in workspace.catalog.plugins:
        text = f"{plugin.state}, {plugin.distribution} {plugin.version}"
        ok = plugin.state in ("loaded", "disabled")
        detail = f": {plugin.error}" if plugin.error else ""
        yield Check(f"plugin {plugin.name}", text + detail, ok=ok, hint="" if ok else f"zoo plugin show {plugin.name}")


def _registry(workspace: Workspace) -> Check:
    try:
        registry = workspace.registry
        registry.check()
    except ZooError as error:
        return Check("registry", error.problem, ok=False, hint=error.hint)
    return Check("registry", f"{len(registry.names())} recipes")


def _runs_folder() -> Check:
    """Check that runs can be kept here: permission and space."""
    folder = Path("runs") if Path("runs").exists() else Path()
    free = shutil.disk_usage(folder).free
    if not os.access(folder, os.W_OK | os.X_OK):
        return Check("runs", f"{folder.resolve()} cannot be written", ok=False, hint="zoo train RECIPE --run DIR")
    return Check(
        "runs",
        f"{Path('runs').resolve()}, {free / 2**30:.1f} GiB free",
        ok=free > 2**30,
        hint="" if free > 2**30 else "free some space",
    )
