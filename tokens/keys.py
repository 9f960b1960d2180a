"""ES256 keys at work: making, sealing, signing, verifying (RFC 7515, 7517, 7518).

The database says which keys there are and which one signs; this module keeps only
what is costly to make again.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import orjson
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from joserfc.util import urlsafe_b64encode

from caracal_site import sealing

ALGORITHM = "ES256"
CURVE = "P-256"
UNSEALED_KEYS = 1024
# The library's own serializer examines key and header anew for each token.
_es256 = jws.JWSRegistry(algorithms=[ALGORITHM]).get_alg(ALGORITHM)


class BadSignature(Exception):
    """The token was not signed with this key, or was altered since."""


def seal_identity(zone_id: str, key_id: str) -> str:
    """What a private key is sealed for: it opens in its own row only."""
    return f"signing_key|{zone_id}|{key_id}"


def generate(zone_id: str, key_id: str) -> tuple[dict[str, str], bytes]:
    """A fresh key pair as its public JWK and its sealed private key."""
    key = ECKey.generate_key(CURVE)
    public = key.as_dict(private=False)
    jwk = {
        "kty": "EC",
        "crv": CURVE,
        "use": "sig",
        "alg": ALGORITHM,
        "kid": key_id,
        "x": str(public["x"]),
        "y": str(public["y"]),
    }
    sealed = sealing.seal(key.as_der(private=True), seal_identity(zone_id, key_id))
    return jwk, sealed


@lru_cache(maxsize=UNSEALED_KEYS)
def private_key(zone_id: str, key_id: str, sealed: bytes) -> ECKey:
    """The private key of a row as it stands. Raises ``sealing.SealBroken``.

    Remembered by everything it depends on, so that a row that was changed, moved or
    replaced is opened anew.
    """
    return ECKey.import_key(sealing.unseal(sealed, seal_identity(zone_id, key_id)))


def public_key(jwk: Mapping[str, str]) -> ECKey:
    return ECKey.import_key({name: jwk[name] for name in ("kty", "crv", "x", "y")})


def sign(claims: Mapping[str, Any], key_id: str, key: ECKey) -> str:
    """The compact JWT of ``claims``."""
    signed = _header(key_id) + b"." + urlsafe_b64encode(orjson.dumps(claims))
    return (signed + b"." + urlsafe_b64encode(_es256.sign(signed, key))).decode()


@lru_cache(maxsize=UNSEALED_KEYS)
def _header(key_id: str) -> bytes:
    header = {"alg": ALGORITHM, "typ": "JWT", "kid": key_id}
    return urlsafe_b64encode(orjson.dumps(header))


def verify(token: str, key: ECKey) -> None:
    """Raises BadSignature unless ``key`` signed ``token`` with ES256."""
    try:
        jws.deserialize_compact(token, key, [ALGORITHM])
    except (JoseError, ValueError) as error:
        raise BadSignature from error
