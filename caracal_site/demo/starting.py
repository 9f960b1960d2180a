"""An installation that runs for as long as the story takes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import IO

import httpx
from django.conf import settings

from caracal_site.embedded import processes
from caracal_site.embedded.directory import DataDirectory
from caracal_site.embedded.errors import CannotStart

START_SECONDS = 120
STOP_SECONDS = 15
LOOK_SECONDS = 1.0
REMEMBERED_LINES = 20


def answers(directory: DataDirectory) -> bool:
    """Whether both deployments of the installation are there."""
    known = directory.read(directory.bootstrap_file)
    try:
        found = [
            httpx.get(known[name] + "/health", timeout=LOOK_SECONDS, trust_env=False)
            for name in ("api_url", "coordinator_url")
        ]
    except (KeyError, httpx.HTTPError):
        return False
    return all(answer.status_code == httpx.codes.OK for answer in found)


def wait_until_it_answers(directory: DataDirectory) -> None:
    """Raises CannotStart when it takes too long."""
    until = time.monotonic() + START_SECONDS
    while not answers(directory):
        if time.monotonic() > until:
            raise CannotStart(f"What runs in {directory.path} does not answer.")
        time.sleep(LOOK_SECONDS)


def environment_before(directory: DataDirectory) -> dict[str, str]:
    """This process's environment without what ``runtime.attach`` put into it: of an
    earlier run, perhaps. To be asked for before anything is started."""
    known = directory.read(directory.secrets_file)
    known |= directory.read(directory.runtime_file).get("environment", {})
    own = {name: text for name, text in os.environ.items() if known.get(name) != text}
    return own | {"CARACAL_DATA_DIR": str(directory.path)}


@contextmanager
def started(directory: DataDirectory, environment: dict[str, str]) -> Iterator[None]:
    """Runs ``up`` in the directory on free ports. Raises CannotStart."""
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "up"]
    api, coordinator = _free_ports()
    command += ["--data-dir", str(directory.path)]
    command += ["--api-port", str(api), "--coordinator-port", str(coordinator)]
    up = subprocess.Popen(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=processes.leash(signal.SIGTERM),
    )
    reader = _Reader(up.stdout)
    try:
        reader.wait_until_ready()
        yield
    finally:
        up.terminate()
        try:
            up.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            up.kill()
            up.wait()


class _Reader(threading.Thread):
    """Reads what ``up`` prints for as long as it does, so that it never has to wait."""

    def __init__(self, output: IO[str] | None) -> None:
        super().__init__(name="up-output", daemon=True)
        self._output = output or ()
        self._said_something = threading.Event()
        self._is_ready = False
        self._last: deque[str] = deque(maxlen=REMEMBERED_LINES)
        self.start()

    def run(self) -> None:
        for line in self._output:
            self._last.append(line.rstrip())
            if line.startswith("ready "):
                self._is_ready = True
                self._said_something.set()
        self._said_something.set()

    def wait_until_ready(self) -> None:
        self._said_something.wait(START_SECONDS)
        if not self._is_ready:
            said = "\n".join(self._last) or "It says nothing."
            raise CannotStart(f"`up` did not become ready:\n{said}")


def _free_ports() -> tuple[int, int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(2)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        first, second = (each.getsockname()[1] for each in sockets)
    return first, second
