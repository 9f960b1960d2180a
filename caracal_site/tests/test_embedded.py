"""The private servers, without the rest of the platform around them."""

from __future__ import annotations

import os
from pathlib import Path

import psycopg
import pytest
import redis

from caracal_site.embedded import processes, programs
from caracal_site.embedded.account import account_for
from caracal_site.embedded.directory import DataDirectory, missing_secrets
from caracal_site.embedded.errors import CannotStart
from caracal_site.embedded.installation import Addresses, establish
from caracal_site.embedded.stores import Stores, running_stores
from caracal_site.testing.installation import left_in, read

ADDRESSES = Addresses("127.0.0.1", 3000, 4000)


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataDirectory:
    """A data directory of a process that was given no URLs and no secrets."""
    for name in ("DATABASE_URL", "REDIS_URL", "API_URL", "COORDINATOR_URL"):
        monkeypatch.delenv(name, raising=False)
    for name in missing_secrets({}) or os.environ:
        monkeypatch.delenv(name, raising=False)
    directory = DataDirectory.at(tmp_path / "data")
    directory.make()
    return directory
