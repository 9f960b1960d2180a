"""Refused requests of known callers, recorded on their own.

Anonymous requests leave no rows here: they are counted and logged (D23).
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

REQUESTS = "requests"


@dataclass(frozen=True, kw_only=True)
class Refused(Event):
    """A known caller was refused; the row is about what it wanted to touch, or about
    the request itself."""

    name: ClassVar[str] = "request.refused"
    entity_type: str = REQUESTS  # type: ignore[misc]  # of the route, not of the class
    sentence: ClassVar[str] = "A request was refused."

    code: str

    def summary(self) -> dict[str, Any]:
        return {"error": self.code}


@transaction.atomic
def record(
    actor: Actor,
    error: CaracalError,
    *,
    zone_id: str | None,
    entity: tuple[str, str] | None = None,
) -> None:
    """Leaves one audit row about the refusal, in a transaction of its own. ``entity``
    is the type and id of what the request named, whether or not there is such."""
    request = context.current()
    context.activate(replace(request, status=error.status))
    kind, entity_id = entity or (REQUESTS, request.request_id)
    event = Refused(
        zone_id=zone_id, entity_type=kind, entity_id=entity_id, code=error.code
    )
    record_event(actor, event)
