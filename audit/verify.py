"""Whether the admin audit trail still is what was written: every chain recomputed.

Finds rows that were altered, taken out, put in, moved or linked without the key, and,
where the chain's published head is known, a cut or rewritten end. What cannot be told
from the database alone (an end cut off before its head was ever published) is said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Protocol

from django.db import transaction
from django.db.models import TextField
from django.db.models.functions import Cast

from audit import chain, seals
from audit.keys import Ring
from audit.models import AdminAuditEvent
from caracal_site import statements

CHUNK = 2_000
FAULTS_KEPT = 100
WITHOUT_KEY = "was sealed without the key"
COLUMNS = (*chain.Content._fields[:-2], "payload_text", "occurred_at")
LINKS = ("chain_seq", "content_sha256", "prev_content_sha256", "chain_hmac")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a chain: where, and a sentence."""

    seq: int
    event_id: str
    sentence: str


class Faulty(Protocol):
    """What faults are found in."""

    broken: int
    faults: list[Fault]

    def add(self, seq: int, event_id: str, sentence: str) -> None: ...


class Strangers:
    """Rows that no known key sealed. One after another they are told as one span:
    that is how it looks when a replaced key was forgotten too early."""

    def __init__(self, found: Faulty, sentence: str) -> None:
        self._found, self._sentence = found, sentence
        self._place: int | None = None
        self._first = self._last = 0

    def add(self, seq: int, event_id: str) -> None:
        """Takes the row in; each counts as a fault."""
        if self._first:
            self._found.broken += 1
        else:
            self._first, self._place = seq, None
            if len(self._found.faults) < FAULTS_KEPT:
                self._place = len(self._found.faults)
            self._found.add(seq, event_id, self._sentence)
        self._last = seq

    def close(self) -> None:
        """Ends the span, at a row that is in order and at the end."""
        if self._place is not None and self._last > self._first:
            fault = self._found.faults[self._place]
            told = (
                f"#{self._first} to #{self._last} were sealed in another order or"
                " with no known key: is one that was replaced missing in"
                " AUDIT_HMAC_KEY_PREVIOUS?"
            )
            self._found.faults[self._place] = replace(fault, sentence=told)
        self._first, self._place = 0, None


@dataclass(slots=True)
class Verified:
    """What was found about one chain; ``zone_id`` None is the platform's own.

    ``faults`` keeps the first hundred, ``broken`` counts them all.
    """

    zone_id: str | None
    rows: int = 0
    unsealed: int = 0
    head_known: bool = False
    broken: int = 0
    faults: list[Fault] = field(default_factory=list)

    def add(self, seq: int, event_id: str, sentence: str) -> None:
        self.broken += 1
        if len(self.faults) < FAULTS_KEPT:
            self.faults.append(Fault(seq, event_id, sentence))


def chains(heads: Mapping[str | None, seals.Head]) -> list[str | None]:
    """Every chain there is or, by the published ``heads``, has been."""
    found = {zone_id for (zone_id,) in statements.fetch_all("audit/chains", {})}
    return sorted(found.union(heads), key=lambda zone_id: zone_id or "")


@transaction.atomic
def verify(zone_id: str | None, head: seals.Head | None) -> Verified:
    """Recomputes the chain of ``zone_id`` in constant memory.

    ``head`` is the chain's published head, read before this is called. In a
    transaction the database hands out rows as they are asked for; outside one it
    would first gather them all.
    """
    found = Verified(zone_id, head_known=head is not None)
    ring, strangers = Ring(), Strangers(found, WITHOUT_KEY)
    previous: str | None = None
    last = 0
    for content, seq, stored, stored_previous, mac in _links(zone_id):
        found.rows += 1
        if seq > last + 1:
            found.add(seq, content.id, f"{_rows(seq - last - 1)} missing before it")
        elif stored_previous != previous:
            found.add(seq, content.id, "does not follow its predecessor")
        computed = chain.content_sha256(content)
        if computed != stored:
            found.add(seq, content.id, "was altered after it was sealed")
        elif not ring.accepts(mac, partial(chain.chain_hmac, stored, stored_previous)):
            strangers.add(seq, content.id)
        else:
            strangers.close()
        if head is not None and seq == head.seq and stored != head.content:
            found.add(seq, content.id, "is not the row that was published here")
        previous, last = stored, seq
    strangers.close()
    if head is not None and last < head.seq:
        lost = _rows(head.seq - last)
        found.add(
            head.seq, "", f"{lost} missing at the end: it was published as {head.seq}"
        )
    found.unsealed = AdminAuditEvent.objects.in_zone(zone_id).unsealed().count()
    return found


def _links(
    zone_id: str | None,
) -> Iterator[tuple[chain.Content, int, str, str | None, str | None]]:
    rows: Any = (
        AdminAuditEvent.objects.in_zone(zone_id)
        .filter(chain_seq__isnull=False)
        .annotate(payload_text=Cast("payload_json", TextField()))
        .order_by("chain_seq")
        .values_list(*COLUMNS, *LINKS)
    )
    size = len(COLUMNS)
    for row in rows.iterator(chunk_size=CHUNK):
        yield (seals.content_of(row[:size]), *row[size:])


def _rows(count: int) -> str:
    return "1 row is" if count == 1 else f"{count} rows are"
