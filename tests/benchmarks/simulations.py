"""Simulations of active learning whose reports stand in docs/results: simulations.py NAME --data FOLDER --work FOLDER

    python tests/benchmarks/simulations.py gal2017 --data FOLDER --work FOLDER           # to its end, hours
    python tests/benchmarks/simulations.py gal2017 --data FOLDER --work FOLDER --quick   # a quarter of an hour; kept in --work
    python tests/benchmarks/simulations.py clothing --data FOLDER --weights FILE --work FOLDER

The data folder holds mnist.npz, fashion-mnist.npz and clothing/, the weights are those of tf_efficientnet_lite0. Each study is one
`zoo active`, printed before it begins; stopped, the same command goes on, and in a second terminal it shares the work. What it
found goes to docs/results/NAME: analysis.json and report.html.
"""

from __future__ import annotations

import argparse
import os
import shlex
from pathlib import Path

from studies import keep

from zoo.cli.main import main as zoo

MNIST, FASHION, PHOTOS = "mnist.npz", "fashion-mnist.npz", "clothing-photos"
WEIGHTS = "weights.safetensors"
ALIKE = ("training.threads=1",)
# What a GPU takes by itself; on a CPU it halves the hours.
FAST = (*ALIKE, "training.precision=bf16", "training.channels_last=true")
GAL_DATA = f"data={{name: npz, path: {MNIST}, normalization: {{mean: [0.0], std: [1.0]}}}}"  # pixels from 0 to 1
GATED = "{name: gate, strategy: entropy}"
# A small network that learns in a second, also from what was answered to be unknown; every fold of the gate trains one more.
GROWTH = (
    *(
        "lenet5-adamw",
        *ALIKE,
        "augmentation=null",
        "regularizers=[{name: weight-decay, strength: 0.02}, outlier-exposure]",
        "--data",
        MNIST,
        "--steps",
        "300",
        "--rounds",
        "18",
        "--pool-subset",
        "4000",
    ),
    *("--strategy", "entropy", "--strategy", GATED, "--primary", "gate-entropy,entropy"),
)

STUDIES = {
    # Gal, Islam and Ghahramani, ICML 2017: images to 5 % test error; a simulation ends below that.
    "gal2017": ("mnist-gal2017", *FAST, GAL_DATA, "--until-test-error", "0.045"),
    # Kirsch, van Amersfoort and Gal, NeurIPS 2019: repeated MNIST.
    "rmnist": (
        *("rmnist", *FAST, f"data.base={{name: npz, path: {MNIST}}}"),
        *("--primary", "batch-bald,random", "--primary", "batch-bald,bald"),
    ),
    # A pool of which half is of no known class, and how robust models become; then what the gate costs where all is known.
    "robust-growth": (*GROWTH, "--unknown", FASHION, "--robustness", "100"),
    "robust-growth-clean": GROWTH,
    # Photos, with the head of a frozen backbone.
    "clothing": (
        *("photos-transfer", *ALIKE, f"weights={WEIGHTS}", "--data", PHOTOS, "--steps", "300", "--query", "20", "--rounds", "20"),
        *("--strategy", "margin", "--strategy", "badge", "--seeds", "8"),
        *("--primary", "margin,random", "--primary", "badge,random"),
    ),
}  # fmt: skip
QUICK = {
    "gal2017": ("active.strategies=[{name: variation-ratio, of: votes}]", "--rounds", "8", "--seeds", "2"),
    "rmnist": ("active.strategies=[batch-bald]", "--rounds", "4", "--seeds", "2"),
    "robust-growth": ("--rounds", "6", "--seeds", "2"),
    "robust-growth-clean": ("--rounds", "6", "--seeds", "2"),
    "clothing": ("--rounds", "5", "--seeds", "2"),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=STUDIES)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--weights", type=Path, help="safetensors of tf_efficientnet_lite0, for clothing")
    parser.add_argument("--work", type=Path, required=True, help="folder of the simulations")
    parser.add_argument("--quick", action="store_true", help="few rounds and seeds; the results stay in --work")
    arguments = parser.parse_args()
    prepare(arguments)
    os.chdir(arguments.work)  # so that results name no folders of this machine
    folder = arguments.study + "-quick" * arguments.quick
    command = ["active", *words(arguments.study, quick=arguments.quick), "--run", folder]
    print(shlex.join(["zoo", *command]), flush=True)
    status = zoo(command)
    if status == 0 and not arguments.quick:
        keep(Path(folder))
    return status


def words(study: str, *, quick: bool) -> list[str]:
    """Return the words of a study's command; a quick one has options of its own in place of those of the same name."""
    found, other = list(STUDIES[study]), QUICK[study] if quick else ()
    for option in ("--rounds", "--seeds", "--primary"):
        while quick and option in found and (option in other or option == "--primary"):
            place = found.index(option)
            del found[place : place + 2]
    return [*found, *other]


def prepare(arguments: argparse.Namespace) -> None:
    """Put links to the data into the folder of the work."""
    arguments.work.mkdir(parents=True, exist_ok=True)
    links = {MNIST: arguments.data / MNIST, FASHION: arguments.data / FASHION, PHOTOS: arguments.data / "clothing"}
    if arguments.weights is not None:
        links[WEIGHTS] = arguments.weights
    for name, target in links.items():
        if not (arguments.work / name).exists() and target.exists():
            (arguments.work / name).symlink_to(target.resolve())


if __name__ == "__main__":
    raise SystemExit(main())
