"""A process that is told to stop is unready first, and serves what still comes."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote, urlsplit

import orjson
import psutil
import pytest
from django.conf import settings
from django.db import connection

from caracal_site.supervisor import commands
from caracal_site.tasks import worker_heartbeat
from caracal_site.testing.installation import free_ports
from zones.models import Zone

DRAIN_SECONDS = 2
PATIENCE_SECONDS = 60


class Server:
    """One deployment in a process of its own, on the database of the tests."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self.process, self.port = process, port

    def ask(self, path: str) -> tuple[int, dict[str, Any]]:
        asking = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            asking.request("GET", path)
            answer = asking.getresponse()
            return answer.status, orjson.loads(answer.read())
        finally:
            asking.close()

    def wait_until(self, path: str, status: int) -> dict[str, Any]:
        given_up_at = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < given_up_at and self.process.poll() is None:
            try:
                answered, body = self.ask(path)
            except (OSError, http.client.HTTPException):
                continue
            if answered == status:
                return body
        raise AssertionError(f"{path} never said {status}")


def command_of(name: str, port: int) -> list[str]:
    """The command line ``up`` starts the deployment with."""
    addresses = SimpleNamespace(bind="127.0.0.1", api_port=port, coordinator_port=port)
    directory = SimpleNamespace(beat_schedule=os.devnull)
    installation: Any = SimpleNamespace(addresses=addresses, directory=directory)
    return commands(installation)[name]


@contextmanager
def serving(name: str) -> Iterator[Server]:
    (port,) = free_ports(1)
    # The server of the settings, wherever it listens; the database of the tests.
    url = urlsplit(settings.DATABASE_URL)
    database = quote(connection.settings_dict["NAME"])
    environment = {
        **os.environ,
        "DATABASE_URL": url._replace(path=f"/{database}").geturl(),
        "API_READY_OUTBOX_DEAD_MAX": "1000000",
        "JOB_STUCK_PERIODS": "0",
        "READY_RATE_LIMIT_PER_MIN": "0",
        "SHUTDOWN_DRAIN_MS": str(DRAIN_SECONDS * 1000),
        "CARACAL_MODE": "dev",
    }
    process = subprocess.Popen(
        command_of(name, port), env=environment, cwd=settings.BASE_DIR
    )
    try:
        yield Server(process, port)
    finally:
        if process.poll() is None:
            for child in psutil.Process(process.pid).children():
                child.kill()
            process.kill()
        process.wait()


@pytest.mark.parametrize("name", ["api", "coordinator"])
def test_what_is_told_to_stop_is_unready_and_then_gone(name: str) -> None:
    worker_heartbeat()
    with serving(name) as server:
        server.wait_until("/ready", 200)
        begun = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        # A supervisor may tell the whole group, and the parent its child once more.
        for child in psutil.Process(server.process.pid).children():
            child.send_signal(signal.SIGTERM)
        body = server.wait_until("/ready", 503)
        assert (body["error"], body["draining"]) == ("draining", True)
        assert server.ask("/health") == (200, {"ok": True})
        server.process.wait(PATIENCE_SECONDS)
        took = time.monotonic() - begun
        assert DRAIN_SECONDS <= took < DRAIN_SECONDS + 8
        with pytest.raises(OSError):  # noqa: PT011 - refused, in whatever words
            server.ask("/health")


def listening(
    server: Server, zone_id: str
) -> tuple[http.client.HTTPConnection, http.client.HTTPResponse]:
    """A stream of events that has begun."""
    asking = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    token = {"Authorization": f"Bearer {settings.CARACAL_COORDINATOR_TOKEN}"}
    stream = {**token, "Accept": "text/event-stream"}
    asking.request("GET", f"/zones/{zone_id}/events", headers=stream)
    answer = asking.getresponse()
    assert (answer.status, answer.readline()) == (200, b"retry: 2000\n")
    return asking, answer


def wait_until_waiting(server: Server, count: int) -> None:
    """Returns when the process says that so many wait for events."""
    asking = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    token = {"Authorization": f"Bearer {settings.CARACAL_COORDINATOR_TOKEN}"}
    wanted = f"\ncaracal_event_waiters {float(count)}\n"
    given_up_at = time.monotonic() + PATIENCE_SECONDS
    found = ""
    while wanted not in found:
        assert time.monotonic() < given_up_at, f"never did {count} wait"
        asking.request("GET", "/metrics", headers=token)
        found = asking.getresponse().read().decode()
    asking.close()


def test_a_server_knows_when_a_listener_has_gone_and_ends_the_others(
    zone: Zone,
) -> None:
    worker_heartbeat()
    with serving("coordinator") as server:
        server.wait_until("/health", 200)
        (leaving, first), (staying, second) = (listening(server, zone.id) for _ in "12")
        wait_until_waiting(server, 2)
        first.close()
        leaving.close()
        wait_until_waiting(server, 1)
        begun = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        second.read()
        staying.close()
        assert time.monotonic() - begun < DRAIN_SECONDS, "with the first word of it"
        server.process.wait(PATIENCE_SECONDS)
        assert time.monotonic() - begun < DRAIN_SECONDS + 4
