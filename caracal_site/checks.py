"""Start-up checks: published modes take no missing, default or weak secret."""

from __future__ import annotations

import re
from ipaddress import ip_network
from itertools import pairwise
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, register

HEX_KEYS = ("ZONE_KEK", "CREDENTIAL_HMAC_KEY", "STREAMS_HMAC_KEY", "AUDIT_HMAC_KEY")
TOKENS = ("CARACAL_ADMIN_TOKEN", "CARACAL_COORDINATOR_TOKEN")
HEX = re.compile(r"(?:[0-9a-fA-F]{2}){32,}\Z")


def is_weak_key(value: str) -> bool:
    """Whether a hex key is too short or of a shape no random source makes."""
    if not HEX.match(value):
        return True
    octets = bytes.fromhex(value)
    steps = {(b - a) % 256 for a, b in pairwise(octets)}
    alternating = len(set(octets[::2])) == 1 and len(set(octets[1::2])) == 1
    return steps <= {0} or steps in ({1}, {255}) or alternating


@register
def check_secrets(**_kwargs: Any) -> list[CheckMessage]:
    """Names every secret that a published mode must not run with."""
    if settings.CARACAL_MODE not in ("dev", "rc", "stable"):
        return [Error("CARACAL_MODE must be dev, rc or stable.", id="caracal.E001")]
    if settings.CARACAL_MODE == "dev":
        return []
    found = [
        Error(
            f"{name} must be at least 32 random bytes as hex digits.",
            hint=f"Set {name} or {name}_FILE to the output of: openssl rand -hex 32",
            id="caracal.E002",
        )
        for name in HEX_KEYS
        if is_weak_key(getattr(settings, name))
    ]
    gateway = settings.GATEWAY_STS_HMAC_KEY
    if gateway and is_weak_key(gateway):
        hint = "Set it to the output of: openssl rand -hex 32, or leave it unset."
        told = "GATEWAY_STS_HMAC_KEY must be at least 32 random bytes as hex digits."
        found.append(Error(told, hint=hint, id="caracal.E002"))
    found += [
        Error(
            f"{name} must be at least 32 characters.",
            hint=f"Set {name} or {name}_FILE to a random value.",
            id="caracal.E003",
        )
        for name in TOKENS
        if len(getattr(settings, name)) < 32
    ]
    if len(settings.SECRET_KEY) < 50 or len(set(settings.SECRET_KEY)) < 10:
        found.append(
            Error(
                "SECRET_KEY must be at least 50 random characters.", id="caracal.E004"
            )
        )
    return list(found)


@register
def check_egress(**_kwargs: Any) -> list[CheckMessage]:
    """Names every allowed network that is none."""
    return [
        Error(f"EGRESS_ALLOWED_NETWORKS: {network} is no network.", id="caracal.E005")
        for network in settings.EGRESS_ALLOWED_NETWORKS
        if not _is_network(network)
    ]


@register
def check_previous_keys(**_kwargs: Any) -> list[CheckMessage]:
    """A key that opens or verifies what was sealed is a key in every mode."""
    return [
        Error(
            f"{name} must be keys of at least 64 hex digits, divided by commas.",
            id="caracal.E006",
        )
        for name in ("ZONE_KEK_PREVIOUS", "AUDIT_HMAC_KEY_PREVIOUS")
        if not all(HEX.match(key) for key in getattr(settings, name))
    ]


def _is_network(text: str) -> bool:
    try:
        ip_network(text)
    except ValueError:
        return False
    return True
