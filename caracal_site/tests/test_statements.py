"""Statements kept in files: each can be read, and prepared once a connection."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.conf import settings
from psycopg._queries import MAX_CACHED_STATEMENT_LENGTH

from caracal_site import statements

FILES = sorted(Path(settings.BASE_DIR).glob("*/sql/*.sql"))


@pytest.mark.parametrize(
    "file", FILES, ids=lambda file: f"{file.parts[-3]}/{file.stem}"
)
def test_a_statement_is_short_enough_for_the_driver_to_remember(file: Path) -> None:
    text = statements.load(f"{file.parts[-3]}/{file.stem}")
    assert "-- include" not in text
    assert 0 < len(text.encode()) <= MAX_CACHED_STATEMENT_LENGTH
