"""Facts about evidence."""

from __future__ import annotations

from caracal_site.errors import CaracalError


class RequestNotFound(CaracalError):
    """The ledger of the zone has nothing about this request."""

    code = "request_not_found"
    status = 404


class OutboxEventNotParked(CaracalError):
    """There is no such parked event; it may have been queued again already."""

    code = "outbox_event_not_parked"
    status = 409
