"""The signature of a gateway on a token request (contract: tokens.md 14).

It stands in for the client's secret, so everything about it has to hold: the key, the
time, what was signed, and that it was not sent before.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode

import redis
from django.conf import settings

from caracal_site import sealing
from caracal_site.context import REQUEST_ID
from caracal_site.stores import redis_client

MOST_SECONDS_APART = 60
NONCE_SECONDS = 120
NONCE = "caracal:sts:gw-nonce:"
SECONDS = re.compile(r"[0-9]{1,12}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewaySignature:
    """The three headers, and what they must be about."""

    timestamp: str
    request_id: str
    signature: str
    method: str
    path: str
    body: bytes
    # X-Request-Id as it was sent.
    named_request_id: str


def holds(given: GatewaySignature) -> bool:
    """Whether a gateway sent this request just now, and only once. Never without a key,
    nor when it cannot be told whether it was sent before."""
    if not settings.GATEWAY_STS_HMAC_KEY:
        return False
    if not SECONDS.match(given.timestamp) or not REQUEST_ID.match(given.request_id):
        return False
    is_near = abs(time.time() - int(given.timestamp)) <= MOST_SECONDS_APART
    if not is_near or given.request_id != given.named_request_id:
        return False
    if not sealing.same(signature_of(given), given.signature.lower()):
        return False
    return _is_new(given.request_id)


def signature_of(given: GatewaySignature) -> str:
    """What the signature has to be."""
    key = bytes.fromhex(settings.GATEWAY_STS_HMAC_KEY)
    digest = hashlib.sha256(_canonical(given.body)).hexdigest()
    lines = (
        given.timestamp,
        given.request_id,
        given.method.upper(),
        given.path,
        digest,
    )
    return hmac.new(key, "\n".join(lines).encode(), hashlib.sha256).hexdigest()


def _canonical(body: bytes) -> bytes:
    """The form as it is signed: parameters in the order of their names."""
    pairs = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
    return urlencode(sorted(pairs, key=lambda pair: pair[0])).encode()


def _is_new(request_id: str) -> bool:
    try:
        kept = redis_client().set(NONCE + request_id, "1", nx=True, ex=NONCE_SECONDS)
    except redis.RedisError:
        return False
    return bool(kept)
