"""Refused attempts of known callers to change something, recorded on their own.

Anonymous requests leave no rows: they are counted and logged (D23).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from django.db import transaction

from audit.events import Event
from audit.record import record as record_event
from caracal_site import context
from caracal_site.actors import Actor
from caracal_site.errors import CaracalError


@dataclass(frozen=True, kw_only=True)
class Refused(Event):
    """A known caller was refused."""

    name: ClassVar[str] = "request.refused"
    entity_type: ClassVar[str] = "requests"
    sentence: ClassVar[str] = "A request was refused."

    code: str

    def summary(self) -> dict[str, Any]:
        return {"error": self.code}


@transaction.atomic
def record(actor: Actor, error: CaracalError, *, zone_id: str | None) -> None:
    """Leaves one audit row about the refusal, in a transaction of its own."""
    request = context.current()
    context.activate(replace(request, status=error.status))
    record_event(
        actor, Refused(zone_id=zone_id, entity_id=request.request_id, code=error.code)
    )
