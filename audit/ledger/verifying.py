"""Whether the ledger of a zone still is what was written and published.

Every row is hashed again, every link has to follow the one before, and the tree they
make has to have had, at every size that was published, the root that was published.
What cannot be told from the database alone (a tail cut off, everything hashed again
with the key, an older backup restored) is told by the published heads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from django.db import connection, transaction

from audit.keys import Ring
from audit.ledger import content, retiring
from audit.ledger.heads import Head
from audit.ledger.merkle import Tree
from audit.models import AuditChain
from audit.verify import FAULTS_KEPT, Fault, Strangers
from caracal_site import statements

OUT_OF_CHAIN = "was sealed without the key, or not after its predecessor"
TYPES = ("int8", "varchar", "timestamptz", "bytea", "bytea", "bytea")


@dataclass(slots=True)
class Verified:
    """What was found about the ledger of one zone.

    ``faults`` keeps the first hundred, ``broken`` counts them all. ``agreed`` is the
    largest published size at which all was as published.
    """

    zone_id: str
    rows: int = 0
    removed: int = 0
    unsealed: int = 0
    head_known: bool = False
    agreed: int = 0
    root_hash: str = ""
    broken: int = 0
    faults: list[Fault] = field(default_factory=list)

    def add(self, seq: int, event_id: str, sentence: str) -> None:
        self.broken += 1
        if len(self.faults) < FAULTS_KEPT:
            self.faults.append(Fault(seq, event_id, sentence))


def zones(published: Mapping[str, Sequence[Head]]) -> list[str]:
    """Every zone that has a ledger or, by the published heads, has had one."""
    known = set(AuditChain.objects.values_list("zone_id", flat=True))
    return sorted(known.union(published))


def verify(zone_id: str, published: Sequence[Head]) -> Verified:
    """Recomputes the ledger of ``zone_id`` in constant memory.

    ``published`` are its published heads, smallest first, read before this is called.
    """
    is_outermost = not connection.in_atomic_block
    with transaction.atomic():
        with connection.cursor() as cursor:
            if is_outermost:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            # Row by row in order of the chain: any other plan would sort it all.
            cursor.execute(
                "SET LOCAL statement_timeout = 0; SET LOCAL enable_hashjoin = off;"
                " SET LOCAL enable_mergejoin = off; SET LOCAL enable_seqscan = off"
            )
        walk = Walk(zone_id, published)
        for link in links(zone_id):
            walk.step(*link)
        walk.close()
        with connection.cursor() as cursor:
            cursor.execute(
                "SET LOCAL enable_hashjoin = on; SET LOCAL enable_seqscan = on"
            )
        _look_beside(walk.found)
    return walk.found


class Walk:
    """One way through the links of a zone."""

    def __init__(self, zone_id: str, published: Sequence[Head]) -> None:
        self.found = Verified(zone_id, head_known=bool(published))
        self.tree = Tree()
        self.previous: bytes | None = None
        self.last = 0
        self.ring = Ring()
        self.strangers = Strangers(self.found, OUT_OF_CHAIN)
        self.heads = iter(published)
        self.next_head = next(self.heads, None)
        self.parted = False
        self.end = AuditChain.objects.filter(zone_id=zone_id).first()
        self.removed_before = retiring.removed_before(self.end)

    def step(
        self,
        seq: int,
        event_id: str,
        occurred_at: datetime,
        stored: bytes,
        mac: bytes | None,
        message: bytes | None,
    ) -> None:
        """Looks at one link and its row."""
        found = self.found
        found.rows += 1
        if seq > self.last + 1:
            found.add(seq, event_id, f"{_rows(seq - self.last - 1)} missing before it")
        elif not self.ring.accepts(mac, partial(content.mac_of, stored, self.previous)):
            self.strangers.add(seq, event_id)
        else:
            self.strangers.close()
        if message is None:
            if self.removed_before is not None and occurred_at < self.removed_before:
                found.removed += 1
            else:
                found.add(seq, event_id, "is missing")
        elif content.content_of(message) != stored:
            found.add(seq, event_id, "was altered after it was sealed")
        self.tree.add(stored)
        self.previous, self.last = stored, seq
        while self.next_head is not None and self.next_head.tree_size <= seq:
            self._compare(self.next_head)
            self.next_head = next(self.heads, None)

    def _compare(self, head: Head) -> None:
        """Whether the ledger was then what it is now."""
        if self.parted:
            return
        is_whole = self.tree.size == head.tree_size
        if is_whole and self.tree.root().hex() == head.root_hash:
            self.found.agreed = head.tree_size
            return
        self.parted = True
        span = f"#{self.found.agreed + 1} to #{head.tree_size}"
        self.found.add(
            head.tree_size, "", f"{span} are not the rows that were published"
        )

    def close(self) -> None:
        """Looks at the end."""
        self.strangers.close()
        newest = self.next_head
        for later in self.heads:
            newest = later
        if newest is not None:
            self.found.add(
                newest.tree_size,
                "",
                f"{_rows(newest.tree_size - self.last)} missing at the end: it was"
                f" published as {newest.tree_size}",
            )
        self.found.root_hash = self.tree.root().hex()
        if self.end is None:
            return
        if (self.end.seq, bytes(self.end.content)) != (self.last, self.previous or b""):
            self.found.add(self.last, "", "is not where the chain's end is noted")
        elif bytes(self.end.peaks) != b"".join(self.tree.peaks):
            self.found.add(self.last, "", "does not have the tree that is noted")


def links(zone_id: str) -> Iterator[tuple[Any, ...]]:
    """The links of a zone with the hashed bytes of their rows, as they are read."""
    return statements.copied_rows("audit/ledger_links", TYPES, zone_id=zone_id)


def _look_beside(found: Verified) -> None:
    """Counts the rows that no link is about."""
    asked = {"zone_id": found.zone_id}
    count, first = statements.fetch_one("audit/ledger_unlinked", asked)
    if count:
        are = "1 row is" if count == 1 else f"{count} rows are"
        found.add(0, str(first), f"{are} in the ledger that it was never told of")
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM audit_unsealed WHERE zone_id = %s", [found.zone_id]
        )
        (found.unsealed,) = cursor.fetchone() or (0,)


def _rows(count: int) -> str:
    return "1 row is" if count == 1 else f"{count} rows are"
