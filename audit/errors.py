"""Facts about evidence."""

from __future__ import annotations

from caracal_site.errors import CaracalError, RetryLater


class RequestNotFound(CaracalError):
    """The ledger of the zone has nothing about this request."""

    code = "request_not_found"
    status = 404


class OutboxEventNotParked(CaracalError):
    """There is no such parked event; it may have been queued again already."""

    code = "outbox_event_not_parked"
    status = 409


class EventsExpired(CaracalError):
    """Events after this number are no longer kept: read the state anew, then go on
    before oldest_seq, the first that is."""

    code = "events_expired"
    status = 410

    def __init__(self, *, oldest_seq: int, last_seq: int) -> None:
        super().__init__(extra={"oldest_seq": oldest_seq, "last_seq": last_seq})


class EventsAhead(CaracalError):
    """The zone has not given this number to any event yet; last_seq is its last."""

    code = "events_ahead"
    status = 409

    def __init__(self, *, last_seq: int) -> None:
        super().__init__(extra={"last_seq": last_seq})


class TooManyWaiters(RetryLater):
    """As many requests as this process lets wait for events do; try again soon."""

    code = "too_many_waiters"
    status = 503
    retry_after_seconds = 5


class TooManyOwnWaiters(RetryLater):
    """The caller has as many requests waiting for events as one may have."""

    code = "too_many_waiters"
    status = 429
    retry_after_seconds = 5


class RetentionAboveLimit(CaracalError):
    """Decisions are not kept that long on this platform."""

    code = "retention_above_limit"
    status = 400

    def __init__(self, max_days: int) -> None:
        super().__init__(
            f"Decisions are kept for at most {max_days} days.",
            extra={"max_days": max_days},
        )


class DecisionNotQuarantined(CaracalError):
    """There is no such quarantined decision, or it was settled already."""

    code = "decision_not_quarantined"
    status = 409


class DecisionsStillUnfit(CaracalError):
    """None of these decisions can be taken into the ledger as they are."""

    code = "decisions_still_unfit"
    status = 409

    def __init__(self, reasons: list[str]) -> None:
        super().__init__(
            f"None of these decisions can be taken in: {', '.join(reasons)}.",
            extra={"reasons": reasons},
        )


class EventNotSealed(CaracalError):
    """The ledger of the zone has no sealed row with this id; a new row has its place
    within a second."""

    code = "event_not_sealed"
    status = 404


class LedgerEmpty(CaracalError):
    """Nothing has been decided in the zone yet."""

    code = "ledger_empty"
    status = 404


class LedgerBroken(CaracalError):
    """Parts of the ledger's tree are missing: verify it."""

    code = "ledger_broken"
    status = 409
