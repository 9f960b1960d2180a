"""Installations run by the real command line, as a stranger would run it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from django.conf import settings

from caracal_site.embedded import postgres, processes
from caracal_site.embedded.directory import DataDirectory
from caracal_site.supervisor import READY_POLL_SECONDS

MANAGE = settings.BASE_DIR / "manage.py"
START_LIMIT_SECONDS = 120
STOP_LIMIT_SECONDS = 10
# The supervisor has looked between the first of them and the last.
ANSWERS = 4


def bare_environment() -> dict[str, str]:
    """What a new shell has: nothing that configures Caracal."""
    names = ("PATH", "HOME", "LANG", "TMPDIR")
    return {name: os.environ[name] for name in names if name in os.environ}


def manage(
    *arguments: str | Path, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Runs ``manage.py`` to its end."""
    return subprocess.run(
        [sys.executable, MANAGE, *arguments],
        env=bare_environment() | environment,
        capture_output=True,
        text=True,
        timeout=START_LIMIT_SECONDS,
        check=False,
    )


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


@dataclass
class Up:
    """A running ``manage.py up``."""

    directory: DataDirectory
    process: subprocess.Popen[str]
    lines: list[str] = field(default_factory=list)

    @property
    def output(self) -> str:
        return "".join(self.lines)

    def wait_until_ready(self) -> None:
        with self._limited(START_LIMIT_SECONDS):
            for line in self._read():
                if line.startswith("ready "):
                    return
        raise AssertionError(f"never ready:\n{self.output}")

    def read_first_line_only(self) -> None:
        """What ``head -1`` does."""
        assert self.process.stdout is not None
        with self._limited(START_LIMIT_SECONDS):
            assert self.process.stdout.readline()
        self.process.stdout.close()

    def wait_until_it_answers(self) -> None:
        """Returns when both deployments are ready, and some time after that."""
        given_up_at = time.monotonic() + START_LIMIT_SECONDS
        in_a_row = 0
        while in_a_row < ANSWERS:
            assert self.process.poll() is None, "it has ended"
            assert time.monotonic() < given_up_at, "never ready"
            time.sleep(READY_POLL_SECONDS)
            in_a_row = in_a_row + 1 if self._is_ready() else 0

    def _is_ready(self) -> bool:
        try:
            found = [self.ask(name, "/ready") for name in ("api", "coordinator")]
        except OSError:
            return False
        return all(status == 200 for status, _ in found)

    def stop_unheard(self, signum: signal.Signals) -> int:
        """Stops it without reading what it says; returns the exit code."""
        self.process.send_signal(signum)
        return self.process.wait(STOP_LIMIT_SECONDS)

    def wait_for_end(self) -> int:
        with self._limited(STOP_LIMIT_SECONDS):
            for _ in self._read():
                pass
            return self.process.wait()

    def stop(self, signum: signal.Signals = signal.SIGTERM) -> int:
        """Stops it like an operator; returns the exit code."""
        self.process.send_signal(signum)
        return self.wait_for_end()

    def ask(
        self, deployment: str, path: str, bearer: str | None = None
    ) -> tuple[int, str]:
        bootstrap = json.loads(self.directory.bootstrap_file.read_text())
        headers = {"Authorization": f"Bearer {bearer}"} if bearer else {}
        asked = urllib.request.Request(  # noqa: S310
            bootstrap[f"{deployment}_url"] + path, headers=headers
        )
        with urllib.request.urlopen(asked, timeout=10) as answer:  # noqa: S310
            return answer.status, answer.read().decode()

    def application(self, argument: str) -> psutil.Process:
        """The oldest of its processes with ``argument`` in the command line."""
        found = [
            process
            for process in processes.supervised_in(self.directory.path)
            if argument in process.cmdline()
        ]
        return min(found, key=lambda process: process.create_time())

    def kill_everything(self) -> None:
        """What a power failure leaves behind, without the power failure."""
        for process in (psutil.Process(self.process.pid), *left_in(self.directory)):
            processes.send(process, signal.SIGKILL)
        self.process.wait()
        processes.still_running(left_in(self.directory), after_seconds=10)

    def _read(self) -> Iterator[str]:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.append(line)
            yield line

    @contextmanager
    def _limited(self, seconds: float) -> Iterator[None]:
        """Ends the process, and so its output, when it takes longer."""
        timer = threading.Timer(seconds, self.process.kill)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


@contextmanager
def up(directory: Path, *arguments: str, **environment: str) -> Iterator[Up]:
    """Starts an installation; whatever happens, nothing of it is left running."""
    ports = free_ports(2)
    command = [sys.executable, str(MANAGE), "up", "--data-dir", str(directory)]
    command += ["--api-port", str(ports[0]), "--coordinator-port", str(ports[1])]
    with subprocess.Popen(
        [*command, *arguments],
        cwd=directory.parent,
        env=bare_environment() | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        running = Up(DataDirectory.at(directory), process)
        try:
            yield running
        finally:
            process.kill()
            processes.end(left_in(running.directory), within_seconds=5)


def left_in(directory: DataDirectory) -> list[psutil.Process]:
    """Every live process of an installation but its supervisor."""
    return [
        *processes.supervised_in(directory.path),
        *processes.with_argument(postgres.process_mark(directory.cluster)),
        *processes.with_argument(str(directory.valkey)),
    ]


def read(file: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return content
