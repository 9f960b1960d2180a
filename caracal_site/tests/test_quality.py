"""What the project asks of its own code, each demand as one test."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import call_command

from caracal_site.checks import HEX_KEYS

APPS = ("zones", "policies", "agents", "delegations", "audit", "tokens")
INIT = "__init__.py"
INTERFACES = (
    "api",
    "admin",
    "tasks",
    "coordinator",
    "flat_calls",
    "oauth_calls",
    "step_up_calls",
)
PROJECT_CONFIGURATION = settings.BASE_DIR / "pyproject.toml"
# What production must have; the values are as good as an operator's own.
PRODUCTION = {
    **{name: hashlib.sha256(name.encode()).hexdigest() for name in HEX_KEYS},
    "CARACAL_MODE": "stable",
    "API_URL": "https://api.example.com",
    "COORDINATOR_URL": "https://coordinator.example.com",
    "ALLOWED_HOSTS": "api.example.com,coordinator.example.com",
    "SECURE_HSTS_SECONDS": "31536000",
}
# Spelled apart, so that this file does not speak of them itself.
UNFINISHED = re.compile("|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X")))
MACHINE_PATH = re.compile(
    r"""(?<![\w.:/~}*-])/(?:home|root|Users|work|workspace|mnt|tmp)/[\w.-]"""
)
TEXT_SUFFIXES = frozenset(
    {
        ".py",
        ".sql",
        ".md",
        ".toml",
        ".txt",
        ".html",
        ".css",
        ".js",
        ".json",
        ".rego",
        ".yaml",
    }
)


def run(tool: str, *arguments: str, **environment: str) -> None:
    """Runs a tool of this environment on the project; its complaints fail the test."""
    done = subprocess.run(
        [shutil.which(tool, path=Path(sys.executable).parent) or tool, *arguments],
        cwd=settings.BASE_DIR,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.fail(f"{tool} {' '.join(arguments)}\n{done.stdout}", pytrace=False)


def project_files() -> Iterator[Path]:
    """Every text file of the project: what git tracks or would, else what is there."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        check=False,
    )
    names = listed.stdout.splitlines() or [
        str(path.relative_to(settings.BASE_DIR))
        for root in (*APPS, "caracal_site", "docs")
        for path in (settings.BASE_DIR / root).rglob("*")
    ]
    for name in names:
        path = settings.BASE_DIR / name
        if path.suffix in TEXT_SUFFIXES and path.is_file():
            yield path


def lines_with(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path.relative_to(settings.BASE_DIR)}:{number}: {line.strip()}"
        for path in project_files()
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if pattern.search(line)
    ]


def test_ruff_finds_nothing() -> None:
    run("ruff", "check", "--output-format=concise", "--quiet", ".")


def test_code_is_formatted() -> None:
    run("ruff", "format", "--check", "--quiet", ".")


def test_types_hold() -> None:
    run("mypy", "--no-error-summary")


def test_modules_import_only_what_they_may() -> None:
    run("lint-imports", "--no-logo")


def test_import_contracts_name_every_interface_there_is() -> None:
    contracts = tomllib.loads(PROJECT_CONFIGURATION.read_text(encoding="utf-8"))
    protected = {
        module
        for contract in contracts["tool"]["importlinter"]["contracts"]
        for module in contract.get("protected_modules", ())
    }
    assert protected == {
        ".".join(folder.relative_to(settings.BASE_DIR).parts) + f".{interface}"
        for app in APPS
        for folder in {init.parent for init in (settings.BASE_DIR / app).rglob(INIT)}
        for interface in INTERFACES
        if (folder / interface).is_dir() or (folder / f"{interface}.py").is_file()
    }


def test_migrations_are_complete() -> None:
    told = StringIO()
    try:
        call_command(
            "makemigrations", check=True, dry_run=True, stdout=told, stderr=told
        )
    except SystemExit:
        pytest.fail(told.getvalue(), pytrace=False)


def test_production_settings_pass_the_deployment_checks() -> None:
    arguments = ("manage.py", "check", "--deploy", "--fail-level=WARNING")
    run("python", *arguments, **PRODUCTION)


def test_nothing_is_left_unfinished() -> None:
    assert lines_with(UNFINISHED) == []


def test_no_file_names_a_path_of_the_machine_it_was_written_on() -> None:
    assert lines_with(MACHINE_PATH) == []
