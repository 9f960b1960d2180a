"""What makes a data directory an installation: secrets, addresses, credentials."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from caracal_site.embedded.directory import (
    PASSWORDS,
    SECRET_MAKERS,
    DataDirectory,
    missing_secrets,
)
from caracal_site.embedded.errors import CannotStart, reason
from caracal_site.embedded.processes import MARK
from caracal_site.settings import secret

CONSOLE_USERNAME = "admin"
# Listening on every address is the operator's to ask for; nobody connects to one.
ANY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
# Known to the supervisor alone: what requests reach is not to log in as the owner.
SUPERVISOR_ONLY = ("DATABASE_OWNER_URL", *PASSWORDS)


@dataclass(frozen=True)
class Addresses:
    """Where the two deployments listen, and under which URLs clients know them."""

    bind: str
    api_port: int
    coordinator_port: int

    @property
    def reachable_host(self) -> str:
        """A host that leads to ``bind`` from this machine."""
        return ANY_ADDRESS.get(self.bind, self.bind)

    @property
    def api_url(self) -> str:
        return os.environ.get("API_URL") or self._url(self.api_port)

    @property
    def coordinator_url(self) -> str:
        return os.environ.get("COORDINATOR_URL") or self._url(self.coordinator_port)

    def require_free_ports(self) -> None:
        """Refuses a port that is taken, before anything is started."""
        if self.api_port == self.coordinator_port:
            raise CannotStart("--api-port and --coordinator-port must differ.")
        for option, port in (
            ("--api-port", self.api_port),
            ("--coordinator-port", self.coordinator_port),
        ):
            self._require_free(port, option)

    def _url(self, port: int) -> str:
        host = self.reachable_host
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def _require_free(self, port: int, option: str) -> None:
        family = socket.AF_INET6 if ":" in self.bind else socket.AF_INET
        try:
            with socket.socket(family, socket.SOCK_STREAM) as attempt:
                # What the servers set too: a port just left by a server is free.
                attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                attempt.bind((self.bind, port))
                attempt.listen(1)
        except OSError as error:
            raise CannotStart(
                f"Cannot listen on {self.bind} port {port}: {reason(error)}; stop what "
                f"uses it, or choose another with {option}."
            ) from error


@dataclass(frozen=True)
class Installation:
    """A data directory with its secrets; the environment's secrets are not in it."""

    directory: DataDirectory
    addresses: Addresses
    secrets: Mapping[str, str]
    console_password: str | None

    def save_runtime(self, stores: Mapping[str, str], *, socket_path: Path) -> None:
        """Leaves behind what commands beside this one and later starts need."""
        self.directory.write(
            self.directory.runtime_file,
            {
                "environment": self.runtime_environment(stores),
                "socket_path": str(socket_path),
                "given_secrets": [n for n in SECRET_MAKERS if n not in self.secrets],
            },
        )

    def environment(self, stores: Mapping[str, str]) -> dict[str, str]:
        """The environment of the processes that serve this installation."""
        environment = os.environ | self.secrets | self.runtime_environment(stores)
        for name in SUPERVISOR_ONLY:
            environment.pop(name, None)
        return environment | {MARK: str(self.directory.path)}

    def owner_environment(self, stores: Mapping[str, str]) -> dict[str, str]:
        """The same for the one process that changes the schema."""
        url = stores.get("DATABASE_OWNER_URL") or os.environ.get("DATABASE_OWNER_URL")
        owner = {"DATABASE_OWNER_URL": url} if url else {}
        return self.environment(stores) | owner

    def runtime_environment(self, stores: Mapping[str, str]) -> dict[str, str]:
        """What a command in another terminal needs besides the secrets."""
        hosts = ["127.0.0.1", "localhost", "[::1]"]
        if self.addresses.reachable_host not in (*hosts, "::1"):
            hosts.append(self.addresses.reachable_host)
        return {
            **stores,
            "API_URL": self.addresses.api_url,
            "COORDINATOR_URL": self.addresses.coordinator_url,
            "ALLOWED_HOSTS": os.environ.get("ALLOWED_HOSTS") or ",".join(hosts),
            "CARACAL_DATA_DIR": str(self.directory.path),
            # Whoever starts an installation by this command tries it or develops it.
            "CARACAL_MODE": os.environ.get("CARACAL_MODE") or "dev",
        }


def establish(directory: DataDirectory, addresses: Addresses) -> Installation:
    """Reads an installation, or makes a new one with all its credentials.

    The credentials for people are written before the secrets, whose file is what
    tells a later start from the first: so they exist whenever the secrets do.
    """
    known = directory.read(directory.secrets_file)
    if not known and directory.cluster.exists():
        raise CannotStart(
            f"{directory.secrets_file} is missing, and without it the database beside "
            "it cannot be opened: put the file back, or choose another --data-dir."
        )
    _require_given_again(directory, known)
    made = {**known, **missing_secrets(known)}
    bootstrap = directory.read(directory.bootstrap_file)
    if not known:
        bootstrap = {
            "console_username": CONSOLE_USERNAME,
            "console_password": secrets.token_urlsafe(18),
        }
    if bootstrap:
        tokens = {
            "admin_token": "CARACAL_ADMIN_TOKEN",
            "operator_token": "CARACAL_COORDINATOR_TOKEN",
        }
        bootstrap = {
            **bootstrap,
            "api_url": addresses.api_url,
            "coordinator_url": addresses.coordinator_url,
            **{key: secret(name) or made[name] for key, name in tokens.items()},
        }
        directory.write(directory.bootstrap_file, bootstrap)
    if made != known:
        directory.write(directory.secrets_file, made)
    return Installation(
        directory=directory,
        addresses=addresses,
        secrets={name: value for name, value in made.items() if not secret(name)},
        console_password=bootstrap.get("console_password"),
    )


def _require_given_again(directory: DataDirectory, known: Mapping[str, str]) -> None:
    """Makes no new key where earlier starts were given one: it would open nothing."""
    given = directory.read(directory.runtime_file).get("given_secrets", [])
    lost = [name for name in given if name not in known and not secret(name)]
    if lost:
        raise CannotStart(
            f"Earlier starts in {directory.path} were given {', '.join(lost)} by the "
            "environment: give the same again."
        )
