"""`zoo train --devices N`: N processes under torchrun, and the one that starts them and speaks for them.

torchrun passes neither exit statuses nor a Ctrl-C on as a run needs them: it ends the processes after half a minute, and with
status 1. So each process leaves its number and its exit status in a folder. From there the first process learns whom to send a
signal, and how the others have ended.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from types import FrameType

from zoo.errors import ZooError

MODULE = "zoo.cli.processes"
ARGUMENTS = "arguments.json"
POLL_SECONDS = 0.1
GRACE_SECONDS = 5.0  # that a process which failed waits for the others to fail as well, before torchrun ends them
LINES_SHOWN = 20  # of what a process said that ended in another way than the first


def grouped(processes: int) -> bool:
    """Return whether this process is one of so many already. Raises ZooError where it is one of another number."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size not in (1, processes):
        raise ZooError(
            f"--devices {processes} in one of {size} processes", possible="what torchrun has started needs no --devices"
        )
    return size == processes


def launch(arguments: Sequence[str], processes: int) -> int:
    """Run `zoo ARGUMENTS` in so many processes and return the exit status.

    The first writes to stdout and stderr, of the others only what differs is told. SIGINT and SIGTERM go to each of them once.
    """
    threads = max(1, (os.cpu_count() or 1) // processes)
    # Nothing in the working directory is imported in place of a module.
    environment = {"OMP_NUM_THREADS": str(threads), **os.environ, "PYTHONSAFEPATH": "1"}
    with TemporaryDirectory(prefix="zoo-") as name, _collected() as signals:
        # Not on its command line: torchrun takes `--run` for one of its own.
        (Path(name) / ARGUMENTS).write_text(json.dumps(list(arguments)))
        command = [sys.executable, "-m", MODULE, name, str(processes)]
        # In a session of its own: a Ctrl-C of the terminal reaches this process alone, which passes it on.
        torchrun = subprocess.Popen(command, env=environment, start_new_session=True)
        while torchrun.poll() is None:
            pids = _numbers(Path(name), "pid")
            while signals and len(pids) == processes:
                _send(signals.pop(0), pids.values())
            time.sleep(POLL_SECONDS)
        return _ended(Path(name), processes)


@contextmanager
def _collected() -> Iterator[list[int]]:
    """Give the list of signals that have come and are to be passed on."""
    signals: list[int] = []

    def note(signum: int, frame: FrameType | None) -> None:
        signals.append(signum)

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _send(signum: int, pids: Iterable[int]) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):  # it has ended
            os.kill(pid, signum)


def _numbers(folder: Path, suffix: str) -> dict[int, int]:
    """Return the number that each process has left, by rank."""
    found = {int(path.stem): path.read_text() for path in folder.glob(f"*.{suffix}")}
    return {rank: int(text) for rank, text in sorted(found.items()) if text}


def _ended(folder: Path, processes: int) -> int:
    """Return the exit status of the whole: that of an error with a name before others; tell of what only others know."""
    begun, statuses = _numbers(folder, "pid"), _numbers(folder, "status")
    for rank in set(begun) - {0}:
        if rank not in statuses or statuses[rank] not in (0, statuses.get(0)):
            text = (folder / f"{rank}.txt").read_text(errors="replace") if (folder / f"{rank}.txt").exists() else ""
            lines = text.splitlines()[-LINES_SHOWN:] or ["it ended without a word; was it killed, or out of memory?"]
            print(f"process {rank} of {processes}:", *lines, sep="\n  ", file=sys.stderr)
    found = [statuses.get(rank, 1) for rank in range(processes)]
    return next((status for status in found if status > 1), max(found))


def run(folder: str, processes: str) -> int:
    """Be `torch.distributed.run`, but for its report of a process that failed, which is told in fewer words, and return 0 or 1."""
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.run import main

    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    try:
        main(["--standalone", "--nproc-per-node", processes, "-m", MODULE, folder])
    except ChildFailedError:
        return 1
    return 0


def work(folder: Path) -> int:
    """Run `zoo` as one of the processes and return what torchrun is to hear: 0 where all have ended by themselves."""
    from zoo.cli.main import main

    rank = int(os.environ["RANK"])
    (folder / f"{rank}.pid").write_text(str(os.getpid()))
    if rank > 0:
        _divert(folder / f"{rank}.txt")
    arguments = json.loads((folder / ARGUMENTS).read_text())
    sys.argv = ["zoo", *arguments]
    status = main(arguments)
    (folder / f"{rank}.status").write_text(str(status))
    if status == 0:
        from zoo.training.distributed import World

        World.leave()
        return 0
    return 0 if _all_end(folder, int(os.environ["WORLD_SIZE"])) else status


def _divert(path: Path) -> None:
    """Write stdout and stderr of this process to a file."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)
    for stream in (1, 2):
        os.dup2(descriptor, stream)


def _all_end(folder: Path, processes: int) -> bool:
    """Return whether all processes have ended, or do so soon: one that waits for others for ever must be ended by torchrun."""
    deadline = time.monotonic() + GRACE_SECONDS
    while len(_numbers(folder, "status")) < processes:
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


if __name__ == "__main__":
    sys.exit(run(*sys.argv[1:]) if "RANK" not in os.environ else work(Path(sys.argv[1])))
