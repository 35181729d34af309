from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from filelock import FileLock

# Before torch is imported anywhere: tests compute on little data, where a second thread only waits.
os.environ.setdefault("OMP_NUM_THREADS", "1")

TINY = (
    "architecture.filters=4",
    "architecture.hidden=16",
    "data.train_size=200",
    "training.epochs=2",
    "training.batch_size=40",
    "training.threads=1",
)


def pytest_configure(config: pytest.Config) -> None:
    """Hide CUDA devices from all tests but those of `-m gpu`: figures and bits that tests know are those of the CPU."""
    expression = config.getoption("markexpr")
    if expression == "gpu":
        return
    if "gpu" in expression.replace("not gpu", ""):
        raise pytest.UsageError("tests on CUDA run by themselves: -m gpu")
    os.environ["CUDA_VISIBLE_DEVICES"] = ""


@pytest.fixture(autouse=True)
def _apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run every test in a folder of its own, without the caller's settings of zoo."""
    for name in [name for name in os.environ if name.startswith("ZOO_") and name != "ZOO_TEST_DATA"]:
        monkeypatch.delenv(name)
    monkeypatch.delenv("COLUMNS", raising=False)  # which pytest's workers have, and tables obey
    monkeypatch.chdir(tmp_path)
    yield


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a folder on sys.path; what is imported from it is forgotten after the test."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(folder)):
            del sys.modules[name]


@pytest.fixture(scope="session")
def test_data() -> Path:
    """Return the folder of large real data sets named by ZOO_TEST_DATA, or skip."""
    folder = os.environ.get("ZOO_TEST_DATA")
    if not folder:
        pytest.skip("ZOO_TEST_DATA names no folder with clothing/, mnist.npz and fashion-mnist.npz")
    return Path(folder).resolve()


@pytest.fixture(scope="session")
def comparison_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of the comparison of `fixtures.comparisons`, to be read only: it is made once for all of pytest's workers."""
    from fixtures.comparisons import conducted

    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "comparison"
    with FileLock(f"{folder}.lock"):
        if not (folder / "report.html").exists():
            conducted(folder)
    return folder


@pytest.fixture
def tiny() -> Callable[..., object]:
    """Return a function that resolves a seconds-long recipe: conv-net with momentum on 200 digits."""
    import zoo

    def resolve(*overrides: str, recipe: str = "conv-net-momentum") -> object:
        return zoo.resolve(recipe, *TINY, *overrides)

    return resolve
