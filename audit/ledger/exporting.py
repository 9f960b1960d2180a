"""A zone's ledger as a file that can be verified without Caracal (``offline``)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson
from django.db import connection, transaction

from audit.ledger import heads, offline
from audit.ledger.heads import Head
from audit.ledger.merkle import Tree
from caracal_site import statements
from caracal_site.times import to_wire

TYPES = ("int8", "bytea", "text")


def exported(zone_id: str) -> Iterator[bytes]:
    """The lines of the file, in constant memory, as of one moment.

    The last line is the head of exactly these rows, signed now: whoever has the file
    and the public key can tell that the platform gave these rows and no others.
    """
    tree, last = Tree(), ""
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(
                "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;"
                " SET LOCAL statement_timeout = 0; SET LOCAL enable_hashjoin = off;"
                " SET LOCAL enable_mergejoin = off; SET LOCAL enable_seqscan = off"
            )
            cursor.execute("SELECT now()")
            (now,) = cursor.fetchone() or (None,)
        opening = {"format": offline.FORMAT, "zone_id": zone_id}
        yield orjson.dumps({**opening, "exported_at": to_wire(now)}) + b"\n"
        for seq, content, record in _rows(zone_id):
            last = content.hex()
            tree.add(content)
            yield b'{"seq":%d,"content_sha256":"%s","record":%s}\n' % (
                seq,
                last.encode(),
                (record or "null").encode(),
            )
    root = tree.root().hex()
    head = Head(zone_id, tree.size, last, root, to_wire(now) or "")
    yield orjson.dumps({"head": head.signed()}) + b"\n"


def _rows(zone_id: str) -> Iterator[tuple[Any, ...]]:
    return statements.copied_rows("audit/ledger_export", TYPES, zone_id=zone_id)


def public_key_pem() -> str:
    """What verifies such files."""
    return heads.public_key_pem()
