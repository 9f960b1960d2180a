"""Refusals of the coordinator before any verb runs (contract: coordinator.md 2.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from caracal_site.errors import CaracalError


class _Unauthenticated(CaracalError):
    status = 401

    def __init__(
        self, sentence: str | None = None, *, extra: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(
            sentence,
            extra=extra,
            headers={"WWW-Authenticate": 'Bearer realm="caracal"'},
        )


class MissingToken(_Unauthenticated):
    """A bearer token is needed, of 1 to 4096 characters: Authorization: Bearer ..."""

    code = "missing_token"


class InvalidToken(_Unauthenticated):
    """The bearer token is not a valid session token of this issuer."""

    code = "invalid_token"


class IdentityRevoked(_Unauthenticated):
    """The token's application, session, agent or signing key is no longer in force."""

    code = "identity_revoked"


class MissingScope(CaracalError):
    """The token lacks the scope that opens the coordinator."""

    code = "missing_scope"
    status = 403


class ZoneMismatch(CaracalError):
    """The token is for another zone than the request names."""

    code = "zone_mismatch"
    status = 403


class OperatorTokenRequired(CaracalError):
    """Only the operator token opens this route."""

    code = "operator_token_required"
    status = 403
