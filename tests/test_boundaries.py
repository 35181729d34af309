"""The rules of the house that a reader of the source could check, as tests."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = {"torch", "numpy", "timm", "torchvision", "PIL", "scipy", "sklearn", "pandas", "matplotlib", "safetensors"}
BELOW = {"modules.py"}  # the one module at the top of zoo/ that knows torch
SOURCES = sorted(path for top in ("zoo", "plugins") for path in (ROOT / top).rglob("*.py"))
LIGHT = [path for path in (ROOT / "zoo").glob("*.py") if path.name not in BELOW] + [
    path for folder in ("registry", "console", "cli") for path in (ROOT / "zoo" / folder).glob("*.py")
]  # above the torch frontier, and what `zoo list` loads: they answer before torch is imported
PLUGINS = sorted(path.name for path in (ROOT / "plugins").iterdir() if (path / "__init__.py").exists())
FORBIDDEN_CALLS = {"eval", "exec", "pickle.load", "pickle.loads", "cloudpickle.load", "joblib.load", "marshal.load"}


def relative(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def dotted(node: ast.expr) -> str:
    """Return the dotted name of an expression, or an empty string."""
    if isinstance(node, ast.Attribute):
        return f"{dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def imported(nodes: Iterator[ast.stmt] | list[ast.stmt]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def at_import(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements that run when a module is imported, leaving out `if TYPE_CHECKING:`."""
    for node in body:
        if isinstance(node, ast.If) and dotted(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}:
            yield from at_import(node.orelse)
            continue
        yield node
        for field in ("body", "orelse", "finalbody"):
            if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                yield from at_import(getattr(node, field, []))


def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def offences(module: ast.Module) -> Iterator[str]:
    """Yield what a module does that this code base never does."""
    for node in ast.walk(module):
        if isinstance(node, ast.ExceptHandler) and node.type is None:
            yield f"{node.lineno}: a bare except"
        if isinstance(node, ast.Attribute) and node.attr == "LOAD_TRUNCATED_IMAGES":
            yield f"{node.lineno}: LOAD_TRUNCATED_IMAGES"
        if isinstance(node, ast.Call):
            name, keywords = dotted(node.func), {word.arg: word.value for word in node.keywords}
            safe = keywords.get("weights_only")
            if name in FORBIDDEN_CALLS:
                yield f"{node.lineno}: {name}"
            if name == "torch.load" and not (isinstance(safe, ast.Constant) and safe.value is True):
                yield f"{node.lineno}: torch.load without weights_only=True"
            if name in {"yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load"}:
                yield f"{node.lineno}: {name}"
            if name in {"np.load", "numpy.load"} and "allow_pickle" in keywords:
                pickles = keywords["allow_pickle"]
                if not (isinstance(pickles, ast.Constant) and pickles.value is False):
                    yield f"{node.lineno}: {name} that may unpickle"


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_nothing_unpickles_evaluates_or_swallows_everything(path: Path) -> None:
    assert list(offences(tree(path))) == []


def test_the_test_above_sees_what_it_forbids() -> None:
    code = (
        "pickle.load(f); torch.load(f); torch.load(f, weights_only=False); yaml.load(f, Loader=L); eval('1'); exec('1')\n"
        "np.load(f, allow_pickle=True); ImageFile.LOAD_TRUNCATED_IMAGES = True\n"
        "try: f()\nexcept: g()\n"
        "torch.load(f, weights_only=True); yaml.safe_load(f); model.eval(); np.load(f, allow_pickle=False)\n"
    )
    assert len(list(offences(ast.parse(code)))) == 9


@pytest.mark.parametrize("path", [path for path in SOURCES if "zoo" in path.relative_to(ROOT).parts[:1]], ids=relative)
def test_zoo_imports_no_plugin(path: Path) -> None:
    everything = [node for node in ast.walk(tree(path)) if isinstance(node, ast.stmt)]
    assert not {name.split(".")[0] for name in imported(everything)} & set(PLUGINS)


@pytest.mark.parametrize("path", LIGHT, ids=relative)
def test_modules_above_the_frontier_import_nothing_heavy(path: Path) -> None:
    names = {module.split(".")[0] for module in imported(at_import(tree(path).body))}
    assert not names & HEAVY


@pytest.mark.parametrize("plugin", PLUGINS)
def test_modules_that_announce_components_are_light(plugin: str) -> None:
    names = {module.split(".")[0] for module in imported(at_import(tree(ROOT / "plugins" / plugin / "plugin.py").body))}
    assert not names & HEAVY


def test_importing_them_and_listing_components_imports_nothing_heavy_in_a_fresh_process() -> None:
    names = [relative(path).removesuffix(".py").removesuffix("/__init__").replace("/", ".") for path in LIGHT]
    code = (
        "import importlib, sys\n"
        f"for name in {[name for name in names if name != 'zoo.__main__']!r}: importlib.import_module(name)\n"
        "from zoo.plugins import load_catalog\n"
        "states = {plugin.state for plugin in load_catalog().plugins if plugin.first_party}\n"
        f"print(states, sorted({HEAVY!r} & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "{'loaded'} []\n"


def test_first_party_plugins_are_announced_as_a_third_partys_are() -> None:
    from importlib.metadata import entry_points

    found = {point.value for point in entry_points(group="zoo") if point.dist and point.dist.name == "zoo-vision"}
    assert found == {f"{name}.plugin" for name in PLUGINS}
