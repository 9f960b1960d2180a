"""What the story left behind: rows of the audit trail, and signed events."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from django.conf import settings

from audit import seals, streams, verify
from audit.models import AdminAuditEvent, AuditEvent, OutboxEvent
from caracal_site.demo.calling import Change
from caracal_site.demo.narration import Narrator
from caracal_site.stores import redis_client

PATIENCE_SECONDS = 20.0
LOOK_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Entry:
    """A stream's entry as a consumer reads it."""

    stream: str
    fields: Mapping[str, str]

    @property
    def seq(self) -> int:
        return int(self.fields[streams.ZONE_SEQ])


def now_in_redis() -> int:
    """The stream server's time in milliseconds, with which entry ids begin."""
    seconds, microseconds = redis_client().time()
    return int(seconds) * 1000 + int(microseconds) // 1000


def show_audit(
    narrator: Narrator, changes: Sequence[Change], decisions: Sequence[Change]
) -> None:
    """Every change, refused ones too, in the trail exactly once, sealed."""
    narrator.begin(
        "The audit trail",
        "Each request that changed something, or was refused to, left one row in the "
        "same transaction; a moment later the row is sealed into its zone's chain.",
    )
    ids = [change.request_id for change in changes]
    rows = AdminAuditEvent.objects.filter(request_id__in=ids).order_by("position")
    _wait_for(lambda: not rows.unsealed().exists())
    found = list(rows)
    by_request = {id_: [r for r in found if r.request_id == id_] for id_ in ids}
    narrator.table(
        [
            (
                f"#{row.chain_seq}",
                str(row.payload_json and row.payload_json["event"]),
                row.action,
                str(row.status_code),
                str(row.actor_name),
            )
            for row in found
        ]
    )
    wrong = [c.line for c in changes if len(by_request[c.request_id]) != 1]
    narrator.check(
        not wrong,
        f"{len(changes)} requests to change something, {len(found)} rows, one for each",
        "; ".join(wrong),
    )
    answered = {change.request_id: change.status for change in changes}
    told = [r.action for r in found if r.status_code != answered[r.request_id]]
    narrator.check(not told, "each with the status that was answered", "; ".join(told))
    unsealed = [row.action for row in found if row.chain_seq is None]
    narrator.check(not unsealed, "all of them sealed", "; ".join(unsealed))
    for zone_id in {row.zone_id for row in found}:
        _verify_chain(narrator, zone_id)
    _check_decisions(narrator, decisions)


def _check_decisions(narrator: Narrator, decisions: Sequence[Change]) -> None:
    """Every token request in the zone's ledger, as it was answered."""
    asked = {decision.request_id: decision.status < 400 for decision in decisions}
    rows = AuditEvent.objects.filter(request_id__in=asked)
    found: dict[str, set[str]] = {}
    for request_id, decision in rows.values_list("request_id", "decision"):
        found.setdefault(str(request_id), set()).add(str(decision))
    wrong = [
        id_
        for id_, went in asked.items()
        if found.get(id_) != {"allow" if went else "deny"}
    ]
    granted = sum(asked.values())
    narrator.check(
        not wrong,
        f"{len(asked)} token requests are in the ledger of decisions, {granted} of them"
        " allowed",
        str(wrong),
    )


def _verify_chain(narrator: Narrator, zone_id: str | None) -> None:
    head = seals.published_heads(redis_client()).get(zone_id)
    verified = verify.verify(zone_id, head)
    whose = f"zone {zone_id}" if zone_id else "the platform"
    faults = [f"#{fault.seq} {fault.sentence}" for fault in verified.faults]
    narrator.check(
        head is not None and not verified.broken,
        f"the chain of {whose} is whole, {verified.rows} rows, its head published",
        "; ".join(faults) or "its head is not published",
    )


def show_events(
    narrator: Narrator, zone_id: str, changes: Sequence[Change], since: int
) -> None:
    """The run's events, read back from their streams as a consumer reads them."""
    narrator.begin(
        "The events",
        "Whoever enforces authority elsewhere hears of it on Redis streams: signed, "
        "and numbered without a gap in each zone.",
    )
    news = OutboxEvent.objects.filter(
        request_id__in=[change.request_id for change in changes]
    )
    _wait_for(lambda: not news.pending().exists())
    expected = set(news.values_list("id", flat=True))
    topics = OutboxEvent.objects.filter(zone_id=zone_id).values_list("topic", flat=True)
    entries = list(_entries(set(topics), zone_id, since))
    ours = [e for e in entries if e.fields[streams.OUTBOX_ID] in expected]
    narrator.table(
        [
            (
                f"#{entry.seq}",
                entry.stream,
                entry.fields.get("event", ""),
                _subject_of(entry.fields),
                f"signed {entry.fields.get(streams.SIGNATURE, '')[:8]}…",
            )
            for entry in ours
        ]
    )
    arrived = {entry.fields[streams.OUTBOX_ID] for entry in ours}
    narrator.check(
        bool(expected) and arrived == expected,
        f"all {len(expected)} events arrived",
        f"{len(arrived)} of {len(expected)}",
    )
    key = bytes.fromhex(settings.STREAMS_HMAC_KEY)
    forged = [e.seq for e in ours if not streams.verify(e.stream, e.fields, key)]
    narrator.check(not forged, "every signature is right", str(forged))
    numbers = sorted({entry.seq for entry in entries})
    missing = sorted(set(range(numbers[0], numbers[-1] + 1)) - set(numbers))
    narrator.check(
        not missing,
        f"numbers {numbers[0]} to {numbers[-1]} of the zone, none missing",
        str(missing),
    )


def _entries(topics: Iterable[str], zone_id: str, since: int) -> Iterable[Entry]:
    """The zone's entries of these streams since a moment, in order of number."""
    found = []
    for topic in sorted(topics):
        read: list[tuple[bytes, dict[bytes, bytes]]]
        read = redis_client().xrange(topic, min=str(since))  # type: ignore[assignment]
        for _id, raw in read:
            fields = {name.decode(): value.decode() for name, value in raw.items()}
            if fields.get("zone_id") == zone_id:
                found.append(Entry(topic, fields))
    return sorted(found, key=lambda entry: entry.seq)


def _subject_of(fields: Mapping[str, str]) -> str:
    """What the event is about, by the member that says it best."""
    names = ("agent_session_id", "edge_id", "delegation_edge_id", "session_id")
    for name in (*names, "challenge_id"):
        if fields.get(name, "null") != "null":
            return fields[name]
    return ""


def _wait_for(is_done: Callable[[], bool]) -> None:
    """Returns when it is done, or at the end of patience: the checks say the rest."""
    until = time.monotonic() + PATIENCE_SECONDS
    while not is_done() and time.monotonic() < until:
        time.sleep(LOOK_SECONDS)
