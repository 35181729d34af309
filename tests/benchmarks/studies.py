"""Comparisons whose reports stand in docs/results: studies.py NAME --data FOLDER --work FOLDER

    python tests/benchmarks/studies.py headline-macs --data FOLDER --work FOLDER          # to its end
    python tests/benchmarks/studies.py headline-macs --data FOLDER --work FOLDER --plan   # only what it will run, and how long

The data folder holds fashion-mnist.npz. Each study is one `zoo compare`, printed before it begins; stopped, the same command
goes on, and in a second terminal it shares the work. What it found goes to docs/results/NAME: analysis.json and report.html.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
from pathlib import Path

import index

from zoo.cli.main import main as zoo

DOCS = Path(__file__).parents[2] / "docs/results"
DATA = "fashion-mnist.npz"
CNN = ("conv-net-momentum", "lenet5-adamw", "separable-small-momentum", "resnet20-momentum")
RNN = ("row-lstm-adamw", "row-bilstm-adamw", "renet-adamw", "mingru-adamw")
SWAP = ("mixer-swap-depthwise-conv", "mixer-swap-bilstm2d")
SHORT = ("training.epochs=8", "training.early_stopping=null", "training.threads=1")
HEADLINE = (*CNN, *RNN, *SWAP, *SHORT, "data.train_size=10000", "--primary", "cnn,rnn", "--primary", ",".join(SWAP))
ROBUST = ("--corruptions", "--limit", "1000", "--severity", "1", "--severity", "3", "--severity", "5")
PLAIN = ("augmentation=null", "data.train_size=10000", *SHORT)
MACS, PARAMETERS = "macs=2e6", "parameters=3e4"

STUDIES = {
    # Four architectures of each family, and one block with either mixer, at equal multiply-accumulates, and at equal parameters.
    "headline-macs": (*HEADLINE, *ROBUST, "--budget", MACS, "--tune", "8"),
    "headline-parameters": (*HEADLINE, *ROBUST, "--budget", PARAMETERS, "--tune", "8"),
    # Accuracy over training-set size.
    "curves": (*CNN, *RNN, *SWAP, *SHORT, "--budget", MACS, "--vary", "data.train_size=1000,2500,5000"),
    # Two models together against one of their cost.
    "ensembles": (*CNN, *RNN, *SHORT, "data.train_size=10000", "--budget", MACS, "--larger"),
    # A sanity test of the whole chain: a network that reads rows whole does not mind where columns stand, a convolution does.
    "columns": (
        *("row-lstm-adamw", "resnet20-momentum"), *PLAIN,
        *("--vary", "data.arrangement=null,permute-columns", "--no-measure"),
        *("--expect", "row-lstm-adamw@permute-columns=equivalent:0.7"),
        *("--expect", "resnet20-momentum@permute-columns=falls:2"),
    ),
    "arrangements": (
        *("conv-net-momentum", "resnet20-momentum", "row-lstm-adamw", "row-bilstm-adamw"), *PLAIN, "--no-measure",
        *("--vary", "data.arrangement=null,permute-pixels,permute-rows,permute-columns,transpose,translate"),
        *("--expect", "row-lstm-adamw@permute-columns=equivalent:0.7", "--expect", "row-bilstm-adamw@permute-columns=equivalent:0.7"),
        *("--expect", "conv-net-momentum@permute-pixels=falls:2", "--expect", "resnet20-momentum@permute-pixels=falls:2"),
        *("--expect", "resnet20-momentum@permute-rows=falls:2", "--expect", "resnet20-momentum@permute-columns=falls:2"),
    ),
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", choices=STUDIES)
    parser.add_argument("--data", type=Path, required=True, help="folder of the data sets")
    parser.add_argument("--work", type=Path, required=True, help="folder of the comparisons and their runs")
    parser.add_argument("--plan", action="store_true", help="print what will be run, and run nothing")
    arguments = parser.parse_args()
    data, work = (arguments.data / DATA).resolve(), arguments.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    if not (work / DATA).exists():
        (work / DATA).symlink_to(data)
    os.chdir(work)  # so that results name no folders of this machine
    # One store for all: studies share the runs that they have in common.
    options = ["--data", DATA, "--run", arguments.study, "--store", "runs", *(["--plan"] if arguments.plan else [])]
    command = ["compare", *STUDIES[arguments.study], *options]
    print(shlex.join(["zoo", *command]), flush=True)
    status = zoo(command)
    if status == 0 and not arguments.plan:
        folder = DOCS / arguments.study
        folder.mkdir(parents=True, exist_ok=True)
        for name in ("analysis.json", "report.html"):
            shutil.copyfile(work / arguments.study / name, folder / name)
        index.write()
    return status


if __name__ == "__main__":
    raise SystemExit(main())
