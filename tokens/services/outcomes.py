"""What a token request comes to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from caracal_site.errors import CaracalError
from tokens.errors import ExchangeDenied
from tokens.forms import ACCESS_TOKEN_TYPE


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenAnswer:
    """An issued token and what it is good for."""

    access_token: str
    expires_in: int
    scope: str
    target_resources: tuple[str, ...]
    # For gateways: where each resource is.
    upstreams: Mapping[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        """The members of the answer; ``scope`` is absent when empty."""
        return {
            "access_token": self.access_token,
            "token_type": "Bearer",
            "expires_in": self.expires_in,
            **({"scope": self.scope} if self.scope else {}),
            "issued_token_type": ACCESS_TOKEN_TYPE,
            "target_resources": list(self.target_resources),
            **({"upstreams": self.upstreams} if self.upstreams is not None else {}),
        }


@dataclass(frozen=True, slots=True)
class Refusal:
    """Nothing was issued. The ledger tells ``reason``, as its ``status`` where it has a
    word for it, and ``facts``; the client only ``error``."""

    reason: str
    error: CaracalError = field(default_factory=ExchangeDenied)
    status: str = "exchange_denied"
    facts: Mapping[str, Any] = field(default_factory=dict, hash=False)
