"""Where text that others wrote is parsed and evaluated: in processes of its own.

A few workers per process, started when needed and used again; each takes one job at a
time, within limits of processor time, memory and wall clock. A text that is too much
for them ends its worker and nothing else. They get no environment, so no secrets.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from policies.examination.report import Report
from policies.sandbox.framing import HEADER, Job, Outcome

ROOT = Path(__file__).resolve().parents[2]
WORKERS = 2
# A worker that read much text, or many, is not used again: its memory is not as new.
CHARACTERS_PER_WORKER = 1_000_000
# On a busy machine two seconds of processor time are more by the clock.
CLOCK_FACTOR = 5
WAIT_SECONDS = 10.0
CHUNK = 65_536
# The engine's allocator reserves a gigabyte of addresses unless told otherwise, and the
# limit of memory counts addresses.
ENVIRONMENT = {"PATH": os.defpath, "LANG": "C.UTF-8", "MIMALLOC_ARENA_RESERVE": "0"}


class LimitExceeded(Exception):
    """The job was ended because of what its texts are."""


class TimeExceeded(LimitExceeded):
    """The job took more than its time."""


class MemoryExceeded(LimitExceeded):
    """The job took more than a worker's memory."""


class Crashed(LimitExceeded):
    """The engine ran out of stack, or worse."""


class Busy(Exception):
    """No worker could do the job in time, for no fault of its texts."""


def run(names: list[str], texts: list[str], *, alone: bool, seconds: float) -> Report:
    """The report on ``texts``, made within ``seconds`` of processor time.

    Raises LimitExceeded when the texts are too much, Busy when this machine is. Only a
    worker's first job says that a text is too much: one that worked before may have
    died of something else.
    """
    job = Job(names=names, texts=texts, alone=alone, seconds=seconds)
    with _pool.worker() as worker:
        was_fresh = worker.is_fresh
        try:
            return worker.examine(job)
        except (MemoryExceeded, Crashed):
            if was_fresh:
                raise
    with _pool.worker(fresh=True) as worker:
        return worker.examine(job)


class Worker:
    """One process of the sandbox, for one job at a time."""

    def __init__(self) -> None:
        self._read = 0
        try:
            process = subprocess.Popen(
                [sys.executable, "-E", "-s", "-m", "policies.sandbox.worker"],
                cwd=ROOT,
                env=ENVIRONMENT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            raise Busy from error
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("a worker was started without its pipes")
        self._process, self._pipes = process, (process.stdin, process.stdout)
        os.set_blocking(process.stdin.fileno(), False)

    @property
    def is_usable(self) -> bool:
        return self._process.poll() is None and self._read < CHARACTERS_PER_WORKER

    @property
    def is_fresh(self) -> bool:
        return not self._read

    @property
    def pid(self) -> int:
        return self._process.pid

    def examine(self, job: Job) -> Report:
        """The report on the job; after LimitExceeded or Busy the worker is no more."""
        deadline = time.monotonic() + CLOCK_FACTOR * job.seconds
        frame = msgspec.json.encode(job)
        try:
            if self.is_fresh:
                self._start(deadline)
            self._read += sum(map(len, job.texts)) + 1
            self._send(len(frame).to_bytes(HEADER, "big") + frame, deadline)
            size = int.from_bytes(self._receive(HEADER, deadline), "big")
            outcome = msgspec.json.decode(self._receive(size, deadline), type=Outcome)
        except BaseException:
            self.end()
            raise
        if outcome.report is None:
            self.end()
            raise MemoryExceeded
        return outcome.report

    def end(self) -> None:
        """Ends the process and forgets it."""
        self._process.kill()
        self._process.wait()
        for pipe in self._pipes:
            with contextlib.suppress(OSError):
                pipe.close()

    def _start(self, deadline: float) -> None:
        """Waits for the empty message that says that the worker is ready."""
        try:
            self._receive(HEADER, deadline)
        except LimitExceeded:
            raise Busy from None

    def _send(self, data: bytes, deadline: float) -> None:
        handle = self._pipes[0].fileno()
        rest = memoryview(data)
        while rest:
            self._wait([], [handle], deadline)
            try:
                rest = rest[os.write(handle, rest[:CHUNK]) :]
            except BlockingIOError:
                continue
            except BrokenPipeError:
                raise self._cause_of_death() from None

    def _receive(self, size: int, deadline: float) -> bytes:
        handle = self._pipes[1].fileno()
        data = bytearray()
        while len(data) < size:
            self._wait([handle], [], deadline)
            chunk = os.read(handle, min(CHUNK, size - len(data)))
            if not chunk:
                raise self._cause_of_death()
            data += chunk
        return bytes(data)

    def _wait(self, reading: list[int], writing: list[int], deadline: float) -> None:
        poll = select.poll()
        for handle in reading:
            poll.register(handle, select.POLLIN)
        for handle in writing:
            poll.register(handle, select.POLLOUT)
        left = deadline - time.monotonic()
        if left <= 0 or not poll.poll(left * 1000):
            # The system ends a worker by its processor time, so this machine is busy.
            raise Busy

    def _cause_of_death(self) -> LimitExceeded:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=1)
        match self._process.returncode:
            case code if code == -signal.SIGPROF:
                return TimeExceeded()
            # The allocator aborts when memory is refused; the system kills for it.
            case code if code in (-signal.SIGABRT, -signal.SIGKILL):
                return MemoryExceeded()
        return Crashed()


class _Pool:
    """The workers of this process. A fork gets none of its parent's."""

    def __init__(self) -> None:
        self._idle: list[Worker] = []
        self._places = threading.BoundedSemaphore(WORKERS)
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def worker(self, *, fresh: bool = False) -> Iterator[Worker]:
        """A worker to work with alone. Raises Busy when none gets free in time."""
        if not self._places.acquire(timeout=WAIT_SECONDS):
            raise Busy
        try:
            worker = Worker() if fresh else self._taken()
            try:
                yield worker
            finally:
                self._give_back(worker)
        finally:
            self._places.release()

    def _taken(self) -> Worker:
        with self._lock:
            while self._idle:
                worker = self._idle.pop()
                if worker.is_usable:
                    return worker
                worker.end()
        return Worker()

    def close(self) -> None:
        """Ends the idle workers; one with a job ends with its input."""
        with self._lock:
            while self._idle:
                self._idle.pop().end()

    def _give_back(self, worker: Worker) -> None:
        with self._lock:
            if worker.is_usable and len(self._idle) < WORKERS:
                self._idle.append(worker)
                return
        worker.end()


_pool = _Pool()


def _after_fork() -> None:
    global _pool
    _pool = _Pool()


atexit.register(lambda: _pool.close())
os.register_at_fork(after_in_child=_after_fork)
