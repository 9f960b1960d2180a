"""Free slugs and identifiers, given out one at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar
from uuid import uuid4

from django.db import IntegrityError, models, transaction

from caracal_site import locks
from caracal_site.database import violated
from zones import rules

M = TypeVar("M", bound=models.Model)
ATTEMPTS = 3


def first_free(
    base: str, taken: models.QuerySet[M], field: str, lock: locks.LockClass, scope: str
) -> str:
    """``base``, or ``base-2`` and so on: the first that no row of ``taken`` has.

    Those who look for one in the same scope queue here until the one before them has
    committed, so that each gets another.
    """
    locks.lock(lock, scope)
    for candidates in rules.candidates(base):
        present = taken.filter(**{f"{field}__in": candidates})
        used = set(present.values_list(field, flat=True))
        for candidate in candidates:
            if candidate not in used:
                return candidate
    return f"{base}-{uuid4().hex}"


def inserted(pick: Callable[[], str], insert: Callable[[str], M], constraint: str) -> M:
    """The row ``insert`` makes under the name ``pick`` finds free.

    Another caller may give itself the very name meanwhile: then another is picked.
    """
    for last in (False,) * (ATTEMPTS - 1) + (True,):
        try:
            with transaction.atomic():
                return insert(pick())
        except IntegrityError as violation:
            if last or violated(violation) != constraint:
                raise
    raise AssertionError("unreachable")
