"""Secrets at rest: sealed under ``ZONE_KEK``, or kept as keyed digests only (D28).

A sealed value is one version byte, a 12-byte random nonce, and ChaCha20-Poly1305
ciphertext (RFC 8439) whose associated data is the identity of the row it belongs to,
so that a value moved to another row does not open.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import secrets
from functools import cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from django.conf import settings

VERSION = b"\x01"
NONCE_BYTES = 12


class SealBroken(Exception):
    """The sealed value was altered, moved, or sealed under another key."""


@cache
def _cipher(key: str) -> ChaCha20Poly1305:
    return ChaCha20Poly1305(bytes.fromhex(key)[:32])


def seal(plain: bytes, identity: str) -> bytes:
    """``plain`` sealed for the row called ``identity``."""
    nonce = os.urandom(NONCE_BYTES)
    sealed = _cipher(settings.ZONE_KEK).encrypt(nonce, plain, identity.encode())
    return VERSION + nonce + sealed


def unseal(sealed: bytes, identity: str) -> bytes:
    """What ``seal`` was given. Raises SealBroken."""
    sealed = bytes(sealed)
    nonce, body = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
    if sealed[:1] != VERSION or len(nonce) != NONCE_BYTES:
        raise SealBroken(identity)
    try:
        return _cipher(settings.ZONE_KEK).decrypt(nonce, body, identity.encode())
    except InvalidTag:
        raise SealBroken(identity) from None


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
    return hmac.new(key, f"{purpose}\0{credential}".encode(), hashlib.sha256).digest()


def same(left: bytes | str, right: bytes | str) -> bool:
    """Constant-time equality."""
    if isinstance(left, str):
        left = left.encode()
    if isinstance(right, str):
        right = right.encode()
    return hmac.compare_digest(bytes(left), bytes(right))
