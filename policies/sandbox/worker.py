"""The process inside the sandbox: ``python -m policies.sandbox.worker``.

Says that it is ready by an empty message, then reads jobs from its input and writes
reports to its output, all framed by their length, until the input ends. It has no
secrets, no Django and no database, may use little memory and no processor time beyond
what a job allows: the system ends it then.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import resource
import signal
import sys
from pathlib import Path
from typing import BinaryIO

import msgspec

from policies.examination.examine import examine
from policies.sandbox.framing import HEADER, Job, Outcome

MEMORY_BYTES = 512 * 1024 * 1024
# Of Linux: the signal that a process gets when the thread that started it ends.
PR_SET_PDEATHSIG = 1


def main() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()
    limit_resources()
    # Syntax trees have no cycles, and are what nearly all of its memory is.
    gc.disable()
    source, sink = sys.stdin.buffer, sys.stdout.buffer
    _write(sink, b"")
    while (frame := _next_frame(source)) is not None:
        _write(sink, msgspec.json.encode(_examined(frame)))


def end_with_parent() -> None:
    """Ends at once when the parent does, even within a job. It may also end when only
    the thread that started it did: then it is replaced, and its job done again."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def limit_resources() -> None:
    """No files, no core dumps, and MEMORY_BYTES above what the process has already."""
    limits = {
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0,
        resource.RLIMIT_AS: _address_space() + MEMORY_BYTES,
    }
    for kind, limit in limits.items():
        # Not every system has every limit; time is limited on all of them.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(kind, (limit, limit))


def _address_space() -> int:
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[0]
    except OSError:
        return MEMORY_BYTES
    return int(pages) * resource.getpagesize()


def _next_frame(source: BinaryIO) -> bytes | None:
    header = source.read(HEADER)
    if len(header) < HEADER:
        return None
    return source.read(int.from_bytes(header, "big"))


def _write(sink: BinaryIO, message: bytes) -> None:
    sink.write(len(message).to_bytes(HEADER, "big") + message)
    sink.flush()


def _examined(frame: bytes) -> Outcome:
    job = msgspec.json.decode(frame, type=Job)
    # SIGPROF ends the process wherever it is, as nothing handles it.
    signal.setitimer(signal.ITIMER_PROF, job.seconds)
    try:
        report = examine(job.names, job.texts, alone=job.alone)
    except MemoryError:
        return Outcome(out_of_memory=True)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return Outcome(report=report)


if __name__ == "__main__":
    main()
