"""Counts on the pages of zones and of what lives in them."""

from __future__ import annotations

from django.db.models import (
    Count,
    IntegerField,
    OuterRef,
    QuerySet,
    Subquery,
    Sum,
    Value,
)
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce

from agents.models import Capacity
from caracal_site.console.scoped import ScopedAdmin, ScopedForm

__all__ = ["ScopedAdmin", "ScopedForm", "counted", "live_agents"]


def counted(rows: QuerySet, by: str) -> Combinable:
    """How many of ``rows`` refer to the outer row by ``by``."""
    found = rows.filter(**{by: OuterRef("pk")}).order_by().values(by)
    counts = found.annotate(number=Count("pk")).values("number")
    return Coalesce(Subquery(counts, output_field=IntegerField()), Value(0))


def live_agents() -> Combinable:
    """How many agents of the outer row, a zone or an application, are live."""
    slots = Capacity.objects.filter(scope_id=OuterRef("pk")).order_by()
    sums = slots.values("scope_id").annotate(number=Sum("live")).values("number")
    return Coalesce(Subquery(sums, output_field=IntegerField()), Value(0))
