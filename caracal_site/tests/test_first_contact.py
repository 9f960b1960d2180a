"""``manage.py up`` as a newcomer meets it: the real command, servers and signals."""

from __future__ import annotations

import os
import signal
import socket
import stat
from pathlib import Path

import psycopg
import pytest

from caracal_site.embedded.directory import LOCK, SECRET_MAKERS, DataDirectory
from caracal_site.testing.installation import (
    Up,
    free_ports,
    left_in,
    manage,
    read,
    up,
)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_one_command_runs_everything_until_it_is_told_to_stop(tmp_path: Path) -> None:
    # A socket's path would not fit into so long a directory.
    path = tmp_path / ("long" * 25)
    with up(path) as running:
        running.wait_until_ready()
        directory = running.directory
        for deployment in ("api", "coordinator"):
            assert running.ask(deployment, "/health")[0] == 200
            assert running.ask(deployment, "/ready")[0] == 200
        assert_counted_together(running)

        assert mode_of(path) == 0o700
        bootstrap = read(directory.bootstrap_file)
        assert set(bootstrap) == {
            "api_url",
            "coordinator_url",
            "admin_token",
            "operator_token",
            "console_username",
            "console_password",
        }
        secrets = read(directory.secrets_file)
        assert set(secrets) == set(SECRET_MAKERS)
        files = (directory.bootstrap_file, directory.secrets_file)
        for file in (*files, directory.runtime_file):
            assert mode_of(file) == 0o600
        assert str(directory.bootstrap_file) in running.output
        for value in (*secrets.values(), bootstrap["console_password"]):
            assert value not in running.output

        second = manage("up", "--data-dir", path)
        assert second.returncode == 1
        assert second.stderr.startswith(f"Caracal is already running in {path}")

        rows = manage("shell", "--data-dir", path, "-v0", "-c", COUNT_MIGRATIONS)
        assert rows.stdout.strip().isdecimal(), rows.stderr
        assert_evidence_is_safe_from_the_runtime_role(directory)

        assert running.stop() == 0
        assert running.output.count("\nready ") == 1
        assert "Traceback" not in running.output
        assert left_in(directory) == []


def assert_counted_together(running: Up) -> None:
    """Whichever process of the API answers, it tells what all have counted."""
    told = [int(before_any_answer(running)) for _ in range(12)]
    assert told == list(range(told[0], told[0] + 12))


def before_any_answer(running: Up) -> float:
    bearer = read(running.directory.secrets_file)["METRICS_BEARER"]
    _, text = running.ask("api", "/metrics", bearer)
    name = "django_http_requests_before_middlewares_total"
    [line] = [line for line in text.splitlines() if line.startswith(f"{name} ")]
    return float(line.split()[1])


COUNT_MIGRATIONS = (
    "from django.db.migrations.recorder import MigrationRecorder as R;"
    "print(R.Migration.objects.count())"
)


def assert_evidence_is_safe_from_the_runtime_role(directory: DataDirectory) -> None:
    url = read(directory.runtime_file)["environment"]["DATABASE_URL"]
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in (
            "DELETE FROM audit_events",
            "TRUNCATE audit_events",
            "UPDATE admin_audit_events SET action = 'forged'",
            "ALTER TABLE audit_events DISABLE TRIGGER ALL",
            "CREATE TABLE mine (id int)",
            "SET ROLE caracal_owner",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


def test_it_starts_again_whatever_was_killed(tmp_path: Path) -> None:
    path = tmp_path / "data"
    with up(path) as first:
        first.wait_until_ready()
        credentials = read(first.directory.bootstrap_file)
        first.kill_everything()
    with up(path) as second:
        second.wait_until_ready()
        second.process.kill()
        second.process.wait()
        # Its processes may still be about to end.
        with up(path) as third:
            third.wait_until_ready()
            kept = ("admin_token", "operator_token", "console_password")
            now = read(third.directory.bootstrap_file)
            assert [now[name] for name in kept] == [credentials[name] for name in kept]
            assert_the_database_is_missed(third)


def assert_the_database_is_missed(running: Up) -> None:
    pid = (running.directory.cluster / "postmaster.pid").read_text().split()[0]
    os.kill(int(pid), signal.SIGKILL)
    assert running.wait_for_end() == 1
    last = running.output.splitlines()[-1]
    assert last.startswith("PostgreSQL was killed by SIGKILL")
    assert left_in(running.directory) == []


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_it_runs_and_stops_when_nobody_reads_its_output_any_more(
    tmp_path: Path, signum: signal.Signals
) -> None:
    with up(tmp_path / "data") as running:
        running.read_first_line_only()
        running.wait_until_it_answers()
        assert running.stop_unheard(signum) == 0
        assert left_in(running.directory) == []


def test_when_one_process_ends_all_are_stopped_and_it_is_named(tmp_path: Path) -> None:
    with up(tmp_path / "data") as running:
        running.wait_until_ready()
        # The parent of the process that serves: its child is left without it.
        running.application("granian").kill()
        assert running.wait_for_end() == 1
        assert running.output.endswith(
            "The api process was killed by SIGKILL. Everything was stopped.\n"
        )
        assert left_in(running.directory) == []


def assert_refused(path: Path, sentence: str, *arguments: str) -> None:
    ports = map(str, free_ports(2))
    options = [f"--api-port={next(ports)}", f"--coordinator-port={next(ports)}"]
    done = manage("up", "--data-dir", path, *options, *arguments)
    assert done.returncode == 1
    assert done.stderr == f"{sentence}\n"
    assert left_in(DataDirectory.at(path)) == []


def test_a_taken_port_is_named_before_anything_starts(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert_refused(
            tmp_path / "data",
            f"Cannot listen on 127.0.0.1 port {port}: address already in use; stop "
            "what uses it, or choose another with --coordinator-port.",
            f"--coordinator-port={port}",
        )
    assert not (tmp_path / "data" / "secrets.json").exists()


def test_a_data_directory_that_is_a_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    assert_refused(path, f"Cannot use the data directory {path}: file exists.")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_data_directory_that_may_not_be_made_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    path = tmp_path / "data"
    assert_refused(path, f"Cannot use the data directory {path}: permission denied.")


def test_other_peoples_files_are_left_alone(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    (tmp_path / "thesis.txt").touch()
    assert_refused(
        tmp_path,
        f"{tmp_path} holds files that are not Caracal's: choose a new or empty "
        "directory with --data-dir.",
    )
    assert mode_of(tmp_path) == 0o755


def test_lost_secrets_are_not_replaced_under_an_existing_database(
    tmp_path: Path,
) -> None:
    (tmp_path / LOCK).touch()
    (tmp_path / "postgres").mkdir()
    assert_refused(
        tmp_path,
        f"{tmp_path}/secrets.json is missing, and without it the database beside it "
        "cannot be opened: put the file back, or choose another --data-dir.",
    )


def test_a_redis_that_does_not_answer_is_named(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    done = manage(
        "up", "--data-dir", tmp_path / "data", REDIS_URL=f"redis://127.0.0.1:{port}/0"
    )
    assert done.returncode == 1
    assert "REDIS_URL cannot be used: " in done.stderr
    assert "Traceback" not in done.stderr
