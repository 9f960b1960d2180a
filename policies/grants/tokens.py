"""The tokens of a connected account: sealed for its row under ``ZONE_KEK``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson

from caracal_site import sealing
from policies.grants.models import ProviderGrant


@dataclass(frozen=True, slots=True)
class Tokens:
    """What stands for the account at the provider."""

    access: str = field(repr=False)
    refresh: str | None = field(default=None, repr=False)


def sealed_columns(grant_id: str, zone_id: str, tokens: Tokens) -> dict[str, Any]:
    """The columns of a grant that keeps ``tokens``."""
    plain = {"access_token": tokens.access, "refresh_token": tokens.refresh}
    identity = _identity(zone_id, grant_id)
    return {
        "sealed_tokens": sealing.seal(orjson.dumps(plain), identity),
        "is_renewable": tokens.refresh is not None,
    }


def opened(grant: ProviderGrant) -> Tokens | None:
    """The tokens of ``grant``, None once it has ended. Raises sealing.SealBroken."""
    if grant.sealed_tokens is None:
        return None
    identity = _identity(grant.zone_id, grant.id)
    found = orjson.loads(sealing.unseal(bytes(grant.sealed_tokens), identity))
    return Tokens(found["access_token"], found["refresh_token"])


def reseal_provider_grants() -> sealing.Resealing:
    """Seals tokens under the present key. What is replaced meanwhile stays so."""
    kept = ProviderGrant.objects.filter(sealed_tokens__isnull=False)

    def write(grant_id: str, before: bytes, after: bytes) -> None:
        kept.filter(id=grant_id, sealed_tokens=before).update(sealed_tokens=after)

    rows = kept.values_list("zone_id", "id", "sealed_tokens")
    return sealing.reseal(rows.iterator(), _identity, write)


def _identity(zone_id: str, grant_id: str) -> str:
    return f"provider_grant|{zone_id}|{grant_id}"
