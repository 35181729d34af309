"""Test accuracy of packaged recipes on MNIST, Fashion-MNIST and photos of clothing, against bars: accuracy.py [STUDY ...]

    python tests/benchmarks/accuracy.py --data FOLDER --work FOLDER                # all of them, hours
    python tests/benchmarks/accuracy.py mnist-lenet5 --data FOLDER --work FOLDER   # one
    python tests/benchmarks/accuracy.py --report                                   # only write the page anew

The data folder holds mnist.npz, fashion-mnist.npz (x_train, y_train, x_test, y_test; 60,000 and 10,000 images) and clothing/.
Each study trains three seeds on the same 55,000 images, chooses the epoch on 5,000 of validation, and reads test once, at the
end. What is finished stands in docs/results/accuracy.jsonl and is not trained again while the recipe stays the same; what was
interrupted goes on. docs/results/accuracy.md is written from that file. Exit status 1 where a finished study misses its bar.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import platform
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zoo

RESULTS = Path(__file__).parents[2] / "docs/results"
SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Study:
    """Seeds of one recipe on one data set, and the mean test accuracy wanted of them."""

    recipe: str
    data: str
    bar: float | None = None
    settings: tuple[str, ...] = ()


WEIGHTS = "weights="  # the file is that of --weights
CUT = ("data.validation_fraction=0.08333333333333333", "training.threads=1")
STUDIES = {
    "mnist-lenet5": Study("lenet5-adamw", "mnist.npz", 0.989, CUT),
    "mnist-keras-cnn": Study("keras-cnn-adamw", "mnist.npz", 0.992, CUT),
    "mnist-row-lstm": Study("row-lstm-adamw", "mnist.npz", 0.985, CUT),
    "mnist-row-bilstm": Study("row-bilstm-adamw", "mnist.npz", 0.987, CUT),
    "mnist-renet": Study("renet-adamw", "mnist.npz", 0.990, CUT),
    "fashion-resnet20": Study("resnet20-momentum", "fashion-mnist.npz", 0.925, CUT),
    "fashion-row-bilstm": Study("row-bilstm-adamw", "fashion-mnist.npz", 0.885, CUT),
    "fashion-mixer-swap-bilstm2d": Study("mixer-swap-bilstm2d", "fashion-mnist.npz", None, CUT),
    "fashion-mixer-swap-depthwise-conv": Study("mixer-swap-depthwise-conv", "fashion-mnist.npz", None, CUT),
    "clothing-photos-transfer": Study("photos-transfer", "clothing", 0.88, (WEIGHTS, "training.threads=1")),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", nargs="*", metavar="STUDY", help=", ".join(STUDIES))
    parser.add_argument("--data", type=Path, help="folder of the data sets")
    parser.add_argument("--weights", type=Path, help="safetensors of tf_efficientnet_lite0, for the photos")
    parser.add_argument("--work", type=Path, default=Path("runs/accuracy"), help="folder of the runs")
    parser.add_argument("--seeds", type=int, nargs="+", default=SEEDS, help="which, and in which order")
    parser.add_argument("--report", action="store_true", help="train nothing")
    arguments = parser.parse_args()
    chosen = arguments.studies or list(STUDIES)
    if unknown := set(chosen) - set(STUDIES):
        parser.error(f"unknown study {', '.join(sorted(unknown))}; there are {', '.join(STUDIES)}")
    if not arguments.report:
        if arguments.data is None:
            parser.error("--data is needed to train")
        for seed in arguments.seeds:
            for name in chosen:
                train(name, seed, arguments)
    (RESULTS / "accuracy.md").write_text(page(results()), encoding="utf-8")
    return 0 if all(met(name, results()) is not False for name in chosen) else 1


def train(name: str, seed: int, arguments: argparse.Namespace) -> None:
    """Train one seed of a study unless its result is there, and append the result."""
    study, data, work = STUDIES[name], arguments.data, arguments.work
    settings = [f"{WEIGHTS}{arguments.weights}" if setting == WEIGHTS else setting for setting in study.settings]
    recipe = zoo.resolve(study.recipe, *settings, f"training.seed={seed}", data=str(data / study.data))
    key = fingerprint(recipe)
    if any(row["key"] == key for row in results()):
        return
    folder = work / f"{name}-{seed}-{key[:8]}"
    began, fresh = time.process_time(), not folder.exists()
    run = zoo.train(recipe, run=folder) if fresh else zoo.resume(folder)
    summary: dict[str, Any] = run.summary or {}
    timings = [json.loads(line) for line in (run.path / "timings.jsonl").read_text().splitlines()]
    row = {
        "study": name,
        "recipe": study.recipe,
        "data": study.data,
        "seed": seed,
        "key": key,
        "epochs": summary["epochs"],
        "best_epoch": summary["best"]["epoch"],
        "samples": run.manifest["samples"],
        "parameters": run.manifest["parameters"],
        "validation": summary["validation"]["accuracy"],
        "test": summary["test"]["accuracy"],
        "minutes": round(sum(t["seconds"] for t in timings) / 60, 2),
        "cpu_minutes": round((time.process_time() - began) / 60, 2) if fresh else None,
        "threads": run.manifest["environment"]["threads"],
        "processor": run.manifest["environment"]["processor"],
        "system": platform.system(),
        "torch": run.manifest["environment"]["torch"],
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    with (RESULTS / "accuracy.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")
    print(
        f"{name} seed {seed}: test {row['test']:.4f}, validation {row['validation']:.4f}, {row['minutes']} minutes",
        flush=True,
    )


def fingerprint(recipe: zoo.Recipe) -> str:
    """Return a digest of everything that the result depends on but the place of the data."""
    entry = recipe.to_dict()
    entry["data"] = {**entry["data"], "path": Path(entry["data"]["path"]).name}
    if recipe.weights is not None:
        entry["weights"] = Path(recipe.weights).name
    for block in ("acquisition", "search" * (recipe.freeze is None), "target"):
        entry.pop(block, None)
    return hashlib.blake2b(json.dumps(entry, sort_keys=True).encode(), digest_size=8).hexdigest()


def results() -> list[dict[str, Any]]:
    """Return all finished runs of the file."""
    path = RESULTS / "accuracy.jsonl"
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()] if path.exists() else []


def current(name: str, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the runs of a study by seed; of several of one seed, the newest."""
    return list({row["seed"]: row for row in rows if row["study"] == name}.values())


def met(name: str, rows: list[dict[str, Any]]) -> bool | None:
    """Return whether the mean over all seeds reaches the bar; None while seeds are missing or there is no bar."""
    found, bar = current(name, rows), STUDIES[name].bar
    if bar is None or len(found) < len(SEEDS):
        return None
    return statistics.fmean(row["test"] for row in found) >= bar


def page(rows: list[dict[str, Any]]) -> str:
    """Return the page of all results."""
    lines = [
        "# Accuracy of the recipes",
        "",
        "Written by `tests/benchmarks/accuracy.py`, which trains them again; the single runs stand in `accuracy.jsonl`.",
        "Means over seeds with the standard deviation between them, in percent. The epoch is chosen on validation, test is read",
        "once. Minutes are those of one run on the threads named.",
        "",
        "| study | recipe | parameters | epochs | validation | test | wanted | seeds | minutes | processor |",
        "|---|---|---:|---:|---:|---:|---:|---:|---:|---|",
    ]
    for name, study in STUDIES.items():
        found = current(name, rows)
        if found:
            lines.append(row_of(name, study, found))
    return "\n".join(lines) + "\n"


def row_of(name: str, study: Study, found: list[dict[str, Any]]) -> str:
    """Return the study's line of the table."""
    first = found[0]
    bar = "" if study.bar is None else f"{100 * study.bar:.1f}"
    minutes = statistics.fmean(row["minutes"] for row in found)
    where = f"{first['processor']}, {first['threads']} thread{'s' * (first['threads'] > 1)}"
    return (
        f"| {name} | `{study.recipe}` | {first['parameters']:,} | {first['epochs']} | {percent(found, 'validation')} "
        f"| {percent(found, 'test')} | {bar} | {len(found)} | {minutes:.0f} | {where} |"
    )


def percent(rows: list[dict[str, Any]], figure: str) -> str:
    """Return mean ± deviation in percent."""
    values = [100 * row[figure] for row in rows]
    spread = f" ± {statistics.stdev(values):.2f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.2f}{spread}"


if __name__ == "__main__":
    raise SystemExit(main())
