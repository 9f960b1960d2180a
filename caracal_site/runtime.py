"""The environment of a running installation, for commands started beside it.

``up`` leaves in its data directory how to reach the servers it runs. A command that
was given no ``DATABASE_URL`` takes that over, so ``manage.py shell`` in a second
terminal works on what runs in the first.

``manage.py`` runs this file before the package can be imported (which reads the
settings): nothing of ``caracal_site`` is imported here.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from urllib.parse import unquote, urlsplit

import environ

BASE_DIR = Path(__file__).resolve().parent.parent
DEFAULT_DATA_DIR = BASE_DIR / ".caracal"

# These prepare their own environment.
SELF_SUFFICIENT = frozenset({"up", "test"})
# These declare --data-dir themselves.
WITH_DATA_DIR = frozenset({"up", "demo", "bench", "test"})
# These change the schema, which belongs to the owner role.
OWNER_COMMANDS = frozenset({"migrate", "prepare"})
URLS = ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL")


def attach(arguments: list[str]) -> list[str]:
    """Sets the environment a command line needs; returns it for Django to read.

    ``--data-dir DIR`` (or ``CARACAL_DATA_DIR``) is understood before every command.
    """
    environ.Env.read_env(BASE_DIR / ".env")
    _read_url_files()
    command = arguments[1] if len(arguments) > 1 else ""
    if command != "test":
        directory, rest = _take_data_dir(arguments)
        if directory is not None:
            os.environ["CARACAL_DATA_DIR"] = str(Path(directory).absolute())
        if command not in WITH_DATA_DIR:
            arguments = rest
    if command not in SELF_SUFFICIENT and not os.environ.get("DATABASE_URL"):
        load_runtime_environment(data_directory())
    if command in OWNER_COMMANDS:
        become_owner()
    return arguments


def data_directory() -> Path:
    """The data directory this process was told to use."""
    return Path(os.environ.get("CARACAL_DATA_DIR") or DEFAULT_DATA_DIR).absolute()


def load_runtime_environment(directory: Path) -> bool:
    """Takes over the environment of the installation in ``directory``, if one is there.

    What the process has in its environment already, it keeps.
    """
    try:
        secrets = json.loads((directory / "secrets.json").read_text(encoding="utf-8"))
        runtime = json.loads((directory / "runtime.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    for name, value in (secrets | runtime["environment"]).items():
        # The roles' passwords are part of the URLs.
        if not name.startswith("POSTGRES_") and not os.environ.get(f"{name}_FILE"):
            os.environ.setdefault(name, value)
    return True


def become_owner() -> None:
    """Makes the owner role's database the process's database.

    The runtime role, which the migrated tables are then granted to, is remembered in
    ``CARACAL_RUNTIME_ROLE``. Schema changes may take longer than any request may.
    """
    owner = os.environ.get("DATABASE_OWNER_URL")
    if owner:
        runtime_user = urlsplit(os.environ.get("DATABASE_URL", "")).username
        if runtime_user and runtime_user != urlsplit(owner).username:
            os.environ.setdefault("CARACAL_RUNTIME_ROLE", unquote(runtime_user))
        os.environ["DATABASE_URL"] = owner
    os.environ["DB_STATEMENT_TIMEOUT_MS"] = "0"


def _read_url_files() -> None:
    """URLs hold passwords: like every secret, each may be given as a file."""
    for name in URLS:
        path = os.environ.get(f"{name}_FILE")
        if path and not os.environ.get(name):
            os.environ[name] = Path(path).read_text(encoding="utf-8").rstrip()


def _take_data_dir(arguments: list[str]) -> tuple[str | None, list[str]]:
    """The value of ``--data-dir``, and the arguments without it."""
    rest, directory = [], None
    remaining = iter(arguments)
    for argument in remaining:
        if argument == "--data-dir":
            directory = next(remaining, None)
        elif argument.startswith("--data-dir="):
            directory = argument.partition("=")[2]
        else:
            rest.append(argument)
    return directory, rest
