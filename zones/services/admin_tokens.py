"""The verbs of admin tokens."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models.functions import Now

from audit.record import record
from caracal_site import sealing
from caracal_site.actors import Actor
from caracal_site.api.fields import BLANKS
from caracal_site.api.permissions import authorise
from caracal_site.errors import Issue
from zones import errors, events
from zones.models import AdminToken, TokenCapability, TokenScope
from zones.services.callers import expect_new_token, token_digest
from zones.services.holding import hold_zone

PREFIX = "cat_"
DERIVED = "env-derived"


@dataclass(frozen=True, slots=True)
class MintedToken:
    """A token's row and its plain text, which is nowhere kept."""

    row: AdminToken
    plain: str


@transaction.atomic
def mint_admin_token(
    name: str,
    *,
    actor: Actor,
    scope: str,
    capability: str = TokenCapability.WRITE,
    zone_id: str | None = None,
    expires_at: datetime | None = None,
    ttl_seconds: int | None = None,
    reason: str | None = None,
) -> MintedToken:
    """A new admin token, for all zones or for one, for good or until ``expires_at``,
    which ``ttl_seconds`` counts from now.

    Raises AdminTokenManagementRequiresGlobal,
    AdminTokenManagementForbiddenForDerivedToken, InvalidAdminTokenRequest,
    ZoneIdRequired, ZoneNotFound or ZoneIdNotAllowedForGlobal.
    """
    require_token_manager(actor)
    authorise(actor, zone_id=None, writes=True)
    if not name.strip(BLANKS):
        raise _refused("name", "must not be blank")
    if scope == TokenScope.ZONE:
        if zone_id is None:
            raise errors.ZoneIdRequired
        hold_zone(zone_id, actor=actor)
    elif zone_id is not None:
        raise errors.ZoneIdNotAllowedForGlobal
    plain = sealing.new_credential(PREFIX)
    row = AdminToken.objects.create(
        name=name,
        scope=scope,
        capability=capability,
        zone_id=zone_id,
        digest=token_digest(plain),
        expires_at=_end(expires_at, ttl_seconds),
        created_by=f"admin:{actor.id}",
    )
    row.refresh_from_db(fields=["created_at", "expires_at"])
    if row.expires_at is not None and row.expires_at <= row.created_at:
        raise _refused("expires_at", "must be in the future")
    record(actor, _minted(row), reason=reason)
    transaction.on_commit(expect_new_token)
    return MintedToken(row, plain)


def _end(expires_at: datetime | None, ttl_seconds: int | None) -> Any:
    return expires_at if ttl_seconds is None else Now() + timedelta(seconds=ttl_seconds)


def _refused(field: str, message: str) -> errors.InvalidAdminTokenRequest:
    return errors.InvalidAdminTokenRequest([Issue((field,), message)])


def _minted(row: AdminToken) -> events.AdminTokenMinted:
    given = ["name", "scope", "capability"]
    given += [name for name in ("zone_id", "expires_at") if getattr(row, name)]
    return events.AdminTokenMinted(
        zone_id=row.zone_id,
        entity_id=row.id,
        changed_fields=tuple(given),
        scope=row.scope,
        capability=row.capability,
        expires_at=row.expires_at,
    )


@transaction.atomic
def revoke_admin_token(token_id: str, *, actor: Actor, reason: str) -> AdminToken:
    """Ends a token at once and for good. Raises the errors of
    ``require_token_manager``, or AdminTokenNotFound."""
    require_token_manager(actor)
    authorise(actor, zone_id=None, writes=True)
    live = AdminToken.objects.filter(id=token_id, revoked_at=None)
    token = live.select_for_update(no_key=True).first()
    if token is None:
        raise errors.AdminTokenNotFound
    live.update(revoked_at=Now())
    token.refresh_from_db()
    revoked = events.AdminTokenRevoked(zone_id=token.zone_id, entity_id=token.id)
    record(actor, revoked, reason=reason)
    return token


def require_token_manager(actor: Actor) -> None:
    """Refuses actors of one zone or one account, and the tokens derived for the
    console."""
    if not actor.is_global or actor.account_id is not None:
        raise errors.AdminTokenManagementRequiresGlobal
    if actor.created_by.startswith(DERIVED):
        raise errors.AdminTokenManagementForbiddenForDerivedToken
