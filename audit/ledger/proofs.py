"""What proves that a row is in a zone's ledger, and that the ledger only grew.

Nodes of every eighth level are kept; what a proof needs besides is computed from at
most 255 of them, or of the leaves, so a proof costs the same however long the ledger.
"""

from __future__ import annotations

from collections.abc import Sequence

from audit.ledger import merkle
from audit.ledger.merkle import KEPT_LEVELS, Place
from caracal_site import statements


class TreeIncomplete(LookupError):
    """Nodes of the tree are missing: the ledger was tampered with."""


def root_at(zone_id: str, size: int) -> bytes:
    """The root of the zone's first ``size`` rows. Raises TreeIncomplete."""
    return merkle.root_of(size, lambda places: nodes(zone_id, places))


def inclusion(zone_id: str, index: int, size: int) -> list[bytes]:
    """The proof that the row at ``index`` is among the first ``size``."""
    return _path(zone_id, merkle.inclusion_path(index, size))


def consistency(zone_id: str, first: int, second: int) -> list[bytes]:
    """The proof that the first ``second`` rows begin with the first ``first``."""
    return _path(zone_id, merkle.consistency_path(first, second))


def _path(zone_id: str, ranges: Sequence[Sequence[Place]]) -> list[bytes]:
    wanted = [place for several in ranges for place in several]
    found = dict(zip(wanted, nodes(zone_id, wanted), strict=True))
    return [merkle.folded([found[one] for one in several]) for several in ranges]


def nodes(zone_id: str, places: Sequence[Place]) -> list[bytes]:
    """The roots of whole subtrees, in one statement. Raises TreeIncomplete."""
    if not places:
        return []
    spans = [_span(level, place) for level, place in places]
    rows = statements.fetch_all(
        "audit/tree_nodes",
        {
            "zone_id": zone_id,
            "levels": [level for level, _, _ in spans],
            "starts": [start for _, start, _ in spans],
            "ends": [end for _, _, end in spans],
        },
    )
    found: list[list[bytes]] = [[] for _ in places]
    for nth, level, _, hashed in rows:
        known = bytes(hashed)
        found[nth - 1].append(known if level else merkle.leaf_hash(known))
    return [
        _combined(several, end - start)
        for several, (_, start, end) in zip(found, spans, strict=True)
    ]


def _span(level: int, place: int) -> tuple[int, int, int]:
    """The kept nodes, or leaves, below a node: their level and places."""
    above = level % KEPT_LEVELS
    return level - above, place << above, (place + 1) << above


def _combined(hashes: list[bytes], count: int) -> bytes:
    if len(hashes) != count:
        raise TreeIncomplete("nodes of the ledger's tree are missing")
    while len(hashes) > 1:
        pairs = zip(hashes[::2], hashes[1::2], strict=True)
        hashes = [merkle.node_hash(left, right) for left, right in pairs]
    return hashes[0]
