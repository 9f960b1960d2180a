"""A server process of an installation, its log, and how it is stopped."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from caracal_site.embedded.errors import CannotStart, disk_is_full, reason

LOG_LIMIT_BYTES = 10_000_000
# Recovery after a crash replays what was written since the last checkpoint.
START_LIMIT_SECONDS = 120.0
# As PostgreSQL and Valkey write them, the worst first.
SEVERITIES = ("PANIC:", "FATAL", "Fatal", "error:", "ERROR:")


@dataclass(frozen=True)
class ServerLog:
    """Where a server writes, and where in the file its present run begins."""

    path: Path
    start: int

    @classmethod
    def opened(cls, path: Path) -> ServerLog:
        """Starts a run's log; the file of the runs before is kept once, as ``.1``."""
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.touch(mode=0o600)
        if path.stat().st_size > LOG_LIMIT_BYTES:
            path.replace(path.with_suffix(".log.1"))
            path.touch(mode=0o600)
        return cls(path, path.stat().st_size)

    def complaint(self) -> str | None:
        """The last error this run's log tells of, if any."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.start)
                lines = file.read().decode(errors="replace").splitlines()
        except OSError as error:
            return f"its log cannot be read, {reason(error)}"
        for severity in SEVERITIES:
            for line in reversed(lines):
                if severity in line:
                    return line.partition(severity)[2].strip(" :*.")
        return None

    def explanation(self) -> str:
        """The rest of a sentence on why the server is not running."""
        is_full = disk_is_full(self.path.parent)
        complaint = "the disk is full" if is_full else self.complaint()
        see = f"(see {self.path})"
        return f": {complaint} {see}." if complaint else f" {see}."


@dataclass(frozen=True)
class Server:
    """A running server. Its last stop step is a signal no process survives."""

    name: str
    process: subprocess.Popen[bytes]
    log: ServerLog
    stop_steps: tuple[tuple[signal.Signals, float], ...]

    def is_running(self) -> bool:
        return self.process.poll() is None

    def wait_until(self, answers: Callable[[], bool]) -> None:
        """Returns once the server answers; refuses to wait for a dead one."""
        deadline = time.monotonic() + START_LIMIT_SECONDS
        while not answers():
            if not self.is_running():
                raise CannotStart(f"{self.name} did not start{self.log.explanation()}")
            if time.monotonic() > deadline:
                raise CannotStart(
                    f"{self.name} did not answer within {START_LIMIT_SECONDS:.0f} "
                    f"seconds (see {self.log.path})."
                )
            time.sleep(0.02)

    def ask_to_stop(self) -> None:
        """Begins an orderly stop without waiting for it."""
        if self.is_running():
            self.process.send_signal(self.stop_steps[0][0])

    def stop(self) -> None:
        """Returns when the process has ended; each step is less patient."""
        for signum, seconds in self.stop_steps:
            if not self.is_running():
                return
            self.process.send_signal(signum)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                continue
