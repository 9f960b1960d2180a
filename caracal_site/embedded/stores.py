"""The database and the stream server of an installation, its own or somebody's."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import redis

from caracal_site.embedded import postgres, valkey
from caracal_site.embedded.directory import DataDirectory
from caracal_site.embedded.errors import CannotStart
from caracal_site.embedded.server import Server
from caracal_site.embedded.sockets import short_path

OLDEST_REDIS = 7


@dataclass(frozen=True)
class Stores:
    """The servers started here, and the environment that leads to them.

    What is reached by the operator's own URL appears in neither.
    """

    # The data directory under the name that the URLs use.
    path: Path
    environment: dict[str, str] = field(default_factory=dict)
    servers: list[Server] = field(default_factory=list)

    def stop(self) -> None:
        """Returns when no server runs any more."""
        for server in self.servers:
            server.ask_to_stop()
        for server in self.servers:
            server.stop()


@contextmanager
def running_stores(
    directory: DataDirectory,
    secrets: Mapping[str, str],
    *,
    earlier_path: str | None = None,
    durable: bool = True,
) -> Iterator[Stores]:
    """Starts what no URL in the environment names; it runs while the context lasts."""
    with short_path(directory.path, earlier=earlier_path) as path:
        stores = Stores(path)
        try:
            if not os.environ.get("DATABASE_URL"):
                _add_postgres(stores, directory, secrets, durable=durable)
            if os.environ.get("REDIS_URL"):
                _require_redis(os.environ["REDIS_URL"])
            else:
                _add_valkey(stores, directory, durable=durable)
            yield stores
        finally:
            stores.stop()


def _add_postgres(
    stores: Stores,
    directory: DataDirectory,
    secrets: Mapping[str, str],
    *,
    durable: bool,
) -> None:
    passwords = postgres.Passwords(
        owner=secrets["POSTGRES_OWNER_PASSWORD"],
        runtime=secrets["POSTGRES_RUNTIME_PASSWORD"],
    )
    sockets = stores.path / directory.cluster.name
    server = postgres.start(
        directory.cluster,
        socket_directory=sockets,
        passwords=passwords,
        log=directory.logs / "postgres.log",
        durable=durable,
    )
    stores.servers.append(server)
    stores.environment.update(
        {
            "DATABASE_URL": postgres.url(sockets, postgres.RUNTIME, passwords.runtime),
            "DATABASE_OWNER_URL": postgres.url(
                sockets, postgres.OWNER, passwords.owner
            ),
        }
    )


def _add_valkey(stores: Stores, directory: DataDirectory, *, durable: bool) -> None:
    sockets = stores.path / directory.valkey.name
    server = valkey.start(
        directory.valkey,
        socket_directory=sockets,
        log=directory.logs / "valkey.log",
        durable=durable,
    )
    stores.servers.append(server)
    stores.environment.update(
        {
            "REDIS_URL": valkey.url(sockets),
            "CELERY_BROKER_URL": valkey.broker_url(sockets),
        }
    )


def _require_redis(url: str) -> None:
    """Finds out now what would otherwise keep every process from being ready."""
    try:
        with redis.Redis.from_url(url, socket_connect_timeout=5) as client:
            version = str(client.info("server")["redis_version"])
    except (redis.RedisError, ValueError) as error:
        raise CannotStart(
            f"REDIS_URL cannot be used: {str(error).rstrip('.')}."
        ) from error
    if int(version.partition(".")[0]) < OLDEST_REDIS:
        raise CannotStart(
            f"Caracal needs Redis {OLDEST_REDIS} or newer and REDIS_URL is {version}."
        )
