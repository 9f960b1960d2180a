"""The verbs of admin tokens, and those that come from the configuration."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models.functions import Now

from audit.record import record
from caracal_site import actors, locks, sealing
from caracal_site.actors import Actor
from caracal_site.api.permissions import authorise
from zones import errors, events
from zones.models import AdminToken, TokenCapability, TokenScope
from zones.services.holding import hold_zone

PURPOSE = "admin_token"
BOOTSTRAP = "env-bootstrap"
DERIVED = "env-derived"


@dataclass(frozen=True, slots=True)
class MintedToken:
    """A token's row and its plain text, which is nowhere kept."""

    row: AdminToken
    plain: str


@dataclass(frozen=True, slots=True)
class Seed:
    """A token of the configuration: what it is called, may do, and is."""

    name: str
    created_by: str
    capability: str
    plain: str


@transaction.atomic
def mint_admin_token(
    name: str,
    *,
    actor: Actor,
    scope: str,
    capability: str = TokenCapability.WRITE,
    zone_id: str | None = None,
) -> MintedToken:
    """A new admin token, for all zones or for one.

    Raises AdminTokenManagementRequiresGlobal,
    AdminTokenManagementForbiddenForDerivedToken, ZoneIdRequired, ZoneNotFound or
    ZoneIdNotAllowedForGlobal.
    """
    require_token_manager(actor)
    authorise(actor, zone_id=None, writes=True)
    if scope == TokenScope.ZONE:
        if zone_id is None:
            raise errors.ZoneIdRequired
        hold_zone(zone_id, actor=actor)
    elif zone_id is not None:
        raise errors.ZoneIdNotAllowedForGlobal
    plain = sealing.new_credential("cat_")
    row = AdminToken.objects.create(
        name=name,
        scope=scope,
        capability=capability,
        zone_id=zone_id,
        digest=sealing.digest(PURPOSE, plain),
        created_by=f"admin:{actor.id}",
    )
    fields = ("name", "scope", "capability", *(["zone_id"] if zone_id else []))
    minted = events.AdminTokenMinted(
        zone_id=zone_id, entity_id=row.id, changed_fields=fields
    )
    record(actor, minted)
    return MintedToken(row, plain)


@transaction.atomic
def revoke_admin_token(token_id: str, *, actor: Actor, reason: str) -> AdminToken:
    """Ends a token at once. Raises the errors of ``require_token_manager``, or
    AdminTokenNotFound."""
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
    """Refuses actors of one zone, and the tokens derived for the console."""
    if not actor.is_global:
        raise errors.AdminTokenManagementRequiresGlobal
    if actor.created_by.startswith(DERIVED):
        raise errors.AdminTokenManagementForbiddenForDerivedToken


def find_usable(plain: str) -> AdminToken | None:
    """The token in force that ``plain`` is, marked with ``is_stale``."""
    tokens = AdminToken.objects.usable().marking_stale(
        settings.ADMIN_TOKEN_LAST_USED_DEBOUNCE_SEC
    )
    return tokens.filter(digest=sealing.digest(PURPOSE, plain)).first()


def mark_used(token_id: str) -> None:
    """Notes that a token is in use, unless that is noted already or being noted."""
    stale: Any = AdminToken.objects.marking_stale(
        settings.ADMIN_TOKEN_LAST_USED_DEBOUNCE_SEC
    )
    with transaction.atomic():
        free = stale.filter(id=token_id, is_stale=True).select_for_update(
            skip_locked=True, no_key=True
        )
        AdminToken.objects.filter(id__in=free.values("id")).update(last_used_at=Now())


def seeds_of(admin_token: str) -> tuple[Seed, Seed, Seed]:
    """The tokens the configured one stands for: itself, and the console's two."""
    return (
        Seed("bootstrap", BOOTSTRAP, TokenCapability.WRITE, admin_token),
        Seed(
            "console-read-only",
            DERIVED,
            TokenCapability.READ,
            _derived(admin_token, "caracal:console:read-only:v1"),
        ),
        Seed(
            "console-write",
            f"{DERIVED}-write",
            TokenCapability.WRITE,
            _derived(admin_token, "caracal:console:write:v1"),
        ),
    )


@transaction.atomic
def seed_bootstrap(admin_token: str) -> None:
    """Puts the tokens of the configuration in force, and ends those of an earlier one.

    Can be repeated, and undone by going back to an earlier token: what was revoked is
    made anew before anything is revoked. An empty token seeds nothing.
    """
    if not admin_token:
        return
    locks.lock(locks.LockClass.ADMIN_TOKENS, "seed")
    for seed in seeds_of(admin_token):
        _seed(seed)


def _seed(seed: Seed) -> None:
    digest = sealing.digest(PURPOSE, seed.plain)
    live = AdminToken.objects.filter(revoked_at=None)
    same = live.filter(digest=digest, created_by=seed.created_by).first()
    if same is None:
        # Whatever else this credential was minted as, it is this one from now on.
        live.filter(digest=digest).update(revoked_at=Now())
        same = AdminToken.objects.create(
            name=seed.name,
            scope=TokenScope.GLOBAL,
            capability=seed.capability,
            digest=digest,
            created_by=seed.created_by,
        )
        created = True
    else:
        created = False
    before = live.filter(created_by=seed.created_by).exclude(id=same.id)
    revoked = before.update(revoked_at=Now())
    if created or revoked:
        event = events.AdminTokenSeeded(
            zone_id=None, entity_id=same.id, revoked=revoked
        )
        record(actors.system("seed"), event)


def _derived(admin_token: str, message: str) -> str:
    mac = hmac.new(admin_token.encode(), message.encode(), hashlib.sha256).digest()
    return "cat_" + base64.urlsafe_b64encode(mac).rstrip(b"=").decode()
