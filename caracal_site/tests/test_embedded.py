"""The private servers, without the rest of the platform around them."""

from __future__ import annotations

import importlib.util
import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest
import redis

from caracal_site.embedded import processes, programs
from caracal_site.embedded.account import account_for
from caracal_site.embedded.directory import SECRET_MAKERS, DataDirectory
from caracal_site.embedded.errors import CannotStart
from caracal_site.embedded.installation import Addresses, establish
from caracal_site.embedded.stores import Stores, running_stores
from caracal_site.testing.installation import left_in, read

ADDRESSES = Addresses("127.0.0.1", 3000, 4000)


OWNER, RUNTIME = "DATABASE_OWNER_URL", "DATABASE_URL"


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DataDirectory:
    """A data directory of a process that was given neither URLs nor secrets."""
    urls = ("DATABASE_URL", "REDIS_URL", "API_URL", "COORDINATOR_URL")
    for name in (*SECRET_MAKERS, *urls):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(f"{name}_FILE", raising=False)
    directory = DataDirectory.at(tmp_path / "data")
    directory.make()
    return directory


@contextmanager
def running(directory: DataDirectory, *, durable: bool = True) -> Iterator[Stores]:
    secrets = establish(directory, ADDRESSES).secrets
    with running_stores(directory, secrets, durable=durable) as stores:
        yield stores
    assert left_in(directory) == []


def ask(stores: Stores, role: str, statement: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(stores.environment[role], autocommit=True) as connection:
        cursor = connection.execute(statement.encode())
        return cursor.fetchall() if cursor.description else []


def valkey(stores: Stores) -> redis.Redis:
    return redis.Redis.from_url(stores.environment["REDIS_URL"], decode_responses=True)


def test_what_was_committed_survives_the_death_of_the_servers(
    directory: DataDirectory,
) -> None:
    with running(directory) as stores:
        ask(stores, OWNER, "CREATE TABLE t AS SELECT 1 AS kept")
        with valkey(stores) as client:
            client.set("kept", "1")
            client.execute_command("WAITAOF", 1, 0, 5000)
        for server in stores.servers:
            server.process.kill()
            server.process.wait()
    with running(directory) as stores, valkey(stores) as client:
        assert ask(stores, OWNER, "SELECT kept FROM t") == [(1,)]
        assert client.get("kept") == "1"


def test_servers_that_were_orphaned_are_replaced(directory: DataDirectory) -> None:
    with running(directory, durable=False) as orphaned:
        ask(orphaned, OWNER, "CREATE TABLE t AS SELECT 1 AS kept")
        with running(directory) as stores:
            assert not any(server.is_running() for server in orphaned.servers)
            assert ask(stores, OWNER, "SELECT kept FROM t") == [(1,)]


def test_two_installations_run_side_by_side(
    directory: DataDirectory, tmp_path: Path
) -> None:
    other = DataDirectory.at(tmp_path / "other")
    other.make()
    with running(directory) as one, running(other, durable=False) as two:
        ask(one, OWNER, "CREATE TABLE only_in_one ()")
        tables = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        assert ask(one, OWNER, tables) == [("only_in_one",)]
        assert ask(two, OWNER, tables) == []


def test_the_database_is_durable_and_listens_to_nobody_else(
    directory: DataDirectory,
) -> None:
    with running(directory) as stores:
        expected = {
            "fsync": "on",
            "full_page_writes": "on",
            "synchronous_commit": "on",
            "listen_addresses": "",
        }
        for name, value in expected.items():
            assert ask(stores, RUNTIME, f"SHOW {name}") == [(value,)]
        assert stat.S_IMODE(directory.cluster.stat().st_mode) == 0o700
        with valkey(stores) as client:
            assert client.config_get("appendonly") == {"appendonly": "yes"}
            assert client.config_get("maxmemory-policy") == {
                "maxmemory-policy": "noeviction"
            }
            assert client.config_get("port") == {"port": "0"}


def test_only_the_owner_owns_and_nobody_is_superuser(directory: DataDirectory) -> None:
    with running(directory) as stores:
        privileges = "SELECT current_user, rolsuper, rolcreatedb, rolcreaterole, %s"
        privileges %= "pg_get_userbyid(datdba) FROM pg_roles, pg_database"
        privileges += " WHERE rolname = current_user AND datname = current_database()"
        nothing = (False, False, False, "caracal_owner")
        assert ask(stores, OWNER, privileges) == [("caracal_owner", *nothing)]
        assert ask(stores, RUNTIME, privileges) == [("caracal_app", *nothing)]

        url = stores.environment[OWNER].replace("caracal_owner", "caracal_superuser")
        with pytest.raises(psycopg.OperationalError, match="authentication failed"):
            psycopg.connect(url)


def test_a_database_of_other_secrets_is_not_opened(directory: DataDirectory) -> None:
    with running(directory):
        pass
    secrets = read(directory.secrets_file)
    secrets["POSTGRES_OWNER_PASSWORD"] = "another"
    directory.write(directory.secrets_file, secrets)
    with (
        pytest.raises(CannotStart, match="was made with other passwords"),
        running(directory),
    ):
        pass
    assert left_in(directory) == []


def test_an_unfinished_database_is_made_anew(directory: DataDirectory) -> None:
    unfinished = directory.cluster.with_name("postgres.unfinished")
    unfinished.mkdir()
    (unfinished / "PG_VERSION").touch()
    with running(directory) as stores:
        assert ask(stores, RUNTIME, "SELECT 1") == [(1,)]
    assert not unfinished.exists()


def test_a_server_that_cannot_start_says_why(directory: DataDirectory) -> None:
    with running(directory):
        pass
    (directory.cluster / "pg_hba.conf").write_text("nonsense\n", encoding="ascii")
    with (
        pytest.raises(
            CannotStart, match=r"did not start: could not load .*pg_hba.conf"
        ),
        running(directory),
    ):
        pass


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another account")
def test_postgresql_runs_under_an_account_that_is_not_root(
    directory: DataDirectory,
) -> None:
    with running(directory) as stores:
        server = psutil.Process(stores.servers[0].process.pid)
        account = account_for(directory.cluster)
        assert account is not None
        assert server.uids().effective == account.uid != 0
        assert directory.cluster.stat().st_uid == account.uid


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another account")
def test_programs_are_copied_for_an_account_that_cannot_reach_them(
    tmp_path: Path,
) -> None:
    package = importlib.util.find_spec(programs.POSTGRES_PACKAGE)
    assert package is not None
    assert package.origin is not None
    copy = tmp_path / "programs"
    before = os.umask(0o077)
    try:
        programs.copy_programs(Path(package.origin).parent.parent, copy)
    finally:
        os.umask(before)
    for path in (copy, *copy.rglob("*")):
        assert path.stat().st_mode & stat.S_IROTH
    told = subprocess.run(
        [copy / programs.PROGRAMS / "postgres", "--version"],
        capture_output=True,
        check=True,
    )
    assert b" 18." in told.stdout


def test_secrets_of_the_environment_are_used_and_not_kept(
    directory: DataDirectory, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    key = tmp_path / "key"
    key.write_text("ab" * 32, encoding="ascii")
    monkeypatch.setenv("CARACAL_ADMIN_TOKEN", "cat_given")
    monkeypatch.setenv("ZONE_KEK_FILE", str(key))
    installation = establish(directory, ADDRESSES)
    assert read(directory.bootstrap_file)["admin_token"] == "cat_given"
    for given in ("CARACAL_ADMIN_TOKEN", "ZONE_KEK"):
        assert given not in read(directory.secrets_file)
        assert given not in installation.secrets
    assert installation.environment({})["CARACAL_ADMIN_TOKEN"] == "cat_given"


def test_a_key_that_was_given_once_is_not_replaced_by_a_made_one(
    directory: DataDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZONE_KEK", "ab" * 32)
    installation = establish(directory, ADDRESSES)
    installation.save_runtime({}, socket_path=directory.path)
    monkeypatch.delenv("ZONE_KEK")
    with pytest.raises(CannotStart, match="were given ZONE_KEK by the environment"):
        establish(directory, ADDRESSES)


def test_later_starts_keep_the_credentials_and_refresh_the_addresses(
    directory: DataDirectory,
) -> None:
    first = establish(directory, ADDRESSES)
    assert first.console_password
    again = establish(directory, Addresses("127.0.0.1", 3001, 4000))
    assert again.secrets == first.secrets
    assert again.console_password == first.console_password
    bootstrap = read(directory.bootstrap_file)
    assert bootstrap["api_url"] == "http://127.0.0.1:3001"

    directory.bootstrap_file.unlink()
    later = establish(directory, ADDRESSES)
    assert later.console_password is None
    assert not directory.bootstrap_file.exists()


def test_the_processes_are_not_told_how_to_become_the_owner(
    directory: DataDirectory,
) -> None:
    installation = establish(directory, ADDRESSES)
    stores = {OWNER: "postgres://owner@/x", RUNTIME: "postgres://app@/x"}
    environment = installation.environment(stores)
    assert OWNER not in environment
    assert not [name for name in environment if name.startswith("POSTGRES_")]
    assert installation.owner_environment(stores)[OWNER] == stores[OWNER]


def test_a_file_that_cannot_be_written_stays_as_it_was(
    directory: DataDirectory,
) -> None:
    file = directory.path / "state.json"
    directory.write(file, {"kept": 1})
    with pytest.raises(TypeError):
        directory.write(file, {"kept": object()})
    assert read(file) == {"kept": 1}
    assert os.listdir(directory.path) == ["state.json"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_damaged_file_is_named(directory: DataDirectory) -> None:
    directory.secrets_file.write_text("{", encoding="ascii")
    with pytest.raises(CannotStart, match=r"secrets.json is not valid JSON"):
        establish(directory, ADDRESSES)


def test_processes_of_an_installation_are_found_whatever_their_ids(
    directory: DataDirectory,
) -> None:
    environment = os.environ | {processes.MARK: str(directory.path)}
    with subprocess.Popen(["sleep", "60"], env=environment) as child:
        found = processes.supervised_in(directory.path)
        assert [process.pid for process in found] == [child.pid]
        processes.end(found, within_seconds=5)
        assert child.wait() == -signal.SIGTERM
    assert processes.supervised_in(directory.path) == []


def test_a_child_ends_with_the_process_that_started_it() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", LEASHES_A_CHILD], stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    assert processes.still_running([child], after_seconds=10) == []


LEASHES_A_CHILD = """
import signal, subprocess
from caracal_site.embedded import processes
leash = processes.leash(signal.SIGTERM)
child = subprocess.Popen(["sleep", "60"], preexec_fn=leash, stdout=subprocess.DEVNULL)
print(child.pid, flush=True)
child.wait()
"""
