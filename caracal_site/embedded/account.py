"""Which system account PostgreSQL runs under, since it refuses to run as root."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from caracal_site.embedded.errors import CannotStart

DEDICATED = "caracal-db"
# There on every system; only used where accounts cannot be added.
UNPRIVILEGED = "nobody"


@dataclass(frozen=True)
class Account:
    """A system account other than root."""

    uid: int
    gid: int

    def identity(self) -> dict[str, Any]:
        """The arguments that make ``subprocess`` run a program under this account."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}


def account_for(cluster: Path) -> Account | None:
    """The account for the server of ``cluster``; None is the present one.

    Whoever owns the files goes on owning them, so an installation that was made by
    an ordinary user is not lost to that user when root starts it once.
    """
    if os.geteuid() != 0:
        return None
    if cluster.exists() and cluster.stat().st_uid != 0:
        owner = cluster.stat()
        return Account(owner.st_uid, owner.st_gid)
    for name in (DEDICATED, UNPRIVILEGED):
        account = _existing(name) or (_created(name) if name == DEDICATED else None)
        if account is not None and _is_usable(account):
            return account
    raise CannotStart(
        "PostgreSQL refuses to run as root and there is no other account here to run "
        "it under: start Caracal as an ordinary user, or set DATABASE_URL."
    )


def _existing(name: str) -> Account | None:
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        return None
    return Account(entry.pw_uid, entry.pw_gid)


def _created(name: str) -> Account | None:
    """A new system account without a home, a password or a shell."""
    options = ["--system", "--user-group", "--no-create-home"]
    options += ["--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin"]
    try:
        subprocess.run(["useradd", *options, name], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    sys.stderr.write(
        f"PostgreSQL refuses to run as root: it runs under the new account {name}.\n"
    )
    return _existing(name)


def _is_usable(account: Account) -> bool:
    """Whether this root may become that account, which a container can forbid."""
    try:
        subprocess.run(["true"], check=True, **account.identity())
    except (OSError, subprocess.SubprocessError):
        return False
    return account.uid != 0
