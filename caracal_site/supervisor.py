"""Runs the processes of an installation together: all of them, or none.

honcho starts them and prefixes their logs. What is added here: no process outlives
the supervisor, stopping has a time limit, the stores are watched as well, and there
is one line when both deployments are ready.
"""

from __future__ import annotations

import http.client
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
from django.conf import settings
from honcho.manager import Manager
from honcho.process import Popen, Process

from caracal_site.embedded import processes
from caracal_site.embedded.errors import CannotStart, disk_is_full
from caracal_site.embedded.installation import (
    CONSOLE_USERNAME,
    Addresses,
    Installation,
)
from caracal_site.embedded.server import Server
from caracal_site.embedded.stores import Stores

MANAGE = Path(__file__).resolve().parent.parent / "manage.py"
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Together with the stores' own limits this stays below ten seconds.
STOP_LIMIT_SECONDS = 4.5
TICK_SECONDS = 0.2
READY_POLL_SECONDS = 0.5
# From then on the operator is told what is waited for.
PATIENCE_SECONDS = 60.0


class LeashedProcess(Process):  # type: ignore[misc]
    """A process, and honcho's reader of its output, that end with the supervisor."""

    niceness = 0

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._supervisor = os.getpid()
        self._child_ctor = self._popen

    def run(self, events: Any = None, ignore_signals: bool = False) -> None:
        """Called in the reader, a child of the supervisor."""
        processes.die_with_parent(signal.SIGKILL, parent=self._supervisor)
        super().run(events, ignore_signals)

    def _popen(self, command: Sequence[str], **options: Any) -> Popen:
        leash = processes.leash(signal.SIGTERM, niceness=self.niceness)
        return Popen(command, shell=False, preexec_fn=leash, **options)


class Supervisor(Manager):  # type: ignore[misc]
    """The processes of one installation, until they are stopped or one of them ends.

    Every decision is taken by one thread, the watch. The main thread prints the logs,
    and a signal handler there does nothing but leave a note.
    """

    def __init__(self, installation: Installation, stores: Stores) -> None:
        super().__init__()
        self._process_ctor = LeashedProcess
        self._stores = stores
        self._addresses = installation.addresses
        self._readiness = Readiness(installation.addresses)
        self._is_asked_to_stop = False
        self._stopping_since: float | None = None
        self.failure: str | None = None
        self._counters = installation.directory.emptied_counters()
        environment = installation.environment(stores.environment)
        for name, command in commands(installation).items():
            self._add(name, command, environment)

    def _add(
        self, name: str, command: Sequence[str], environment: Mapping[str, str]
    ) -> None:
        own = {"CARACAL_PROCESS": name, "PYTHONUNBUFFERED": "1"}
        if name == "api":
            # Its processes count together; from zero, as a process does.
            own["PROMETHEUS_MULTIPROC_DIR"] = str(self._counters)
        process = self.add_process(
            name, command, env={**environment, **own}, cwd=str(MANAGE.parent)
        )
        if name == "worker":
            # Requests go first: what the worker does can wait for a moment.
            process.niceness = 5

    def _start(self) -> None:
        """Starts the readers before the watch: no thread runs when they are forked."""
        for signum in STOP_SIGNALS:
            if signum != signal.SIGHUP or not _is_ignored(signum):
                signal.signal(signum, self._on_stop_signal)
        super()._start()
        threading.Thread(target=self._watch, name="watch", daemon=True).start()

    def _on_stop_signal(self, _signum: int, _frame: Any) -> None:
        self._is_asked_to_stop = True

    def terminate(self) -> None:
        """Also called by honcho, in the main thread, when a process has ended."""
        if self._stopping_since is None:
            self._stopping_since = time.monotonic()
            if not self._is_asked_to_stop and self.failure is None:
                self.failure = self._obituary()
        super().terminate()

    def _obituary(self) -> str:
        """Which process ended although nobody asked it to."""
        for name, process in self._processes.items():
            if "returncode" in process:
                return f"The {name} process {_ending(process['returncode'])}."
        return "A process ended."

    def _watch(self) -> None:
        while not self._all_stopped():
            time.sleep(TICK_SECONDS)
            if not self._all_started():
                continue
            if self._stopping_since is None:
                self._look_after()
            elif time.monotonic() - self._stopping_since > STOP_LIMIT_SECONDS:
                self.kill()

    def _look_after(self) -> None:
        if self._is_asked_to_stop:
            self.terminate()
            return
        for server in self._stores.servers:
            if not server.is_running():
                self.failure = server_obituary(server)
                self.terminate()
                return
        self._bury_headless()
        self._readiness.look()

    def _bury_headless(self) -> None:
        """Ends what a process that was killed left behind.

        honcho notices an end by the closing of the output, which children of the
        process keep open.
        """
        for process in self._processes.values():
            try:
                status = psutil.Process(process["pid"]).status()
            except psutil.NoSuchProcess:
                continue
            if status == psutil.STATUS_ZOMBIE:
                self._procmgr.kill(process["pid"])


class Readiness:
    """Asks both deployments whether they are ready, and says so once."""

    def __init__(self, addresses: Addresses) -> None:
        self._addresses = addresses
        self._started = time.monotonic()
        self._next_look = 0.0
        self._is_ready = self._is_overdue = False

    def look(self) -> None:
        """Returns soon: an answer is waited for for a second at most."""
        now = time.monotonic()
        if self._is_ready or now < self._next_look:
            return
        self._next_look = now + READY_POLL_SECONDS
        waiting = self._waiting_for()
        if waiting is None:
            self._is_ready = True
            sys.stdout.write(ready_line(self._addresses) + "\n")
            sys.stdout.flush()
        elif not self._is_overdue and now - self._started > PATIENCE_SECONDS:
            self._is_overdue = True
            sys.stderr.write(f"Not ready yet: {waiting}.\n")

    def _waiting_for(self) -> str | None:
        for name, port in (
            ("API", self._addresses.api_port),
            ("coordinator", self._addresses.coordinator_port),
        ):
            answer = self._ask(port)
            if answer != "200":
                return f"the {name}'s /ready {answer}"
        return None

    def _ask(self, port: int) -> str:
        host = self._addresses.reachable_host
        connection = http.client.HTTPConnection(host, port, timeout=1)
        try:
            connection.request("GET", "/ready", headers={"Host": "localhost"})
            response = connection.getresponse()
            body = response.read(300).decode(errors="replace")
        except (OSError, http.client.HTTPException):
            return "does not answer"
        finally:
            connection.close()
        return "200" if response.status == 200 else f"says {response.status} {body}"


def ready_line(addresses: Addresses) -> str:
    api, coordinator = addresses.api_url, addresses.coordinator_url
    return (
        f"ready  api {api}  coordinator {coordinator}  "
        f"console {api}/admin/  docs {api}/docs"
    )


def commands(installation: Installation) -> dict[str, list[str]]:
    """The command line of each process."""
    addresses = installation.addresses
    python = [sys.executable, "-m"]
    # Running under root is the operator's choice, and not news worth two paragraphs.
    celery = [sys.executable, "-W", "ignore:You're running the worker", "-m", "celery"]
    celery += ["--quiet", "-A", "caracal_site"]
    api = ["--host", addresses.bind, "--port", str(addresses.api_port)]
    api += ["--workers", str(settings.API_WORKERS), "--blocking-threads", "8"]
    api += ["--no-ws"]
    api += ["--workers-kill-timeout", "4", "--log-level", "error"]
    coordinator = ["--host", addresses.bind, "--port", str(addresses.coordinator_port)]
    coordinator += ["--loop", "uvloop", "--lifespan", "off", "--no-proxy-headers"]
    protocol = "caracal_site.coordinator.protocol:CorkedProtocol"
    coordinator += ["--http", protocol]
    coordinator += ["--no-access-log", "--no-server-header", "--log-level", "warning"]
    coordinator += ["--timeout-keep-alive", "75", "--timeout-graceful-shutdown", "4"]
    worker = ["--pool", "threads", "--concurrency", "4", "--loglevel", "warning"]
    worker += ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    beat = ["--schedule", str(installation.directory.beat_schedule)]
    beat += ["--pidfile=", "--loglevel", "warning"]
    wsgi, asgi = "caracal_site.wsgi:application", "caracal_site.asgi:application"
    return {
        "api": [*python, "granian", "--interface", "wsgi", *api, wsgi],
        "coordinator": [*python, "uvicorn", *coordinator, asgi],
        "worker": [*celery, "worker", *worker],
        "beat": [*celery, "beat", *beat],
    }


def prepare(installation: Installation, stores: Stores) -> None:
    """Migrates, grants and seeds in a process of its own, which alone is the owner."""
    command = [
        sys.executable,
        str(MANAGE),
        "prepare",
        "--console-user",
        CONSOLE_USERNAME,
    ]
    log = installation.directory.logs / "prepare.log"
    installation.directory.logs.mkdir(mode=0o700, exist_ok=True)
    ran = subprocess.run(
        [*command, "--console-password-from-stdin"],
        input=installation.console_password or "",
        env=installation.owner_environment(stores.environment),
        preexec_fn=processes.leash(signal.SIGKILL),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    log.write_text(ran.stdout, encoding="utf-8")
    if ran.returncode != 0:
        if disk_is_full(log.parent):
            raise CannotStart(f"The disk of {installation.directory.path} is full.")
        lines = ran.stdout.strip().splitlines() or [_ending(ran.returncode)]
        sentence = lines[-1].removeprefix("CommandError: ").rstrip(".")
        raise CannotStart(
            f"The database could not be prepared: {sentence} (see {log})."
        )


def run(installation: Installation, stores: Stores) -> str | None:
    """Runs everything until it is asked to stop, or returns what went wrong."""
    # The readers must be children of this process, which other methods do not make.
    multiprocessing.set_start_method("fork", force=True)
    supervisor = Supervisor(installation, stores)
    try:
        supervisor.loop()
    finally:
        for signum in STOP_SIGNALS:
            signal.signal(signum, signal.SIG_IGN)
        left = processes.supervised_in(installation.directory.path)
        processes.end(left, within_seconds=2)
    return supervisor.failure and explained(supervisor.failure, installation, stores)


def explained(failure: str, installation: Installation, stores: Stores) -> str:
    """The failure that was behind the one noticed first."""
    for server in stores.servers:
        if not server.is_running():
            return server_obituary(server)
    if disk_is_full(installation.directory.path):
        return f"{failure} The disk of {installation.directory.path} is full."
    return failure


def server_obituary(server: Server) -> str:
    ending = _ending(server.process.returncode)
    return f"{server.name} {ending}{server.log.explanation()}"


def _is_ignored(signum: signal.Signals) -> bool:
    """What ``nohup`` does to SIGHUP."""
    return signal.getsignal(signum) is signal.SIG_IGN


def _ending(returncode: int) -> str:
    if returncode < 0:
        return f"was killed by {signal.Signals(-returncode).name}"
    return f"ended with exit code {returncode}"
