"""The secrets of a provider: sealed for its row under ``ZONE_KEK``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from django.db.models.functions import Now

from caracal_site import sealing
from zones.models import Provider

# What is left of the secrets of a provider that has none.
NONE: Mapping[str, Any] = {"sealed_secrets": None, "secret_config_keys": []}


def sealed_columns(
    provider_id: str, zone_id: str, secrets: Mapping[str, str]
) -> dict[str, Any]:
    """The columns of a provider that keeps ``secrets``, all of them and no others."""
    if not secrets:
        return dict(NONE)
    plain = orjson.dumps(dict(secrets))
    return {
        "sealed_secrets": sealing.seal(plain, _identity(zone_id, provider_id)),
        "secret_config_keys": sorted(secrets),
    }


def replaced_columns(
    provider_id: str, zone_id: str, secrets: Mapping[str, str]
) -> dict[str, Any]:
    """``sealed_columns`` of other secrets than there were."""
    return {
        **sealed_columns(provider_id, zone_id, secrets),
        "secrets_changed_at": Now(),
    }


def opened(provider: Provider) -> dict[str, str]:
    """The secrets of ``provider`` by name. Raises ``sealing.SealBroken``."""
    if provider.sealed_secrets is None:
        return {}
    identity = _identity(provider.zone_id, provider.id)
    plain = sealing.unseal(bytes(provider.sealed_secrets), identity)
    secrets: dict[str, str] = orjson.loads(plain)
    return secrets


def reseal_providers() -> sealing.Resealing:
    """Seals secrets under the present key. What is replaced meanwhile stays so."""
    kept = Provider.objects.filter(sealed_secrets__isnull=False)

    def write(provider_id: str, before: bytes, after: bytes) -> None:
        same = kept.filter(id=provider_id, sealed_secrets=before)
        same.update(sealed_secrets=after)

    rows = kept.values_list("zone_id", "id", "sealed_secrets")
    return sealing.reseal(rows.iterator(), _identity, write)


def _identity(zone_id: str, provider_id: str) -> str:
    return f"provider|{zone_id}|{provider_id}"
