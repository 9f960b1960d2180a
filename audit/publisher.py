"""The way of news from the outbox to its streams: in order per zone, at least once.

Serial per zone, parallel across zones: a run works on the zones whose lock it gets.
For each it (a) gives the next rows their dense ``zone_seq`` by writing into the zone's
head which they are, and commits, (b) adds them to their streams, (c) marks them
published. A run killed between (a) and (c) leaves rows that go out again under the same
``outbox_id`` and ``zone_seq``. A head is one row for a batch: numbering costs nothing
for each event.

An outage only delays. Redis is asked whether it takes writes before anything is
counted against a row; what fails after that makes the zone wait longer each time, up
to a minute, for ever. Only a row that cannot be encoded is parked, alone.
"""

from __future__ import annotations

import logging
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import redis
from django.conf import settings
from django.db import transaction

from audit import nudge, streams
from caracal_site import locks, statements
from caracal_site.jobs import Outcome
from caracal_site.locks import LockClass

RUN_SECONDS = 20.0
# How long one run stays awake, after what quiet it goes, how often it looks.
LINGER_SECONDS = 5.0
QUIET_SECONDS = 0.4
PAUSE_SECONDS = 0.04
AWAKE = "publisher awake"
ZONES_AT_A_TIME = 16
ZONES_A_PASS = 1_000
PROBE_KEY = "caracal:outbox:probe"
# Adds one zone's entries in order and stops at the first that fails: an entry is never
# added before its predecessor. ARGV: the greatest length, then for every entry the
# index of its stream in KEYS, the count of its arguments, and these. Returns how many
# were added and the error that stopped it.
ADD_IN_ORDER = """
local added, at = 0, 2
while at <= #ARGV do
  local count = tonumber(ARGV[at + 1])
  local stream = KEYS[tonumber(ARGV[at])]
  local answer = redis.pcall('XADD', stream, 'MAXLEN', '~', ARGV[1], '*',
    unpack(ARGV, at + 2, at + 1 + count))
  if type(answer) == 'table' and answer.err then return {added, answer.err} end
  added, at = added + 1, at + 2 + count
end
return {added, ''}
"""

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Entry:
    """A pending row ready to go out; ``zone_seq`` is 0 until it has its number."""

    row: streams.OutboxRow
    fields: streams.Fields
    zone_seq: int


def publish(client: redis.Redis, *, seconds: float = RUN_SECONDS) -> Outcome:
    """Publishes what is due when it starts, or as much as ``seconds`` allow.

    What is committed meanwhile has its own nudge: a run that went on for every
    straggler would work in batches of one. Raises RedisError when Redis is away:
    nothing has been counted against any row.
    """
    until = time.monotonic() + seconds
    handled, errors = 0, []
    due = _due_zones()
    if due:
        client.set(PROBE_KEY, "1", px=60_000)
    while due:
        is_behind = len(due) == ZONES_A_PASS
        for start in range(0, len(due), ZONES_AT_A_TIME):
            done, has_more = _publish_some(client, due[start : start + ZONES_AT_A_TIME])
            handled += done.handled
            errors += [done.error] if done.error else []
            is_behind |= has_more
            if time.monotonic() > until:
                return Outcome(
                    handled, backlog=len(_due_zones()), error="; ".join(errors[:3])
                )
        due = _due_zones() if is_behind else []
    return Outcome(handled, error="; ".join(errors[:3]))


def publish_while_busy(
    client: redis.Redis, *, seconds: float = LINGER_SECONDS
) -> Outcome:
    """Publishes what is due and, while more comes, that too: one run stays awake for
    all, so that under load news waits for a pause and not for its nudge.

    Looking every ``PAUSE_SECONDS`` lets batches form. Raises RedisError like
    ``publish``.
    """
    outcome = publish(client)
    if not outcome.handled:
        return outcome
    with locks.held(LockClass.JOB, AWAKE) as is_mine:
        return _linger(client, outcome, seconds) if is_mine else outcome


def _linger(client: redis.Redis, so_far: Outcome, seconds: float) -> Outcome:
    now = time.monotonic()
    until, quiet_from = now + seconds, now + QUIET_SECONDS
    handled, errors = so_far.handled, [so_far.error] if so_far.error else []
    while now < min(until, quiet_from):
        time.sleep(PAUSE_SECONDS)
        done = publish(client)
        now = time.monotonic()
        if done.handled:
            quiet_from = now + QUIET_SECONDS
        handled += done.handled
        errors += [done.error] if done.error else []
    if now < quiet_from:
        # Whoever is next takes over without a gap.
        nudge.publisher()
    return Outcome(handled, error="; ".join(dict.fromkeys(errors[:3])))


def _due_zones() -> list[str]:
    found = statements.fetch_all("audit/pending_zones", {"limit": ZONES_A_PASS})
    return [str(zone_id) for (zone_id,) in found]


def _publish_some(client: redis.Redis, zones: Sequence[str]) -> tuple[Outcome, bool]:
    """One batch of each of ``zones`` that no other run is working on, and whether
    that was less than one of them has."""
    with locks.held(LockClass.OUTBOX_ZONE, *zones) as mine:
        if not mine:
            return Outcome(), False
        limit = settings.OUTBOX_BATCH_SIZE
        rows = _pending(mine, limit)
        entries, parked = _encoded(rows)
        _number([entry for entry in entries if not entry.zone_seq])
        sent = _send(client, entries)
    handled = parked + sent.handled
    most = max(Counter(row.zone_id for row in rows).values(), default=0)
    # What an interrupted run left goes out alone, however little it is.
    is_partial = most >= limit or any(row.zone_seq for row in rows)
    return Outcome(handled, error=sent.error), bool(handled) and is_partial


def _pending(zones: list[str], limit: int) -> list[streams.OutboxRow]:
    """The next rows of ``zones`` in order, at most ``limit`` of each."""
    asked = {"zones": zones, "limit": limit}
    found = statements.fetch_all("audit/pending_batch", asked)
    return [streams.OutboxRow(*values) for values in found]


def _encoded(rows: Iterable[streams.OutboxRow]) -> tuple[list[Entry], int]:
    """The entries of ``rows``, and how many of these were parked instead."""
    entries: list[Entry] = []
    poison: dict[str, str] = {}
    for row in rows:
        try:
            fields = streams.stream_fields(row)
        except streams.Unencodable as error:
            poison[row.id] = str(error)
        else:
            entries.append(Entry(row, fields, row.zone_seq or 0))
    if poison:
        log.error("outbox rows parked", extra={"outbox_ids": list(poison)})
        statements.execute(
            "audit/park", {"ids": list(poison), "errors": list(poison.values())}
        )
    return entries, len(poison)


def _number(entries: list[Entry]) -> None:
    """Gives ``entries`` their numbers, committed before any of them goes out."""
    if not entries:
        return
    parameters: dict[str, object] = {
        "zones": [entry.row.zone_id for entry in entries],
        "positions": [entry.row.position for entry in entries],
    }
    with transaction.atomic(durable=True):
        last = dict(statements.fetch_all("audit/number", parameters))
    for entry in reversed(entries):
        entry.zone_seq = last[entry.row.zone_id]
        last[entry.row.zone_id] -= 1


def _send(client: redis.Redis, entries: list[Entry]) -> Outcome:
    """Adds ``entries`` to their streams and marks those that arrived."""
    by_zone: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_zone[entry.row.zone_id].append(entry)
    pipeline = client.pipeline(transaction=False)
    for several in by_zone.values():
        keys = list(dict.fromkeys(entry.row.topic for entry in several))
        pipeline.eval(ADD_IN_ORDER, len(keys), *keys, *_arguments(keys, several))
    try:
        answers = pipeline.execute(raise_on_error=False)
    except redis.RedisError as error:
        # Away since the probe. Which entries arrived is unknown, so all go out again.
        unknown = {zone[0].row.id: str(error) for zone in by_zone.values()}
        _delay(unknown, backs_off=False)
        raise
    arrived: list[Entry] = []
    failed: dict[str, str] = {}
    for several, answer in zip(by_zone.values(), answers, strict=True):
        added, stopped_by = _judge(answer)
        arrived += several[:added]
        if stopped_by:
            failed[several[added].row.id] = stopped_by
    _mark(arrived)
    _delay(failed, backs_off=True)
    return Outcome(len(arrived), error=next(iter(failed.values()), ""))


def _mark(arrived: list[Entry]) -> None:
    if not arrived:
        return
    reached = {entry.row.zone_id: entry.zone_seq for entry in arrived}
    statements.execute(
        "audit/mark_published",
        {
            "ids": [entry.row.id for entry in arrived],
            "numbers": [entry.zone_seq for entry in arrived],
            "zones": list(reached),
            "arrived": list(reached.values()),
        },
    )


def _arguments(keys: list[str], entries: Iterable[Entry]) -> list[str | int]:
    places = {key: place for place, key in enumerate(keys, start=1)}
    key = bytes.fromhex(settings.STREAMS_HMAC_KEY)
    arguments: list[str | int] = [settings.STREAMS_HARD_MAXLEN]
    for entry in entries:
        fields = streams.numbered(entry.fields, entry.zone_seq)
        if key:
            fields = streams.signed(entry.row.topic, fields, key)
        arguments += (places[entry.row.topic], 2 * len(fields))
        for field in fields:
            arguments += field
    return arguments


def _judge(answer: object) -> tuple[int, str]:
    """How many entries of a zone were added, and what stopped the rest."""
    if isinstance(answer, list):
        return int(answer[0]), bytes(answer[1]).decode(errors="replace")
    return 0, str(answer)


def _delay(failed: dict[str, str], *, backs_off: bool) -> None:
    if failed:
        statements.execute(
            "audit/delay",
            {
                "ids": list(failed),
                "errors": list(failed.values()),
                "backs_off": backs_off,
            },
        )
