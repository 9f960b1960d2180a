"""Statements kept in files: each can be read, and prepared once a connection."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import settings

from caracal_site import statements

ROOT = Path(settings.BASE_DIR)
FILES = sorted(
    f"{path.relative_to(ROOT).parts[0]}/{path.relative_to(folder).with_suffix('')}"
    for folder in ROOT.glob("*/sql")
    for path in folder.glob("**/*.sql")
)


@pytest.mark.parametrize("file", FILES)
def test_a_statement_can_be_read_and_its_parameters_are_numbered(file: str) -> None:
    text = statements.load(file)
    assert text
    assert "-- include" not in text
    numbered, names = statements.numbered(text)
    assert b"%(" not in numbered
    assert len(names) == len(set(names))
    assert all(b"$%d" % place in numbered for place, _ in enumerate(names, 1))


def test_a_parameter_is_numbered_once_and_a_percent_sign_is_one() -> None:
    numbered, names = statements.numbered("SELECT %(b)s, %(a)s, %(b)s, 5 %% 2")
    assert numbered == b"SELECT $1, $2, $1, 5 % 2"
    assert names == ("b", "a")
