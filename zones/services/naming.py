"""Free slugs and identifiers, given out one at a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar
from uuid import uuid4

from django.contrib.postgres.fields import ArrayField
from django.db import IntegrityError, models, transaction
from django.db.models import F, Func, Value

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
    committed, so that each gets another. One query, by the unique index of ``field``.
    """
    locks.lock(lock, scope)
    wanted = rules.candidates(base)
    used = set(taken.filter(_is_any(field, wanted)).values_list(field, flat=True))
    free = (candidate for candidate in wanted if candidate not in used)
    return next(free, f"{base}-{uuid4().hex}")


def _is_any(field: str, wanted: list[str]) -> Func:
    """``field = ANY (wanted)``: one parameter, however many are wanted."""
    return Func(
        F(field),
        Value(wanted, output_field=ArrayField(models.TextField())),
        template="%(expressions)s)",
        arg_joiner=" = ANY (",
        output_field=models.BooleanField(),
    )


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
