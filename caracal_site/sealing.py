"""Secrets at rest: sealed under ``ZONE_KEK``, or kept as keyed digests only (D28).

A sealed value is one version byte, four bytes that name the key, a 12-byte random
nonce, and ChaCha20-Poly1305 ciphertext (RFC 8439). Its associated data is the version,
the key's name and the identity of the row it belongs to, so that a value moved to
another row does not open. What was sealed under one of ``ZONE_KEK_PREVIOUS`` still
opens, so that the key can be replaced.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from django.conf import settings

VERSION = b"\x02"
# Without the name of a key, and nothing but the identity as associated data.
NAMELESS_VERSION = b"\x01"
NAME_BYTES = 4
NONCE_BYTES = 12


class SealBroken(Exception):
    """The sealed value was altered, moved, or sealed under another key."""


@dataclass(frozen=True, slots=True)
class Resealing:
    """How many values are under the present key now, and whose could not be opened."""

    done: int
    broken: tuple[str, ...]


@cache
def _cipher(key: str) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(bytes.fromhex(key)[:32])


@cache
def _head(key: str) -> bytes:
    """The version and the name of ``key``, with which a sealed value begins."""
    name = hashlib.sha256(b"caracal sealing key\0" + bytes.fromhex(key)[:32]).digest()
    return VERSION + name[:NAME_BYTES]


def seal(plain: bytes, identity: str) -> bytes:
    """``plain`` sealed for the row called ``identity``."""
    nonce, head = os.urandom(NONCE_BYTES), _head(settings.ZONE_KEK)
    cipher = _cipher(settings.ZONE_KEK)
    return head + nonce + cipher.encrypt(nonce, plain, head + identity.encode())


def unseal(sealed: bytes, identity: str) -> bytes:
    """What ``seal`` was given. Raises SealBroken."""
    sealed = bytes(sealed)
    for key in (settings.ZONE_KEK, *settings.ZONE_KEK_PREVIOUS):
        head = VERSION[:0] if sealed[:1] == NAMELESS_VERSION else _head(key)
        body = sealed[len(head) or 1 :]
        nonce, body = body[:NONCE_BYTES], body[NONCE_BYTES:]
        if not sealed.startswith(head) or len(nonce) != NONCE_BYTES:
            continue
        try:
            return _cipher(key).decrypt(nonce, body, head + identity.encode())
        except InvalidTag:
            continue
    raise SealBroken(identity)


def is_current(sealed: bytes) -> bool:
    """Whether the value is sealed as ``seal`` does now, under the present key."""
    return sealed.startswith(_head(settings.ZONE_KEK))


def reseal(
    rows: Iterable[tuple[str, str, Any]],
    identify: Callable[[str, str], str],
    write: Callable[[str, bytes, bytes], object],
) -> Resealing:
    """Seals under the present key what was sealed under another.

    ``rows`` are zone, id and what is sealed; ``identify`` makes the identity of the
    first two; ``write`` gets the id, the value as it was and as it is to be.
    """
    done, broken = 0, []
    for zone_id, row_id, value in rows:
        sealed, identity = bytes(value), identify(zone_id, row_id)
        if is_current(sealed):
            continue
        try:
            plain = unseal(sealed, identity)
        except SealBroken:
            broken.append(identity)
        else:
            write(row_id, sealed, seal(plain, identity))
            done += 1
    return Resealing(done, tuple(broken))


def new_credential(prefix: str) -> str:
    """A random 256-bit credential: the prefix, then unpadded base64url."""
    return (
        prefix + base64.urlsafe_b64encode(secrets.token_bytes(32)).rstrip(b"=").decode()
    )


def digest(purpose: str, credential: str) -> bytes:
    """The keyed digest under which a credential is stored and looked up.

    HMAC-SHA256 with ``CREDENTIAL_HMAC_KEY``; ``purpose`` keeps kinds of credentials
    apart. Credentials are random, so no slow hash is needed.
    """
    key = bytes.fromhex(settings.CREDENTIAL_HMAC_KEY)
    return hmac.digest(key, f"{purpose}\0{credential}".encode(), "sha256")


def same(left: bytes | str, right: bytes | str) -> bool:
    """Constant-time equality."""
    if isinstance(left, str):
        left = left.encode()
    if isinstance(right, str):
        right = right.encode()
    return hmac.compare_digest(bytes(left), bytes(right))
