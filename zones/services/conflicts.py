"""Constraints of the database, told as the platform's own errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import IntegrityError

from caracal_site.database import violated
from caracal_site.errors import CaracalError


@contextmanager
def refused(constraint: str, error: type[CaracalError]) -> Iterator[None]:
    """Raises ``error`` when the block violates ``constraint``."""
    try:
        yield
    except IntegrityError as violation:
        if violated(violation) != constraint:
            raise
        raise error from violation
