"""Comparisons whose reports stand in docs/results: studies.py NAME --data FOLDER --work FOLDER

    python tests/benchmarks/studies.py headline-macs --data FOLDER --work FOLDER          # to its end
    python tests/benchmarks/studies.py headline-macs --data FOLDER --work FOLDER --plan   # only what it will run, and how long
    python tests/benchmarks/studies.py headline-macs --data FOLDER --work FOLDER --full   # on all images, 30 epochs

The data folder holds fashion-mnist.npz; the signals of mnist1d are made here. Each study is one `zoo compare`, printed before it
begins; stopped, the same command goes on, and in a second terminal it shares the work. What it found goes to docs/results/NAME:
analysis.json and report.html.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
from pathlib import Path

import index
import mnist1d_data

from zoo.cli.main import main as zoo

DOCS = Path(__file__).parents[2] / "docs/results"
FASHION, SIGNALS = "fashion-mnist.npz", "mnist1d.npz"
CNN = ("conv-net-momentum", "lenet5-adamw", "separable-small-momentum", "resnet20-momentum")
RNN = ("row-lstm-adamw", "row-bilstm-adamw", "renet-adamw", "mingru-adamw")
SWAP = ("mixer-swap-depthwise-conv", "mixer-swap-bilstm2d")
EPOCHS, IMAGES = "training.epochs=8", "data.train_size=10000"
FULL = {EPOCHS: "training.epochs=30", IMAGES: "data.train_size=null"}
ALIKE = ("training.early_stopping=null", "training.threads=1")
TUNED = ("--tune", "8", "--tune-with", "data.train_size=5000", "--tune-with", "training.epochs=4")
ROBUST = ("--corruptions", "--limit", "1000", "--severity", "1", "--severity", "3", "--severity", "5")
PRIMARY = ("--primary", "cnn,rnn", "--primary", ",".join(SWAP))
HEADLINE = (*CNN, *RNN, *SWAP, EPOCHS, IMAGES, *ALIKE, *PRIMARY, *ROBUST, *TUNED)
PLAIN = ("augmentation=null", EPOCHS, IMAGES, *ALIKE, "--no-measure")
MACS, PARAMETERS = ("--budget", "macs=2e6"), ("--budget", "parameters=3e4")

STUDIES = {
    # Four architectures of each family, and one block with either mixer, at equal multiply-accumulates, and at equal parameters.
    "headline-macs": (*HEADLINE, *MACS),
    "headline-parameters": (*HEADLINE, *PARAMETERS),
    # Accuracy over training-set size.
    "curves": (
        *(*CNN, *RNN, EPOCHS, *ALIKE, *MACS, "--primary", "cnn,rnn"),
        *("--vary", "data.train_size=1000,2500,5000"),
    ),
    # Two models together against one of their cost.
    "ensembles": (*CNN[:2], *RNN[:2], EPOCHS, IMAGES, *ALIKE, *MACS, "--larger"),
    # A sanity test of the whole chain: a network that reads rows whole does not mind where columns stand, a convolution does.
    "columns": (
        *("row-lstm-adamw", "resnet20-momentum"), *PLAIN,
        *("--vary", "data.arrangement=null,permute-columns"),
        *("--expect", "row-lstm-adamw@permute-columns=equivalent:0.7"),
        *("--expect", "resnet20-momentum@permute-columns=falls:2"),
    ),
    "arrangements": (
        *("conv-net-momentum", "row-lstm-adamw", "row-bilstm-adamw"), *PLAIN, *MACS,
        *("--vary", "data.arrangement=null,permute-pixels,permute-rows,permute-columns,transpose,translate"),
        *("--expect", "row-lstm-adamw@permute-columns=equivalent:0.7", "--expect", "row-bilstm-adamw@permute-columns=equivalent:0.7"),
        *("--expect", "conv-net-momentum@permute-pixels=falls:2", "--expect", "conv-net-momentum@permute-columns=falls:2"),
    ),
    # Minutes, on signals: a test of the chain from data to report.
    "mnist1d": ("mnist1d-mlp", "mnist1d-cnn", "mnist1d-gru", "training.steps=1000", *ALIKE, "--primary", "mnist1d-cnn,mnist1d-gru"),
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=STUDIES)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--work", type=Path, required=True, help="folder of the comparisons and their runs")
    parser.add_argument("--plan", action="store_true", help="print what will be run, and run nothing")
    parser.add_argument(
        "--full", action="store_true", help="all training images, 30 epochs; the results stay in --work"
    )
    arguments = parser.parse_args()
    folder, data = arguments.study + "-full" * arguments.full, prepared(arguments)
    os.chdir(arguments.work)  # so that results name no folders of this machine
    study = [FULL.get(word, word) if arguments.full else word for word in STUDIES[arguments.study]]
    # One store for all: studies share the runs that they have in common.
    options = ["--data", data, "--run", folder, "--store", "runs", *(["--plan"] if arguments.plan else [])]
    command = ["compare", *study, *options]
    print(shlex.join(["zoo", *command]), flush=True)
    status = zoo(command)
    if status == 0 and not arguments.plan and not arguments.full:
        keep(Path(folder))
    return status


def prepared(arguments: argparse.Namespace) -> str:
    """Return the name of the study's data, which is in the folder of the work from now on."""
    arguments.work.mkdir(parents=True, exist_ok=True)
    name = SIGNALS if arguments.study == "mnist1d" else FASHION
    here = arguments.work / name
    if not here.exists():
        mnist1d_data.write(here) if name == SIGNALS else here.symlink_to((arguments.data / name).resolve())
    return name


def keep(study: Path) -> None:
    """Copy what a study found to the pages of results."""
    folder = DOCS / study.name
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("analysis.json", "report.html"):
        shutil.copyfile(study / name, folder / name)
    index.write()


if __name__ == "__main__":
    raise SystemExit(main())
