"""Signed heads: what a zone's ledger was at a moment, for everybody to hold it to.

A head names the size of the ledger, the hash of its last row and the root of its
Merkle tree, signed with an Ed25519 key derived from ``AUDIT_HMAC_KEY``. They are
published to Redis, out of reach of whoever can only write to the database: the newest
of each zone in a hash, all of them in a stream that witnesses may copy.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson
import redis
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from audit.keys import audit_key, known_keys
from audit.ledger import offline

HEADS_KEY = "caracal:audit:ledger-heads"
HEADS_STREAM = "caracal.audit.heads"
HEADS_KEPT = 100_000
READ_AT_ONCE = 5_000
PURPOSE = b"caracal audit heads, Ed25519"

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Head:
    """The end of a zone's ledger as it was published."""

    zone_id: str
    tree_size: int
    content_sha256: str
    root_hash: str
    signed_at: str

    def signed(self) -> dict[str, Any]:
        """The head as it goes out. There has to be a key."""
        private = _private_key(audit_key())
        members = {
            "zone_id": self.zone_id,
            "tree_size": self.tree_size,
            "content_sha256": self.content_sha256,
            "root_hash": self.root_hash,
            "signed_at": self.signed_at,
            "key_id": key_id(),
        }
        signature = private.sign(offline.head_message(members))
        return {**members, "signature": signature.hex()}


def is_signing() -> bool:
    """Whether there is a key to sign with; only dev mode does without."""
    return bool(audit_key())


@cache
def _private_key(key: bytes) -> Ed25519PrivateKey:
    derived = HKDF(hashes.SHA256(), 32, salt=None, info=PURPOSE)
    return Ed25519PrivateKey.from_private_bytes(derived.derive(key))


@cache
def _public_key(key: bytes) -> bytes:
    return _private_key(key).public_key().public_bytes_raw()


def public_key() -> bytes:
    """The 32 bytes that verify heads that are signed now."""
    return _public_key(audit_key())


def public_keys() -> dict[str, bytes]:
    """What verifies all heads that are still believed, by the id of the key."""
    found = (_public_key(key) for key in known_keys() if key)
    return {offline.key_id_of(one): one for one in found}


def public_key_pem(head: Mapping[str, Any] | None = None) -> str:
    """What verifies ``head``, or one signed now, as a PEM file: that is what the
    offline verifier takes."""
    told = str((head or {}).get("key_id"))
    return (
        Ed25519PublicKey.from_public_bytes(public_keys().get(told) or public_key())
        .public_bytes(
            serialization.Encoding.PEM,
            serialization.PublicFormat.SubjectPublicKeyInfo,
        )
        .decode()
    )


def key_id() -> str:
    return offline.key_id_of(public_key())


def verified(signed: Any) -> Head | None:
    """The head that was signed here, or None for anything else."""
    try:
        offline.verify_head(signed, public_keys()[str(signed["key_id"])])
        return Head(
            str(signed["zone_id"]),
            int(signed["tree_size"]),
            str(signed["content_sha256"]),
            str(signed["root_hash"]),
            str(signed["signed_at"]),
        )
    except (InvalidSignature, KeyError, TypeError, ValueError):
        return None


def publish(client: redis.Redis, signed: Iterable[Mapping[str, Any]]) -> None:
    """Tells the world. Raises RedisError."""
    pipeline = client.pipeline(transaction=False)
    for head in signed:
        text = orjson.dumps(head)
        pipeline.hset(HEADS_KEY, str(head["zone_id"]), text)
        pipeline.xadd(
            HEADS_STREAM,
            {"zone_id": str(head["zone_id"]), "head": text},
            maxlen=HEADS_KEPT,
            approximate=True,
        )
    pipeline.execute()


def published(client: redis.Redis, zone_ids: list[str]) -> dict[str, Head]:
    """The newest published heads of some zones. Raises RedisError."""
    if not zone_ids or not is_signing():
        return {}
    found: Any = client.hmget(HEADS_KEY, zone_ids)
    heads = (_read(text) for text in found if text is not None)
    return {head.zone_id: head for head in heads if head is not None}


def every_published(
    client: redis.Redis, zone_id: str | None = None
) -> dict[str, list[Head]]:
    """All heads that are still known, of one zone or by zone, smallest first. Raises
    RedisError."""
    heads: dict[str, set[Head]] = defaultdict(set)
    if not is_signing():
        return {}
    for text in _texts(client, zone_id):
        head = _read(text)
        if head is not None:
            heads[head.zone_id].add(head)
    return {
        one: sorted(several, key=lambda head: head.tree_size)
        for one, several in heads.items()
    }


def _texts(client: redis.Redis, zone_id: str | None) -> Iterator[bytes]:
    newest: Any = (
        client.hvals(HEADS_KEY) if zone_id is None else client.hmget(HEADS_KEY, zone_id)
    )
    yield from (text for text in newest if text is not None)
    start, is_more = "-", True
    while is_more:
        entries: Any = client.xrange(HEADS_STREAM, min=start, count=READ_AT_ONCE)
        for place, fields in entries:
            start = f"({place.decode()}"
            # Verifying costs more than reading: only what is asked for is.
            if zone_id in (None, fields.get(b"zone_id", b"").decode()):
                yield fields.get(b"head", b"")
        is_more = len(entries) == READ_AT_ONCE


def _read(text: bytes) -> Head | None:
    try:
        return verified(orjson.loads(text))
    except orjson.JSONDecodeError:
        return None
