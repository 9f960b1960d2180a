"""The shape of an event, which every app's vocabulary of events follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class News:
    """One message for a stream: topic, payload, and the key that names the occurrence.

    ``producer`` decides the encoding on the wire: ``coordinator`` messages carry
    ``dedupe_key`` and publish null as the text ``null``; ``api`` messages omit nulls
    (contract: audit-and-events.md 7.1, 7.2).
    """

    topic: str
    payload: Mapping[str, Any]
    producer: str
    dedupe_key: str | None = None


@dataclass(frozen=True, kw_only=True)
class Event:
    """Something that changed, in the past tense.

    Subclasses are frozen dataclasses. ``name`` is the closed vocabulary's word,
    ``entity_type`` the contract's collection name, ``sentence`` what a person reads.
    ``news`` lists what is announced; an event without a topic announces nothing.
    """

    name: ClassVar[str]
    entity_type: ClassVar[str]
    sentence: ClassVar[str]

    zone_id: str | None
    entity_id: str

    def summary(self) -> dict[str, Any]:
        """What goes into the audit payload: names of what changed, never secrets."""
        return {}

    def news(self) -> list[News]:
        return []


@dataclass(frozen=True, kw_only=True)
class ListExported(Event):
    """Rows left as a file; ``entity_id`` is the list they are of."""

    name: ClassVar[str] = "list.exported"
    entity_type: ClassVar[str] = "exports"
    sentence: ClassVar[str] = "A list was exported."

    form: str
    asked: Mapping[str, str]

    def summary(self) -> dict[str, Any]:
        return {"format": self.form, "filters": dict(self.asked)}


@dataclass(frozen=True, kw_only=True)
class ParkedEventsRequeued(Event):
    """News that had been set aside was queued again; ``entity_id`` is the first."""

    name: ClassVar[str] = "outbox.requeued"
    entity_type: ClassVar[str] = "outbox-events"
    sentence: ClassVar[str] = "Parked events were queued for publication again."

    outbox_ids: tuple[str, ...]

    def summary(self) -> dict[str, Any]:
        return {"outbox_ids": list(self.outbox_ids)}


@dataclass(frozen=True, kw_only=True)
class AuthenticationFailed(Event):
    """Somebody presented nothing that opens this door; ``entity_id`` is the source's
    address. ``username`` is told when there is such a person, and nothing else of what
    was typed: it may be a password in the wrong place."""

    name: ClassVar[str] = "authentication.failed"
    entity_type: ClassVar[str] = "sources"
    sentence: ClassVar[str] = "Somebody failed to authenticate."

    door: str
    code: str
    username: str = ""

    def summary(self) -> dict[str, Any]:
        named = {"username": self.username} if self.username else {}
        return {
            "error": self.code,
            "door": self.door,
            "source": self.entity_id,
            **named,
        }


@dataclass(frozen=True, kw_only=True)
class SignedIn(Event):
    """A person came to the console."""

    name: ClassVar[str] = "console.signed_in"
    entity_type: ClassVar[str] = "console-users"
    sentence: ClassVar[str] = "Somebody signed in to the console."

    source: str

    def summary(self) -> dict[str, Any]:
        return {"source": self.source}


@dataclass(frozen=True, kw_only=True)
class SignedOut(SignedIn):
    """A person left the console."""

    name: ClassVar[str] = "console.signed_out"
    sentence: ClassVar[str] = "Somebody signed out of the console."


@dataclass(frozen=True, kw_only=True)
class RetentionChanged(Event):
    """How long decisions are kept was changed; ``entity_id`` is the zone or
    ``platform``."""

    name: ClassVar[str] = "audit_retention.changed"
    entity_type: ClassVar[str] = "audit-retention"
    sentence: ClassVar[str] = "The retention of decisions was changed."

    changes: Mapping[str, Any]

    def summary(self) -> dict[str, Any]:
        return {"changed_fields": sorted(self.changes), **self.changes}


@dataclass(frozen=True, kw_only=True)
class DecisionsRemoved(Event):
    """Decisions past their retention were removed; their links stay in the chain."""

    name: ClassVar[str] = "audit.decisions_removed"
    entity_type: ClassVar[str] = "audit-retention"
    sentence: ClassVar[str] = "Decisions past their retention were removed."

    removed: int
    before: str

    def summary(self) -> dict[str, Any]:
        return {"removed": self.removed, "before": self.before}


@dataclass(frozen=True, kw_only=True)
class LedgerVerified(Event):
    """Somebody had the ledger of a zone verified."""

    name: ClassVar[str] = "audit.ledger_verified"
    entity_type: ClassVar[str] = "ledgers"
    sentence: ClassVar[str] = "The ledger of decisions was verified."

    rows: int
    broken: int

    def summary(self) -> dict[str, Any]:
        return {"rows": self.rows, "faults": self.broken}


@dataclass(frozen=True, kw_only=True)
class QuarantineTaken(Event):
    """Quarantined decisions were taken in after all; ``entity_id`` is the first."""

    name: ClassVar[str] = "audit_quarantine.taken"
    entity_type: ClassVar[str] = "audit-quarantine"
    sentence: ClassVar[str] = "Quarantined decisions were taken into the ledger."

    quarantine_ids: tuple[str, ...]

    def summary(self) -> dict[str, Any]:
        return {"quarantine_ids": list(self.quarantine_ids)}


@dataclass(frozen=True, kw_only=True)
class QuarantineDismissed(QuarantineTaken):
    """Quarantined decisions were settled without being taken in."""

    name: ClassVar[str] = "audit_quarantine.dismissed"
    sentence: ClassVar[str] = "Quarantined decisions were dismissed."
