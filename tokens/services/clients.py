"""Client authentication at the token endpoint (contract: tokens.md 5).

An unknown application, a wrong secret and an application that is no longer in force
are told apart neither by the answer nor by what it costs. Failures are counted, and
past a limit refused as such, per application and per address; the zone's ledger names
each source of failures once a minute (D23).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NoReturn, Protocol

import orjson
from django.conf import settings
from prometheus_client import Counter

from caracal_site import context, rates, sealing, statements
from caracal_site.errors import CaracalError, RateLimited
from caracal_site.ids import is_id
from tokens import gateway
from tokens.errors import ClientNotAuthenticated, TooManyExchanges, ZoneInvalid
from tokens.gateway import GatewaySignature
from zones import services as zone_services
from zones.models import Application

NOBODY = bytes(32)
COLUMNS = (
    "id",
    "zone_id",
    "name",
    "registration_method",
    "traits",
    "secret_digest",
    "previous_secret_digest",
    "previous_secret_expires_at",
    "expires_at",
)

failures = Counter(
    "caracal_token_client_failures", "Token requests of unproven clients.", ["reason"]
)


Known = tuple[Application, datetime]


class Credentials(Protocol):
    """What a request says about who sends it."""

    @property
    def application_id(self) -> str: ...

    @property
    def client_secret(self) -> str: ...

    @property
    def zone_id(self) -> str: ...

    @property
    def gateway(self) -> GatewaySignature | None: ...


def authenticate(request: Credentials, *, needs_zone: bool = True) -> Application:
    """The live application that ``request`` proves to come from. Unless it
    ``needs_zone``, a request that names none is about the application's own.

    Raises ClientNotAuthenticated, ZoneInvalid when it is of another zone than the
    request names, or TooManyExchanges instead of either.
    """
    rows = statements.fetch_all("tokens/client", {"application_id": named(request)})
    found = known(rows[0]) if rows else None
    return proven(request, found, needs_zone=needs_zone)


def proven(
    request: Credentials, found: Known | None, *, needs_zone: bool = True
) -> Application:
    """``authenticate`` for a request whose client was looked up, and whose gateway's
    signature was checked, where it has one."""
    if request.gateway is not None:
        if found is None or found[0].zone_id != request.zone_id:
            refuse(request, "client_authentication_failed", ClientNotAuthenticated())
        return found[0]
    if found is None:
        # The same work as for a known application, so that time tells nothing.
        guess = f"{request.application_id}:{request.client_secret}"
        sealing.same(sealing.digest("client_secret", guess), NOBODY)
        refuse(request, "client_authentication_failed", ClientNotAuthenticated())
    application, now = found
    if not zone_services.verify_client_secret(
        application, request.client_secret, now=now
    ):
        refuse(request, "client_authentication_failed", ClientNotAuthenticated())
    names_zone = needs_zone or bool(request.zone_id)
    if names_zone and application.zone_id != request.zone_id:
        refuse(request, "zone_invalid", ZoneInvalid())
    return application


def check_gateway(request: Credentials) -> None:
    """Refuses a request that a gateway did not sign as it says. Then the subject token
    will have to prove the application that the gateway acts for."""
    if request.gateway is not None and not gateway.holds(request.gateway):
        refuse(request, "gateway_signature", ClientNotAuthenticated())


def named(request: Credentials) -> str:
    """The client id of the request, when it may be one."""
    return request.application_id if is_id(request.application_id) else ""


def known(row: Sequence[Any]) -> Known:
    """The client that ``known_client.sql`` tells, and the time."""
    *values, now = row
    return Application(**dict(zip(COLUMNS, values, strict=True))), now


def proof(request: Credentials) -> bytes | None:
    """What the application's row holds when the request's secret is good; None when a
    gateway vouches for it."""
    if request.gateway is not None:
        return None
    return zone_services.digest_of(request.application_id, request.client_secret)


def refuse(request: Credentials, reason: str, error: CaracalError) -> NoReturn:
    """Counts and records the failure, then raises ``error``, or TooManyExchanges."""
    failures.labels(reason).inc()
    source = context.current().source or "unknown"
    limit = settings.TOKEN_AUTH_FAIL_LIMIT_PER_MIN
    client = named(request) or "unknown"
    try:
        rates.check("token_auth_fail_address", source, limit)
        rates.check("token_auth_fail_application", client, limit)
    except RateLimited as limited:
        raise TooManyExchanges(headers=limited.headers) from None
    if is_id(request.zone_id):
        _record(request.zone_id, client, source, reason)
    raise error


def _record(zone_id: str, application_id: str, source: str, reason: str) -> None:
    metadata = {"application_id": application_id, "source": source, "reason": reason}
    statements.execute(
        "tokens/client_failure",
        {
            "zone_id": zone_id,
            "source": source,
            "reason": reason,
            "request_id": context.current().request_id,
            "metadata": orjson.dumps(metadata).decode(),
        },
    )
