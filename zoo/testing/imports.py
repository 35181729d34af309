"""Checks of a plugin as a whole."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

HEAVY = (
    "torch",
    "numpy",
    "timm",
    "torchvision",
    "PIL",
    "scipy",
    "sklearn",
    "pandas",
    "matplotlib",
    "tensorflow",
    "jax",
)

_CODE = """
import json, sys
from pathlib import Path
from zoo.plugins import load_catalog
name, folder, *heavy = sys.argv[1:]
states = {p.name: p.state for p in load_catalog(Path(folder) if folder else None, quiet=True).plugins}
print(json.dumps([states.get(name), sorted(set(heavy) & set(sys.modules))]))
"""


def check_imports_light(name: str, plugins_dir: Path | None = None) -> None:
    """Listing the plugin imports no torch, numpy or other heavy package."""
    ended = subprocess.run(
        [sys.executable, "-c", _CODE, name, str(plugins_dir or ""), *HEAVY],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "ZOO_PLUGINS": name},
    )
    assert ended.returncode == 0, f"a fresh process could not load it: {ended.stderr.strip()[-300:]}"
    state, heavy = json.loads(ended.stdout)
    assert state == "loaded", f"in a fresh process the plugin is {state}"
    assert not heavy, f"importing the plugin imports {', '.join(heavy)}; import them in the factories' modules"
