"""The admin tokens that come from the configuration.

Whoever holds the configuration gets in: rotating the token on and back, revoking it by
hand or running several releases at once locks nobody out. A token that another one
replaced goes on for ``BOOTSTRAP_TOKEN_OVERLAP_SECONDS``, and for as long as a worker
runs that is still configured with it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.db.models.functions import Now

from audit.record import record
from caracal_site import actors, locks
from zones import events
from zones.models import AdminToken, TokenCapability, TokenScope
from zones.services.admin_tokens import DERIVED
from zones.services.callers import token_digest

BOOTSTRAP = "env-bootstrap"


@dataclass(frozen=True, slots=True)
class Seed:
    """A token of the configuration: what it is called, may do, and is."""

    name: str
    created_by: str
    capability: str
    plain: str


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
    """Puts the tokens of the configuration in force, and has those of another one end
    after the overlap.

    Can be repeated, and undone by going back to an earlier token: what was revoked is
    made anew before anything ends. An empty token seeds nothing.
    """
    if not admin_token:
        return
    locks.lock(locks.LockClass.ADMIN_TOKENS, "seed")
    for seed in seeds_of(admin_token):
        _seed(seed)


def _seed(seed: Seed) -> None:
    digest = token_digest(seed.plain)
    live = AdminToken.objects.filter(revoked_at=None)
    same = live.filter(digest=digest, created_by=seed.created_by).first()
    is_new = same is None
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
    elif same.expires_at is not None:
        is_new = True
        AdminToken.objects.filter(id=same.id).update(expires_at=None)
    superseded = _supersede(seed, same.id)
    if is_new or superseded:
        event = events.AdminTokenSeeded(
            zone_id=None, entity_id=same.id, superseded=superseded
        )
        record(actors.system("seed"), event)


def _supersede(seed: Seed, current_id: str) -> int:
    """Has the other tokens of this kind end; returns how many got their end now."""
    others = AdminToken.objects.filter(created_by=seed.created_by, revoked_at=None)
    overlap = settings.BOOTSTRAP_TOKEN_OVERLAP_SECONDS
    unended = others.exclude(id=current_id).filter(expires_at=None)
    return unended.update(expires_at=Now() + timedelta(seconds=overlap))


@transaction.atomic
def keep_configured(admin_token: str) -> int:
    """Prolongs the tokens of the configuration that another one is about to replace,
    and revokes what has been replaced; returns how many tokens that was.

    Run by every worker now and then: a token goes on while one is configured with it.
    What was revoked or is over stays so.
    """
    locks.lock(locks.LockClass.ADMIN_TOKENS, "seed")
    overlap = timedelta(seconds=settings.BOOTSTRAP_TOKEN_OVERLAP_SECONDS)
    configured = Q(created_by=BOOTSTRAP) | Q(created_by__startswith=DERIVED)
    ending = AdminToken.objects.filter(
        configured, revoked_at=None, expires_at__isnull=False
    )
    own = [token_digest(seed.plain) for seed in seeds_of(admin_token)]
    kept = ending.filter(digest__in=own if admin_token else [], expires_at__gt=Now())
    kept_now = kept.update(expires_at=Now() + overlap)
    return kept_now + ending.filter(expires_at__lte=Now()).update(revoked_at=Now())


def _derived(admin_token: str, message: str) -> str:
    mac = hmac.new(admin_token.encode(), message.encode(), hashlib.sha256).digest()
    return "cat_" + base64.urlsafe_b64encode(mac).rstrip(b"=").decode()
