"""Admin tokens as bearer credentials of the Management API."""

from __future__ import annotations

from django.conf import settings
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from caracal_site import context, rates
from caracal_site.actors import Actor, ActorKind
from caracal_site.api.errors import InvalidAdminToken
from zones import services
from zones.models import AdminToken, TokenCapability

SCHEME = "Bearer "
MAX_LENGTH = 4096


class AdminTokenAuthentication(BaseAuthentication):
    """``Authorization: Bearer <admin token>``; the scheme is spelled exactly so.

    One statement a request: a token is looked up by its keyed digest each time, so a
    revocation counts at once. Failures are limited per address.
    """

    def authenticate(self, request: Request) -> tuple[Actor, Actor]:
        plain = credential_in(request.META.get("HTTP_AUTHORIZATION", ""))
        token = services.find_usable(plain) if plain else None
        if token is None:
            source = context.current().source
            rates.check(
                "admin_auth_fail", source, settings.ADMIN_AUTH_FAIL_LIMIT_PER_MIN
            )
            raise InvalidAdminToken
        if token.is_stale:  # type: ignore[attr-defined]  # marked by find_usable
            services.mark_used(token.id)
        actor = actor_of(token)
        return actor, actor

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="caracal"'


def credential_in(header: str) -> str | None:
    """The credential of an Authorization header, or None when it has none."""
    if not header.startswith(SCHEME):
        return None
    plain = header.removeprefix(SCHEME).strip()
    return plain if 0 < len(plain) <= MAX_LENGTH and plain.isascii() else None


def actor_of(token: AdminToken) -> Actor:
    """Who acts with ``token``."""
    return Actor(
        kind=ActorKind.ADMIN_TOKEN,
        id=token.id,
        name=token.name,
        scope=token.scope,
        zone_id=token.zone_id,
        can_write=token.capability == TokenCapability.WRITE,
        created_by=token.created_by,
    )
