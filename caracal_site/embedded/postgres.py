"""A private PostgreSQL: made, started on a Unix socket of its own, found when orphaned.

Nobody can log in as its superuser. ``caracal_owner`` owns the database and changes
its schema; ``caracal_app`` is what the processes connect as. The server listens on
nothing but a socket inside its own 0700 directory, and asks for passwords there.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import psycopg

from caracal_site.embedded import processes
from caracal_site.embedded.account import Account, account_for
from caracal_site.embedded.errors import (
    CannotStart,
    disk_is_full,
    while_trying_to,
)
from caracal_site.embedded.programs import POSTGRES_MAJOR, postgres_programs
from caracal_site.embedded.server import Server, ServerLog

DATABASE = "caracal"
OWNER, RUNTIME = "caracal_owner", "caracal_app"
HBA = "local all all scram-sha-256\n"
# Left behind by a crash, and misread when another process has got the old id.
LOCKS = ("postmaster.pid", ".s.PGSQL.5432.lock", ".s.PGSQL.5432")
# Nothing of the operator's environment, secrets among it, reaches the server.
ENVIRONMENT = {"LC_ALL": "C", "PATH": "/usr/bin:/bin"}

SETTINGS = {
    "listen_addresses": "",
    "unix_socket_directories": ".",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    # A small machine that it shares with the processes it serves.
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "work_mem": "8MB",
    "maintenance_work_mem": "64MB",
    "random_page_cost": "1.1",
    "jit": "off",
    "update_process_title": "off",
    # Nobody replicates from here.
    "wal_level": "minimal",
    "max_wal_senders": "0",
    # Full-page images follow each checkpoint: few checkpoints, less to write. The
    # wheel has no lz4, and compressing them with pglz would cost the scarce CPU.
    "max_wal_size": "2GB",
    "min_wal_size": "256MB",
    "checkpoint_timeout": "15min",
    # Outbox, sessions and receipts turn over completely within minutes.
    "autovacuum_naptime": "15s",
    "autovacuum_vacuum_scale_factor": "0.05",
    "autovacuum_vacuum_insert_scale_factor": "0.1",
    "autovacuum_analyze_scale_factor": "0.05",
    "autovacuum_vacuum_cost_limit": "1000",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    # Statements and the details of errors carry values, secrets among them.
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
}
DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
THROW_AWAY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


@dataclass(frozen=True)
class Passwords:
    """The passwords of the two roles that can log in."""

    owner: str
    runtime: str


def url(socket_directory: Path, role: str, password: str) -> str:
    """Where ``role`` finds the database, for Django and for libpq alike."""
    host = quote(str(socket_directory), safe="")
    return f"postgres://{role}:{quote(password, safe='')}@/{DATABASE}?host={host}"


def start(
    cluster: Path,
    *,
    socket_directory: Path,
    passwords: Passwords,
    log: Path,
    durable: bool = True,
) -> Server:
    """A server on ``cluster``, which is made if it is not there, that takes logins.

    ``socket_directory`` is the cluster's directory under a name short enough for
    clients. The caller holds the data directory, so a server that still runs on the
    cluster is an orphan.
    """
    with while_trying_to(f"use the database in {cluster}"):
        account = account_for(cluster)
        programs = postgres_programs(account)
        _stop_orphan(cluster)
        if not (cluster / "PG_VERSION").exists():
            _make(cluster, programs, account, passwords, durable=durable)
        _check_version(cluster)
        _give(cluster, account)
        for name in LOCKS:
            (cluster / name).unlink(missing_ok=True)
        server_log = ServerLog.opened(log)
        process = _launch(cluster, programs, account, server_log, durable=durable)
    server = Server(
        name="PostgreSQL",
        process=process,
        log=server_log,
        stop_steps=(
            # Fast shutdown; then immediate, which the next start recovers from.
            (signal.SIGINT, 3.0),
            (signal.SIGQUIT, 1.0),
            (signal.SIGKILL, 1.0),
        ),
    )
    try:
        address = url(socket_directory, OWNER, passwords.owner)
        server.wait_until(lambda: _takes_login(address, cluster))
    except BaseException:
        server.stop()
        raise
    return server


def _takes_login(address: str, cluster: Path) -> bool:
    try:
        psycopg.connect(address, connect_timeout=5).close()
    except psycopg.OperationalError as error:
        if "password authentication failed" in str(error):
            raise CannotStart(
                f"The database in {cluster} was made with other passwords than those "
                f"in {cluster.parent / 'secrets.json'}: put the original file back."
            ) from error
        return False
    return True


def process_mark(cluster: Path) -> str:
    """Marks every process of this cluster's server, whose titles all contain it."""
    return f"caracal-{hashlib.sha256(os.fsencode(cluster)).hexdigest()[:16]}"


def _stop_orphan(cluster: Path) -> None:
    """Ends what a killed supervisor left running: the server, then its workers."""
    left = processes.with_argument(process_mark(cluster))
    servers = [process for process in left if _is_postmaster(process)]
    for signum, seconds in ((signal.SIGINT, 10.0), (signal.SIGKILL, 5.0)):
        for server in servers:
            processes.send(server, signum)
        servers = processes.still_running(servers, after_seconds=seconds)
    # Its workers notice within moments, unless they wait for a client.
    stuck = processes.still_running(left, after_seconds=5)
    processes.end(stuck, within_seconds=5)


def _is_postmaster(process: psutil.Process) -> bool:
    try:
        return any(a.startswith("cluster_name=") for a in process.cmdline())
    except psutil.Error:
        return False


def _make(
    cluster: Path,
    programs: Path,
    account: Account | None,
    passwords: Passwords,
    *,
    durable: bool,
) -> None:
    """Makes the cluster under another name first: one that is there is complete."""
    if cluster.exists():
        raise CannotStart(
            f"{cluster} holds something that is no PostgreSQL database: move it away."
        )
    unfinished = cluster.with_name(f"{cluster.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    _give(unfinished, account)
    initdb = ["--username=caracal_superuser", "--auth=reject", "--no-instructions"]
    initdb += ["--encoding=UTF8", "--locale=C"]
    initdb += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    # Left as it is for the disk to be looked at; removed here.
    initdb += ["--no-clean"] if durable else ["--no-clean", "--no-sync"]
    single = ["--single", "-c", "exit_on_error=on", "-c", "log_min_messages=error"]
    sql = _initial_sql(passwords, may_create_databases=not durable)
    with _path_for(unfinished, account) as (path, options):
        try:
            _run([programs / "initdb", "-D", path, *initdb], "", options)
            _run([programs / "postgres", *single, "-D", path, "postgres"], sql, options)
        except CannotStart as error:
            is_full = disk_is_full(cluster.parent)
            shutil.rmtree(unfinished, ignore_errors=True)
            if is_full:
                raise CannotStart(f"The disk of {cluster.parent} is full.") from error
            raise
    with (unfinished / "pg_hba.conf").open("w", encoding="ascii") as file:
        file.write(HBA)
        file.flush()
        os.fsync(file.fileno())
    unfinished.rename(cluster)


def _initial_sql(passwords: Passwords, *, may_create_databases: bool) -> str:
    """Run as superuser, for the only time; one statement a line."""
    create = "CREATEDB" if may_create_databases else "NOCREATEDB"
    statements = (
        f"CREATE ROLE {OWNER} LOGIN {create} PASSWORD '{passwords.owner}'",
        f"CREATE ROLE {RUNTIME} LOGIN PASSWORD '{passwords.runtime}'",
        f"CREATE DATABASE {DATABASE} OWNER {OWNER}",
        f"REVOKE ALL ON DATABASE {DATABASE} FROM PUBLIC",
        f"GRANT CONNECT ON DATABASE {DATABASE} TO {RUNTIME}",
    )
    return "".join(f"{statement};\n" for statement in statements)


def _run(command: Sequence[str | Path], stdin: str, options: dict[str, Any]) -> None:
    ran = subprocess.run(
        command, input=stdin, capture_output=True, text=True, check=False, **options
    )
    if ran.returncode != 0:
        lines = [line for line in ran.stderr.splitlines() if line.strip()]
        errors = [line for line in lines if "error:" in line or "FATAL:" in line]
        message = (errors or lines or ["it gives no reason"])[0]
        name = Path(command[0]).name
        raise CannotStart(f"The database could not be made: {name}: {message.strip()}.")


def _check_version(cluster: Path) -> None:
    version = (cluster / "PG_VERSION").read_text(encoding="ascii").strip()
    if version != str(POSTGRES_MAJOR):
        raise CannotStart(
            f"The database in {cluster} is one of PostgreSQL {version} and this is "
            f"PostgreSQL {POSTGRES_MAJOR}: upgrade it with pg_upgrade first."
        )


def _launch(
    cluster: Path,
    programs: Path,
    account: Account | None,
    log: ServerLog,
    *,
    durable: bool,
) -> subprocess.Popen[bytes]:
    settings = SETTINGS | (DURABLE if durable else THROW_AWAY)
    settings["cluster_name"] = process_mark(cluster)
    arguments = [f"-c{name}={value}" for name, value in settings.items()]
    with _path_for(cluster, account) as (path, options), log.path.open("ab") as output:
        return subprocess.Popen(
            [programs / "postgres", "-D", path, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            preexec_fn=processes.leash(signal.SIGINT),
            **options,
        )


@contextmanager
def _path_for(
    directory: Path, account: Account | None
) -> Iterator[tuple[str, dict[str, Any]]]:
    """A name of ``directory`` for programs of ``account``, and how to run those.

    The account may enter its own directory, but perhaps none of those above it. So
    on Linux the programs inherit the directory opened, and name it through /proc,
    where no permission is asked for on the way.
    """
    options: dict[str, Any] = {
        "cwd": "/",
        "env": ENVIRONMENT,
        "start_new_session": True,
    }
    if account is None:
        yield str(directory), options
    elif sys.platform != "linux":
        yield str(directory), options | account.identity()
    else:
        opened = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            options |= {"pass_fds": (opened,)} | account.identity()
            yield f"/proc/self/fd/{opened}", options
        finally:
            os.close(opened)


def _give(directory: Path, account: Account | None) -> None:
    """Makes ``account`` the owner of a cluster that belongs to somebody else."""
    if account is None or directory.stat().st_uid == account.uid:
        return
    for parent, _, names in os.walk(directory):
        for path in (parent, *(os.path.join(parent, name) for name in names)):
            os.chown(path, account.uid, account.gid, follow_symlinks=False)
