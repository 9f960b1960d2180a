"""Admin tokens as bearer credentials of the Management API."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

from django.conf import settings
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from caracal_site import context
from caracal_site.actors import Actor
from caracal_site.api import attempts
from caracal_site.api.errors import InvalidAccountAssertion, InvalidAdminToken
from zones import services
from zones.api import assertions
from zones.services import Caller

SCHEME = "Bearer "
MAX_LENGTH = 4096
# The tokens of the configuration: whoever has one also has, or is given its powers by,
# the key that assertions are signed with.
CONFIGURED = "env-"


class AdminTokenAuthentication(BaseAuthentication):
    """``Authorization: Bearer <admin token>``; the scheme is spelled exactly so.

    One statement a request: a token is looked up by its keyed digest each time, so a
    revocation counts at once. The live zone that the route names comes with it, as
    ``request.zone``. Failures are limited per source.
    """

    def authenticate(self, request: Request) -> tuple[Actor, Actor]:
        caller = self._caller(request)
        if caller.is_stale:
            services.note_use(caller.actor.id)
        request.zone = caller.zone  # type: ignore[attr-defined]
        actor = self._confined(request, caller.actor)
        return actor, actor

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="caracal"'

    def _caller(self, request: Request) -> Caller:
        source = context.current().source
        plain = credential_in(request.META.get("HTTP_AUTHORIZATION", ""))
        digest = services.token_digest(plain) if plain else b""
        is_guess = not digest or (
            attempts.is_over_limit(source) and not services.may_be_in_force(digest)
        )
        caller = None if is_guess else _look_up(request, digest)
        if caller is None:
            raise attempts.refuse(source, InvalidAdminToken())
        return caller

    def _confined(self, request: Request, actor: Actor) -> Actor:
        """The actor as the headers of a trusted web console confine and name it."""
        headers: dict[str, Any] = request.META
        signed = assertions.Signed(
            settings.CARACAL_ADMIN_TOKEN,
            int(time.time()),
            request.method or "",
            request.path,
        )
        try:
            asserted = assertions.asserted(
                headers, signed, trusts=actor.created_by.startswith(CONFIGURED)
            )
        except InvalidAccountAssertion as error:
            raise attempts.refuse(context.current().source, error) from None
        if asserted == assertions.NOTHING:
            return actor
        return replace(
            actor,
            account_id=asserted.account_id,
            author=asserted.author,
            by_operator=asserted.by_operator,
        )


def _look_up(request: Request, digest: bytes) -> Caller | None:
    match = request.resolver_match
    zone_id = match.kwargs.get("zone_id") if match else None
    return services.find_caller(digest, zone_id=zone_id)


def credential_in(header: str) -> str | None:
    """The credential of an Authorization header, or None when it has none."""
    if not header.startswith(SCHEME):
        return None
    plain = header.removeprefix(SCHEME).strip()
    return plain if 0 < len(plain) <= MAX_LENGTH and plain.isascii() else None
