"""Processes that must not outlive their supervisor, and how to find those that did.

Three safeguards, because a supervisor can be killed at any instant: on Linux the
kernel signals a child whose parent dies; every application process carries the data
directory in its environment and every server in its command line, so the next ``up``
finds what is left whatever became of process ids; and a server is never started on
files that a live process may still be writing.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import psutil

# In the environment of every process a supervisor starts: its data directory.
MARK = "CARACAL_SUPERVISED_IN"

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


def die_with_parent(signum: signal.Signals, *, parent: int) -> None:
    """Has the kernel send ``signum`` to this process when ``parent`` dies."""
    if _libc is None:
        return
    _libc.prctl(_PR_SET_PDEATHSIG, int(signum))
    if os.getppid() != parent:
        os.kill(os.getpid(), signum)


def leash(signum: signal.Signals, *, niceness: int = 0) -> Callable[[], None]:
    """A ``preexec_fn`` that ties a child to the process that starts it.

    Calls nothing that could wait for a lock another thread held at the fork.
    """
    parent = os.getpid()

    def tie() -> None:
        die_with_parent(signum, parent=parent)
        if niceness:
            os.nice(niceness)

    return tie


def with_argument(text: str) -> list[psutil.Process]:
    """Live processes with ``text`` in their command line."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        arguments = process.info["cmdline"] or ()
        if any(text in argument for argument in arguments) and process.is_running():
            found.append(process)
    return [process for process in found if process.pid != os.getpid()]


def supervised_in(directory: Path) -> list[psutil.Process]:
    """Live application processes of the installation in ``directory``."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(MARK) == str(directory):
                found.append(process)
        except (psutil.Error, OSError):
            # Somebody else's process, or one that has just ended.
            continue
    return [process for process in found if process.pid != os.getpid()]


def end(processes: Iterable[psutil.Process], *, within_seconds: float) -> None:
    """Asks every process to end, and kills what has not by then."""
    remaining = list(processes)
    for signum in (signal.SIGTERM, signal.SIGKILL):
        for process in remaining:
            send(process, signum)
        remaining = still_running(remaining, after_seconds=within_seconds)


def still_running(
    processes: Iterable[psutil.Process], *, after_seconds: float
) -> list[psutil.Process]:
    """Those that have not ended by then; returns at once when all have."""
    deadline = time.monotonic() + after_seconds
    remaining = [process for process in processes if _is_alive(process)]
    while remaining and time.monotonic() < deadline:
        time.sleep(0.02)
        remaining = [process for process in remaining if _is_alive(process)]
    return remaining


def send(process: psutil.Process, signum: signal.Signals) -> None:
    """Signals a process that may have ended meanwhile."""
    try:
        process.send_signal(signum)
    except psutil.NoSuchProcess:
        return


def _is_alive(process: psutil.Process) -> bool:
    """A zombie has ended, though an init that never reaps may keep it for ever."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
