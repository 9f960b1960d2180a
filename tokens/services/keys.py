"""Signing keys of zones: made with the zone, published before they sign (D27)."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Max
from django.db.models.functions import Now

from audit import record
from caracal_site import locks, sealing, statements
from caracal_site.actors import Actor, system
from caracal_site.errors import ZoneNotFound
from caracal_site.ids import new_id
from tokens import keys
from tokens.errors import RotationPending, SigningKeyNotFound, ZoneHasNoKeys
from tokens.events import SigningKeyPublished, SigningKeyTookOver, SigningKeyWithdrawn
from tokens.models import SigningKey, SigningKeyState
from tokens.querysets import SigningKeyQuerySet
from zones.models import Zone

# The longest a verifier keeps a key set without asking again (contract: tokens.md 12).
PUBLISH_SECONDS = 600
# How far clocks may be apart, and what verifiers allow for that.
CLOCKS_SECONDS = 300


@transaction.atomic
def create_first_key(zone: Zone, *, actor: Actor) -> SigningKey:
    """The key a new zone signs with. Leaves no evidence of its own: the zone's
    creation, in the same transaction, by the same ``actor``, is the evidence."""
    return _create(zone.id, 1, SigningKeyState.SIGNING)


@transaction.atomic
def rotate_signing_key(zone_id: str, *, actor: Actor, reason: str) -> SigningKey:
    """Publishes the zone's next key, which takes over after ``PUBLISH_SECONDS``.

    Raises ZoneNotFound, or RotationPending while another one waits.
    """
    existing = _lock_keys(zone_id)
    if existing.filter(state=SigningKeyState.PUBLISHED).exists():
        raise RotationPending
    key = _create(zone_id, _next_version(zone_id), SigningKeyState.PUBLISHED)
    event = SigningKeyPublished(zone_id=zone_id, entity_id=key.id, version=key.version)
    record.record(actor, event, reason=reason)
    return key


@transaction.atomic
def withdraw_signing_key(
    key_id: str, *, zone_id: str, actor: Actor, reason: str
) -> SigningKey:
    """Ends all trust in a key at once: for a stolen one.

    When it was the one that signs, the next key signs from now on, whether verifiers
    know it yet or not. Withdrawing a withdrawn key changes nothing. Raises
    ZoneNotFound or SigningKeyNotFound.
    """
    existing = _lock_keys(zone_id)
    key = existing.filter(id=key_id).first()
    if key is None:
        raise SigningKeyNotFound
    if key.state == SigningKeyState.WITHDRAWN:
        return key
    signed = key.state == SigningKeyState.SIGNING
    existing.filter(id=key_id).update(
        state=SigningKeyState.WITHDRAWN, withdrawn_at=Now()
    )
    key.refresh_from_db()
    if signed and not existing.filter(state=SigningKeyState.PUBLISHED).update(
        state=SigningKeyState.SIGNING, signing_at=Now()
    ):
        _create(zone_id, _next_version(zone_id), SigningKeyState.SIGNING)
    event = SigningKeyWithdrawn(zone_id=zone_id, entity_id=key_id, version=key.version)
    record.record(actor, event, reason=reason)
    return key


def rotate_old_keys() -> int:
    """Publishes the next key of every zone whose key has signed for longer than
    ``SIGNING_KEY_LIFETIME_DAYS`` (0: never); returns how many.

    Another process that does the same at the same time gets RotationPending.
    """
    if not settings.SIGNING_KEY_LIFETIME_DAYS:
        return 0
    seconds = settings.SIGNING_KEY_LIFETIME_DAYS * 86_400
    rotated = 0
    for (zone_id,) in statements.fetch_all("tokens/keys_old", {"seconds": seconds}):
        with suppress(RotationPending, ZoneNotFound):
            rotate_signing_key(
                str(zone_id), actor=system("rotate-signing-keys"), reason="lifetime"
            )
            rotated += 1
    return rotated


def withdraw_retired_keys() -> int:
    """Takes the keys out of the key sets whose last token has expired; returns how
    many."""
    seconds = int(settings.SESSION_TOKEN_MAX_TTL_SECONDS) + CLOCKS_SECONDS
    done = 0
    for zone_id, key_id in statements.fetch_all(
        "tokens/keys_retired", {"seconds": seconds}
    ):
        with suppress(ZoneNotFound, SigningKeyNotFound):
            withdraw_signing_key(
                str(key_id),
                zone_id=str(zone_id),
                actor=system("withdraw-signing-keys"),
                reason="its last token has expired",
            )
            done += 1
    return done


def promote_published_keys() -> int:
    """Lets every key that was published long enough take over; returns how many did."""
    due = statements.fetch_all("tokens/keys_due", {"publish_seconds": PUBLISH_SECONDS})
    return sum(_promote(str(zone_id), str(key_id)) for zone_id, key_id in due)


@transaction.atomic
def _promote(zone_id: str, key_id: str) -> bool:
    existing = _lock_keys(zone_id)
    key = existing.filter(id=key_id, state=SigningKeyState.PUBLISHED).first()
    if key is None:
        return False
    existing.filter(state=SigningKeyState.SIGNING).update(
        state=SigningKeyState.RETIRED, retired_at=Now()
    )
    existing.filter(id=key_id).update(state=SigningKeyState.SIGNING, signing_at=Now())
    event = SigningKeyTookOver(zone_id=zone_id, entity_id=key_id, version=key.version)
    record.record(system("promote-signing-keys"), event)
    return True


def reseal_signing_keys() -> sealing.Resealing:
    """Seals private keys under the present sealing key."""

    def write(key_id: str, before: bytes, after: bytes) -> None:
        SigningKey.objects.filter(id=key_id).update(sealed_private_key=after)

    rows = SigningKey.objects.values_list("zone_id", "id", "sealed_private_key")
    return sealing.reseal(rows.iterator(), keys.seal_identity, write)


def jwks(zone_id: str) -> dict[str, Any]:
    """The JWK set of a live zone: every key that is not withdrawn, newest first.

    Raises ZoneHasNoKeys.
    """
    found = (
        SigningKey.objects.in_zone(zone_id)
        .published()
        .filter(zone__archived_at=None)
        .order_by("-version")
        .values_list("public_jwk", flat=True)
    )
    published = list(found)
    if not published:
        raise ZoneHasNoKeys
    return {"keys": published}


def _lock_keys(zone_id: str) -> SigningKeyQuerySet:
    """The zone's keys, which nobody else changes until the transaction ends."""
    if not Zone.objects.live().filter(id=zone_id).exists():
        raise ZoneNotFound
    locks.lock(locks.LockClass.SIGNING_KEYS, zone_id)
    return SigningKey.objects.in_zone(zone_id)


def _next_version(zone_id: str) -> int:
    newest = SigningKey.objects.in_zone(zone_id).aggregate(newest=Max("version"))
    return int(newest["newest"] or 0) + 1


def _create(zone_id: str, version: int, state: SigningKeyState) -> SigningKey:
    key_id = new_id()
    public_jwk, sealed = keys.generate(zone_id, key_id)
    return SigningKey.objects.create(
        id=key_id,
        zone_id=zone_id,
        version=version,
        state=state,
        public_jwk=public_jwk,
        sealed_private_key=sealed,
        signing_at=Now() if state == SigningKeyState.SIGNING else None,
    )
