"""An exported ledger is verified with the file and the public key alone."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from audit.ledger import offline
from audit.tests.test_ledger import as_the_owner, decide, seal
from caracal_site.ids import new_id

Lines = list[str]


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    """The file of a ledger of four rows."""
    zone_id = new_id()
    decide(zone_id, 4, request_id="a\x1fb")
    seal()
    path = tmp_path / "ledger.ndjson"
    call_command("verify_audit", zone=zone_id, export=str(path), stdout=StringIO())
    return path


def judged(path: Path) -> tuple[int, str]:
    """The offline verifier in a Python of its own, which knows nothing of Caracal."""
    key = path.with_name("ledger.ndjson.public-key.pem")
    done = subprocess.run(
        [sys.executable, offline.__file__, str(path), str(key)],
        capture_output=True,
        text=True,
        cwd=path.parent,
        env={},
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_a_file_as_it_was_written_is_intact(exported: Path) -> None:
    code, said = judged(exported)
    assert (code, "intact, 4 rows" in said) == (0, True), said


def altered(lines: Lines) -> Lines:
    return [line.replace('"deny"', '"allow"') for line in lines[:2]] + lines[2:]


def hashed_again(lines: Lines) -> Lines:
    entry = json.loads(lines[1])
    entry["record"]["decision"] = "allow"
    entry["content_sha256"] = offline.content_of(entry["record"]).hex()
    return [lines[0], json.dumps(entry) + "\n", *lines[2:]]


def without_a_row(lines: Lines) -> Lines:
    return [*lines[:2], *lines[3:]]


def cut_off(lines: Lines) -> Lines:
    return lines[:-1]


def cut_in_a_line(lines: Lines) -> Lines:
    return [*lines[:-2], lines[-2][:40]]


def swapped(lines: Lines) -> Lines:
    return [lines[0], lines[2], lines[1], *lines[3:]]


def signed_by_another(lines: Lines) -> Lines:
    head = json.loads(lines[-1])
    head["head"]["signature"] = "00" * 64
    return [*lines[:-1], json.dumps(head) + "\n"]


def made_shorter(lines: Lines) -> Lines:
    head = json.loads(lines[-1])
    head["head"]["tree_size"] = 3
    return [*lines[:-2], json.dumps(head) + "\n"]


def something_else(lines: Lines) -> Lines:
    return ["[1]\n"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            altered,
            "#1 (",
        ),
        (hashed_again, "these are not the rows that were signed"),
        (without_a_row, "#3: 1 missing before it"),
        (cut_off, "the signed head is missing"),
        (cut_in_a_line, "line 5: cannot be read"),
        (swapped, "#2: 1 missing before it"),
        (signed_by_another, "the head was not signed with this key"),
        (made_shorter, "the head was not signed with this key"),
        (something_else, "line 1: cannot be read"),
    ],
)
def test_a_file_that_was_changed_is_found_out(
    exported: Path, change: Callable[[Lines], Lines], sentence: str
) -> None:
    lines = exported.read_text().splitlines(keepends=True)
    exported.write_text("".join(change(lines)))
    code, said = judged(exported)
    assert code == 1, said
    assert sentence in said


def test_the_command_says_what_is_broken_and_fails(tmp_path: Path) -> None:
    zone_id = new_id()
    ids = decide(zone_id, 3)
    seal()
    with as_the_owner() as cursor:
        cursor.execute("DELETE FROM audit_events WHERE id = %s", [ids[1]])
    out = StringIO()
    with pytest.raises(CommandError, match="1 of 2 chains broken"):
        call_command("verify_audit", zone=zone_id, stdout=out)
    assert f"#2 event {ids[1]}: is missing" in out.getvalue()


def test_an_export_without_its_zone_is_refused() -> None:
    with pytest.raises(CommandError, match="--zone"):
        call_command("verify_audit", export="nothing")
