"""The database restarted in the middle: nothing is issued that was not recorded.

A real server of its own, stopped as by a power cut while four threads ask for tokens.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from caracal_site.embedded import postgres
from caracal_site.embedded.directory import SECRET_MAKERS, DataDirectory
from caracal_site.embedded.installation import Addresses, establish
from caracal_site.embedded.stores import Stores, running_stores
from caracal_site.testing.installation import bare_environment, manage

ADDRESSES = Addresses("127.0.0.1", 3000, 4000)
TOKENS = 60
PATIENCE_SECONDS = 120
# Prints the number of each token that goes out, "lost" for each that could not.
CLIENTS = """
import threading
import django
django.setup()
from django.db import DatabaseError, InterfaceError, connection
from psycopg_pool import PoolTimeout
from tokens.services.issue import issue_session_token
from tokens.tests.factories import make_client, make_granted, request_of
from tokens.verifying import _read
from zones.tests.factories import ACTOR
from zones import services

zone = services.create_zone("restarted", actor=ACTOR)
client = make_client(zone)
resource = make_granted(zone, client)


def ask():
    while True:
        try:
            issued = issue_session_token(request_of(client, resource))
            print(_read(issued.access_token)[1].jti, flush=True)
        except (DatabaseError, InterfaceError, PoolTimeout):
            print("lost", flush=True)
            connection.close()


for _ in range(4):
    threading.Thread(target=ask).start()
"""


class Database:
    """A private server, which can be struck down and started again."""

    def __init__(self, directory: DataDirectory, secrets: Any, stores: Stores) -> None:
        self._directory, self._stores = directory, stores
        self._passwords = postgres.Passwords(
            owner=secrets["POSTGRES_OWNER_PASSWORD"],
            runtime=secrets["POSTGRES_RUNTIME_PASSWORD"],
        )

    def strike(self) -> None:
        server = self._stores.servers.pop(0)
        server.process.send_signal(signal.SIGQUIT)
        server.process.wait(PATIENCE_SECONDS)

    def start(self) -> None:
        server = postgres.start(
            self._directory.cluster,
            socket_directory=self._stores.path / self._directory.cluster.name,
            passwords=self._passwords,
            log=self._directory.logs / "postgres.log",
            durable=True,
        )
        self._stores.servers.insert(0, server)


class Clients:
    """A process that asks for tokens until it is ended."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.said: list[str] = []
        self._news = threading.Condition()
        self._has_ended = False
        self._process = subprocess.Popen(
            [sys.executable, "-c", CLIENTS],
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        for line in self._process.stdout or ():
            with self._news:
                self.said.append(line.strip())
                self._news.notify_all()
        with self._news:
            self._has_ended = True
            self._news.notify_all()

    def wait_for_more(self, count: int = TOKENS) -> None:
        """Returns when so many more tokens went out."""
        with self._news:
            wanted = len(self.issued) + count
            self._news.wait_for(
                lambda: self._has_ended or len(self.issued) >= wanted, PATIENCE_SECONDS
            )
            assert len(self.issued) >= wanted, self.said[-5:]

    def wait_until_one_is_lost(self) -> None:
        with self._news:
            assert self._news.wait_for(lambda: "lost" in self.said, PATIENCE_SECONDS)

    @property
    def issued(self) -> set[str]:
        return set(self.said) - {"lost"}

    def end(self) -> None:
        self._process.kill()
        self._reader.join()
        # Waits, and closes what was read from.
        with self._process:
            pass


@contextmanager
def asking(environment: dict[str, str]) -> Iterator[Clients]:
    clients = Clients(environment)
    try:
        yield clients
    finally:
        clients.end()


def test_no_token_is_out_that_the_database_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (*SECRET_MAKERS, "DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    directory = DataDirectory.at(tmp_path / "data")
    directory.make()
    secrets = establish(directory, ADDRESSES).secrets
    with running_stores(directory, secrets) as stores:
        given = {**secrets, **stores.environment, "CARACAL_MODE": "dev"}
        given |= {"TOKEN_RATE_LIMIT_PER_MIN": "0"}
        prepared = manage("prepare", **given)
        assert prepared.returncode == 0, prepared.stderr
        settings = {"DJANGO_SETTINGS_MODULE": "caracal_site.settings"}
        path = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        database = Database(directory, secrets, stores)
        with asking({**bare_environment(), **given, **settings, **path}) as clients:
            clients.wait_for_more()
            database.strike()
            clients.wait_until_one_is_lost()
            database.start()
            clients.wait_for_more()
        url = stores.environment["DATABASE_OWNER_URL"]
        with psycopg.connect(url) as connection:
            sessions = connection.execute("SELECT jti FROM sessions").fetchall()
            decided = connection.execute(
                "SELECT metadata_json ->> 'jti' FROM audit_events"
                " WHERE decision = 'allow'"
            ).fetchall()
    on_record = {jti for (jti,) in sessions}
    assert on_record == {jti for (jti,) in decided}
    assert clients.issued <= on_record
    # Written, and the answer lost on its way: one a thread and blow at most.
    assert len(on_record - clients.issued) <= 8
