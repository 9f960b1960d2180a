"""The way into the ledger for other producers of decisions: a Redis stream.

A message is acknowledged only after its row, or the quarantine's, is committed, so it
may be read twice and is taken once, by its id. What is not signed, no decision, of an
unknown zone or another text under a known id goes to the quarantine, where people see
it, and to the stream of dead letters. An outage only delays.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import redis
from django.conf import settings
from django.db import DataError, transaction

from audit import trimming
from audit.consuming import Group
from audit.ledger import wire
from audit.models import AuditQuarantine
from caracal_site import locks, statements
from caracal_site.jobs import Outcome
from caracal_site.locks import LockClass

STREAM = "caracal.audit.events"
DEAD_STREAM = "caracal.audit.events.dlq"
DEAD_KEPT = 100_000
GROUP = "audit-ingestor"
# One run at a time reads for the platform, so what it left half done is its own.
CONSUMER = "caracal"
BATCH = 500
RUN_SECONDS = 20.0
KEPT_DATA = 65_536
INGEST = "audit ingest"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Message:
    """An entry of the stream."""

    source_id: str
    fields: dict[str, str]

    @property
    def data(self) -> str:
        return self.fields.get("data", "")

    @property
    def signature(self) -> str:
        return self.fields.get("sig", "")


@dataclass(frozen=True, slots=True)
class Refused:
    """A message the ledger does not take."""

    message: Message
    reason: str
    detail: str = ""
    row: dict[str, Any] | None = None


def ingest(client: redis.Redis, *, seconds: float = RUN_SECONDS) -> Outcome:
    """Takes what is in the stream, for ``seconds`` at most. Raises RedisError."""
    until = time.monotonic() + seconds
    handled = quarantined = 0
    with locks.held(LockClass.JOB, INGEST) as is_mine:
        if not is_mine:
            return Outcome()
        group = Group(STREAM, GROUP, CONSUMER, BATCH)
        for entries in group.batches(client, until):
            messages = [Message(entry.source_id, entry.fields) for entry in entries]
            quarantined += _take(client, messages)
            handled += len(messages)
        if handled:
            trimming.trim_behind(client, STREAM, trimming.readers(client, STREAM))
    error = f"{quarantined} decisions went to the quarantine" if quarantined else ""
    return Outcome(handled, error=error)


def _take(client: redis.Redis, messages: Sequence[Message]) -> int:
    """Commits, then acknowledges. Returns how many went to the quarantine."""
    rows, refused = judged(messages)
    refused += stored(rows)
    _quarantine(refused)
    pipeline = client.pipeline(transaction=False)
    for one in refused:
        pipeline.xadd(
            DEAD_STREAM, _dead_letter(one), maxlen=DEAD_KEPT, approximate=True
        )
    pipeline.xack(STREAM, GROUP, *(one.source_id for one in messages))
    pipeline.execute()
    return len(refused)


def judged(
    messages: Sequence[Message],
) -> tuple[list[tuple[Message, dict[str, Any]]], list[Refused]]:
    """Which of ``messages`` are decisions that somebody known has signed."""
    keys = [bytes.fromhex(key) for key in settings.AUDIT_INGEST_HMAC_KEYS]
    now = datetime.now(UTC)
    oldest = now - timedelta(days=settings.AUDIT_RETENTION_DAYS)
    fit: list[tuple[Message, dict[str, Any]]] = []
    refused: list[Refused] = []
    for message in messages:
        data = message.data.encode(errors="replace")
        if "data" not in message.fields:
            refused.append(Refused(message, "missing_data_field"))
        elif not wire.verify(data, message.signature, keys):
            refused.append(Refused(message, "hmac_verify_failed"))
        else:
            try:
                fit.append((message, wire.decision(data, now, oldest)))
            except wire.Unfit as fault:
                refused.append(Refused(message, fault.reason, fault.detail))
    return fit, refused


def stored(rows: Sequence[tuple[Message, dict[str, Any]]]) -> list[Refused]:
    """Adds the rows; returns those that could not be."""
    if not rows:
        return []
    # What comes first under an id is its decision; what follows has to say the same.
    first: dict[str, dict[str, Any]] = {}
    for _, row in rows:
        first.setdefault(row["id"], row)
    try:
        with transaction.atomic():
            added = _insert(list(first.values()))
    except DataError as error:
        if len(rows) == 1:
            detail = str(error).strip().partition("\n")[0]
            return [Refused(rows[0][0], "pg_permanent_error", detail, rows[0][1])]
        return [one for each in rows for one in stored([each])]
    return _conflicting(
        [
            (message, row)
            for message, row in rows
            if not (row["id"] in added and first[row["id"]] is row)
        ]
    )


def _insert(rows: Sequence[dict[str, Any]]) -> set[str]:
    text = orjson.dumps(rows).decode()
    found = statements.fetch_all("audit/ledger_ingest", {"rows": text})
    return {str(id_) for (id_,) in found}


def _conflicting(rows: Sequence[tuple[Message, dict[str, Any]]]) -> list[Refused]:
    """Those of ``rows`` that are not in the ledger as they are."""
    refused = []
    for message, row in rows:
        text = orjson.dumps([row]).decode()
        _, is_same = statements.fetch_one("audit/ledger_same", {"rows": text})
        if is_same is None:
            refused.append(Refused(message, "unknown_zone", row["zone_id"], row))
        elif not is_same:
            log.error("another text under a known id", extra={"event_id": row["id"]})
            refused.append(Refused(message, "tamper_on_replay", "", row))
    return refused


def _quarantine(refused: Sequence[Refused]) -> None:
    if not refused:
        return
    AuditQuarantine.objects.bulk_create(
        [
            AuditQuarantine(
                source_id=one.message.source_id,
                reason=one.reason,
                detail=one.detail.replace("\0", "")[:500],
                event_id=one.row["id"] if one.row else None,
                zone_id=one.row["zone_id"] if one.row else None,
                data=one.message.data.replace("\0", "")[:KEPT_DATA],
                signature=one.message.signature.replace("\0", "")[:128],
            )
            for one in refused
        ],
        ignore_conflicts=True,
    )


def _dead_letter(one: Refused) -> dict[Any, Any]:
    reason = f"{one.reason}:{one.detail}" if one.detail else one.reason
    source = {f"src_{name}": value for name, value in one.message.fields.items()}
    return {
        **source,
        "reason": reason,
        "src_id": one.message.source_id,
        "received_at": str(int(time.time() * 1000)),
    }
