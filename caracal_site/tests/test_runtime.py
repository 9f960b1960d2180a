"""How a command finds the installation that runs beside it."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from caracal_site import runtime

NAMES = ("DATABASE_URL", "DATABASE_OWNER_URL", "REDIS_URL", "ZONE_KEK", "API_URL")


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What ``up`` left behind, for a process that was given nothing."""
    for name in (*NAMES, "CARACAL_DATA_DIR", "CARACAL_RUNTIME_ROLE"):
        # Set first, so that what a test adds is taken away again.
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)
    monkeypatch.setenv("DB_STATEMENT_TIMEOUT_MS", "10000")
    (tmp_path / "secrets.json").write_text(
        json.dumps({"ZONE_KEK": "stored", "POSTGRES_OWNER_PASSWORD": "p"})
    )
    environment = {
        "DATABASE_URL": "postgres://caracal_app:p@/caracal",
        "DATABASE_OWNER_URL": "postgres://caracal_owner:p@/caracal",
        "API_URL": "http://127.0.0.1:3000",
    }
    (tmp_path / "runtime.json").write_text(json.dumps({"environment": environment}))
    return tmp_path


def test_a_command_takes_over_what_it_was_not_given(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("API_URL", "https://elsewhere.example")
    arguments = ["manage.py", "shell", "--data-dir", str(directory), "-c", "pass"]
    assert runtime.attach(arguments) == ["manage.py", "shell", "-c", "pass"]
    assert os.environ["DATABASE_URL"] == "postgres://caracal_app:p@/caracal"
    assert os.environ["ZONE_KEK"] == "stored"
    assert os.environ["API_URL"] == "https://elsewhere.example"
    assert "POSTGRES_OWNER_PASSWORD" not in os.environ


def test_a_url_may_be_given_as_a_file(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = directory / "url"
    file.write_text("postgres://elsewhere/caracal\n")
    monkeypatch.setenv("DATABASE_URL_FILE", str(file))
    runtime.attach(["manage.py", "shell", "--data-dir", str(directory)])
    assert os.environ["DATABASE_URL"] == "postgres://elsewhere/caracal"
    assert "ZONE_KEK" not in os.environ


def test_a_command_with_a_database_of_its_own_takes_over_nothing(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://elsewhere/caracal")
    runtime.attach(["manage.py", "shell", f"--data-dir={directory}"])
    assert os.environ["DATABASE_URL"] == "postgres://elsewhere/caracal"
    assert "ZONE_KEK" not in os.environ


@pytest.mark.parametrize("command", sorted(runtime.OWNER_COMMANDS))
def test_the_schema_is_changed_as_its_owner(directory: Path, command: str) -> None:
    runtime.attach(["manage.py", command, "--data-dir", str(directory)])
    assert os.environ["DATABASE_URL"] == "postgres://caracal_owner:p@/caracal"
    assert os.environ["CARACAL_RUNTIME_ROLE"] == "caracal_app"
    assert os.environ["DB_STATEMENT_TIMEOUT_MS"] == "0"


@pytest.mark.parametrize("command", sorted(runtime.SELF_SUFFICIENT))
def test_commands_that_start_their_own_servers_join_no_other(
    directory: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("CARACAL_DATA_DIR", str(directory))
    runtime.attach(["manage.py", command])
    assert "DATABASE_URL" not in os.environ


def test_everything_after_test_is_left_to_pytest(directory: Path) -> None:
    arguments = ["manage.py", "test", "--data-dir", str(directory), "-x"]
    assert runtime.attach(arguments) == arguments
    assert "CARACAL_DATA_DIR" not in os.environ


def test_without_an_installation_nothing_is_taken_over(tmp_path: Path) -> None:
    assert runtime.load_runtime_environment(tmp_path) is False
