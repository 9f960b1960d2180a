"""The data directory: everything one installation keeps, readable by nobody else."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from caracal_site.embedded.errors import CannotStart, while_trying_to

LOCK = "supervisor.lock"
# What may be in a new data directory: a freshly formatted volume is one.
HARMLESS = frozenset({"lost+found"})


def _hex_key() -> str:
    return secrets.token_hex(32)


SECRET_MAKERS: dict[str, Callable[[], str]] = {
    "SECRET_KEY": lambda: secrets.token_urlsafe(48),
    "ZONE_KEK": _hex_key,
    "CREDENTIAL_HMAC_KEY": _hex_key,
    "STREAMS_HMAC_KEY": _hex_key,
    "AUDIT_HMAC_KEY": _hex_key,
    "CARACAL_ADMIN_TOKEN": lambda: f"cat_{secrets.token_urlsafe(32)}",
    "CARACAL_COORDINATOR_TOKEN": lambda: f"cop_{secrets.token_urlsafe(32)}",
    "METRICS_BEARER": lambda: secrets.token_urlsafe(32),
    "POSTGRES_OWNER_PASSWORD": lambda: secrets.token_urlsafe(24),
    "POSTGRES_RUNTIME_PASSWORD": lambda: secrets.token_urlsafe(24),
}
# For the supervisor's own use; the processes get URLs.
PASSWORDS = ("POSTGRES_OWNER_PASSWORD", "POSTGRES_RUNTIME_PASSWORD")


@dataclass(frozen=True)
class DataDirectory:
    """Names what is where in the data directory at ``path``, an absolute path."""

    path: Path

    @classmethod
    def at(cls, path: str | Path) -> DataDirectory:
        return cls(Path(os.path.realpath(Path(path).expanduser())))

    @property
    def secrets_file(self) -> Path:
        return self.path / "secrets.json"

    @property
    def bootstrap_file(self) -> Path:
        return self.path / "bootstrap.json"

    @property
    def runtime_file(self) -> Path:
        return self.path / "runtime.json"

    @property
    def cluster(self) -> Path:
        return self.path / "postgres"

    @property
    def valkey(self) -> Path:
        return self.path / "valkey"

    @property
    def logs(self) -> Path:
        return self.path / "logs"

    @property
    def beat_schedule(self) -> Path:
        return self.path / "beat-schedule"

    def emptied_counters(self) -> Path:
        """Where processes that serve one port count together: from zero."""
        counters = self.path / "counters"
        with while_trying_to(f"write to the data directory {self.path}"):
            shutil.rmtree(counters, ignore_errors=True)
            counters.mkdir(mode=0o700)
        return counters

    def make(self) -> None:
        """Makes the directory private; refuses one that holds somebody else's files."""
        with while_trying_to(f"use the data directory {self.path}"):
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            present = set(os.listdir(self.path)) - HARMLESS
            if present and LOCK not in present:
                raise CannotStart(
                    f"{self.path} holds files that are not Caracal's: choose a new or "
                    "empty directory with --data-dir."
                )
            self.path.chmod(0o700)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keeps every other supervisor out for as long as this one lives.

        A POSIX record lock: it belongs to this process alone, so neither a child that
        survives nor a crash leaves it behind.
        """
        with while_trying_to(f"use the data directory {self.path}"):
            descriptor = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
            file = open(descriptor, "r+", encoding="ascii")  # noqa: SIM115
        with file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except (BlockingIOError, PermissionError):
                file.seek(0)
                raise CannotStart(
                    f"Caracal is already running in {self.path} (process "
                    f"{file.read().strip() or 'unknown'}): stop it first, or choose "
                    "another directory with --data-dir."
                ) from None
            with while_trying_to(f"write to the data directory {self.path}"):
                file.truncate(0)
                file.write(f"{os.getpid()}\n")
                file.flush()
            yield

    def is_held(self) -> bool:
        """Whether a supervisor runs here; never asked by that supervisor itself."""
        try:
            with open(self.path / LOCK, "r+", encoding="ascii") as file:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return False

    def read(self, file: Path) -> dict[str, Any]:
        """A JSON file of this directory, empty when there is none."""
        try:
            with while_trying_to(f"read {file}"):
                content = json.loads(file.read_text(encoding="utf-8"))
        except CannotStart as failure:
            if isinstance(failure.__cause__, FileNotFoundError):
                return {}
            raise
        except ValueError as error:
            raise CannotStart(f"{file} is not valid JSON ({error}).") from error
        if not isinstance(content, dict):
            raise CannotStart(f"{file} does not hold a JSON object.")
        return content

    def write(self, file: Path, content: Mapping[str, Any]) -> None:
        """Replaces a JSON file only its owner can read, completely or not at all."""
        text = json.dumps(content, indent=2) + "\n"
        with while_trying_to(f"write {file}"):
            # mkstemp makes files with mode 0600.
            descriptor, name = tempfile.mkstemp(prefix=f".{file.name}.", dir=self.path)
            try:
                with open(descriptor, "w", encoding="utf-8") as temporary:
                    temporary.write(text)
                    temporary.flush()
                    os.fsync(temporary.fileno())
                os.replace(name, file)
            except OSError:
                os.unlink(name)
                raise


def missing_secrets(known: Mapping[str, str]) -> dict[str, str]:
    """A new value for every secret that is neither known nor in the environment."""
    return {
        name: make()
        for name, make in SECRET_MAKERS.items()
        if not known.get(name)
        and not os.environ.get(name)
        and not os.environ.get(f"{name}_FILE")
    }
