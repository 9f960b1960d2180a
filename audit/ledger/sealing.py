"""The sealing job of the ledger: a link for every row, a signed head for every zone.

Requests only insert; what they insert is queued in the same statement. This job, one
run at a time on the whole platform, takes the queue in order, links each row to the
one before it in its zone and lets the zone's Merkle tree grow by it. After each run the
heads of the zones that changed are signed and published; one that would contradict
what was published before is not, and said.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson
import redis
from django.conf import settings
from django.db import transaction

from audit.keys import audit_key
from audit.ledger import content, heads, proofs
from audit.ledger.heads import Head
from audit.ledger.merkle import Tree
from caracal_site import locks, statements
from caracal_site.jobs import Outcome
from caracal_site.locks import LockClass
from caracal_site.times import to_wire

RUN_SECONDS = 20.0
LEDGER = "the ledger"
HASH_BYTES = 32
LINKS = (
    "COPY audit_links (zone_id, seq, event_id, occurred_at, content, mac)"
    " FROM STDIN (FORMAT BINARY)"
)
LINK_TYPES = ("varchar", "int8", "varchar", "timestamptz", "bytea", "bytea")
NODES = "COPY audit_tree_nodes (zone_id, level, place, hash) FROM STDIN (FORMAT BINARY)"
NODE_TYPES = ("varchar", "int2", "int8", "bytea")

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Chain:
    """The end of a zone's chain, which moves along."""

    zone_id: str
    tree: Tree
    last: bytes | None

    @property
    def peaks(self) -> bytes:
        return b"".join(self.tree.peaks)

    def head(self, now: str) -> Head:
        last = self.last.hex() if self.last else ""
        root = self.tree.root().hex()
        return Head(self.zone_id, self.tree.size, last, root, now)


@dataclass(slots=True)
class Batch:
    """What one batch adds."""

    links: list[tuple[Any, ...]] = field(default_factory=list)
    nodes: list[tuple[Any, ...]] = field(default_factory=list)
    vanished: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Run:
    """The zones that a run has changed: as they were, and as they are."""

    before: dict[str, tuple[int, str]] = field(default_factory=dict)
    chains: dict[str, Chain] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)


def seal(client: redis.Redis, *, seconds: float = RUN_SECONDS) -> Outcome:
    """Seals until nothing is left or ``seconds`` have passed.

    Does nothing when another run is at it. Sealing does not wait for Redis; heads are
    published as far as it is there.
    """
    until = time.monotonic() + seconds
    handled, run = 0, Run()
    limit = settings.AUDIT_LEDGER_BATCH_SIZE
    with locks.held(LockClass.AUDIT_SEAL, LEDGER) as is_mine:
        if not is_mine:
            return Outcome()
        while time.monotonic() < until:
            taken = _seal_batch(limit, run)
            handled += taken
            if taken < limit:
                break
        if run.chains and heads.is_signing():
            _sign(client, run)
    return Outcome(handled, error="; ".join(run.errors[:3]))


@transaction.atomic(durable=True)
def _seal_batch(limit: int, run: Run) -> int:
    taken = statements.fetch_rows(
        statements.load("audit/ledger_unsealed"), {"limit": limit}, binary=True
    )
    if not taken:
        return 0
    zones = list(dict.fromkeys(row[0] for row in taken))
    chains = _chains(zones)
    for chain in chains.values():
        run.before.setdefault(chain.zone_id, (chain.tree.size, chain.tree.root().hex()))
    batch = _linked(taken, chains)
    if batch.vanished:
        log.error("ledger rows gone unsealed", extra={"event_ids": batch.vanished})
        run.errors.append(
            f"{len(batch.vanished)} rows had gone before they were sealed"
        )
    _copy(LINKS, LINK_TYPES, batch.links)
    _copy(NODES, NODE_TYPES, batch.nodes)
    statements.execute(
        "audit/ledger_extend",
        {
            "zones": list(chains),
            "seqs": [chain.tree.size for chain in chains.values()],
            "contents": [chain.last or b"" for chain in chains.values()],
            "peaks": [chain.peaks for chain in chains.values()],
        },
    )
    run.chains.update(chains)
    return len(taken)


def _chains(zones: list[str]) -> dict[str, Chain]:
    """The chains of ``zones``, held; new ones where there are none."""
    found = {
        zone_id: Chain(zone_id, Tree(seq, _split(peaks)), bytes(last) or None)
        for zone_id, seq, last, peaks in statements.fetch_all(
            "audit/ledger_chains", {"zones": zones}
        )
    }
    return {one: found.get(one) or Chain(one, Tree(), None) for one in zones}


def _split(peaks: bytes) -> list[bytes]:
    joined = bytes(peaks)
    return [joined[at : at + HASH_BYTES] for at in range(0, len(joined), HASH_BYTES)]


def _linked(taken: Sequence[tuple[Any, ...]], chains: dict[str, Chain]) -> Batch:
    batch, key = Batch(), audit_key()
    for zone_id, event_id, occurred_at, message in taken:
        if message is None or occurred_at is None:
            batch.vanished.append(event_id)
            continue
        chain = chains[zone_id]
        hashed = content.content_of(message)
        mac = content.mac_of(hashed, chain.last, key)
        for level, place, node in chain.tree.add(hashed):
            batch.nodes.append((zone_id, level, place, node))
        chain.last = hashed
        link = (zone_id, chain.tree.size, event_id, occurred_at, hashed, mac)
        batch.links.append(link)
    return batch


def _copy(
    statement: str, types: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> None:
    if not rows:
        return
    with statements.copying(statement.encode()) as copy:
        copy.set_types(types)
        for row in rows:
            copy.write_row(row)


def _sign(client: redis.Redis, run: Run) -> None:
    """Signs the new heads, keeps them beside their chains and publishes them."""
    now = to_wire(datetime.now(UTC)) or ""
    found = {one: chain.head(now) for one, chain in run.chains.items()}
    signed = {one: head.signed() for one, head in found.items()}
    try:
        known = heads.published(client, list(found))
        forked = [one for one in known if not _continues(known[one], run)]
        for one in forked:
            log.error("a ledger does not continue what was published of it")
            run.errors.append(f"zone {one} does not continue what was published of it")
        for one in forked:
            del signed[one]
        heads.publish(client, signed.values())
    except redis.RedisError as error:
        log.warning("ledger heads not published", extra={"error": str(error)})
    _keep(signed)


def _keep(signed: dict[str, dict[str, Any]]) -> None:
    statements.execute(
        "audit/ledger_heads",
        {
            "zones": list(signed),
            "heads": [orjson.dumps(head).decode() for head in signed.values()],
        },
    )


def _continues(known: Head, run: Run) -> bool:
    """Whether the chain still begins with what was published of it."""
    if run.before.get(known.zone_id) == (known.tree_size, known.root_hash):
        return True
    chain = run.chains[known.zone_id]
    if known.tree_size > chain.tree.size:
        return False
    return proofs.root_at(known.zone_id, known.tree_size).hex() == known.root_hash
