"""Signing keys: made with the zone, sealed to their row, published before they sign."""

from __future__ import annotations

import base64
from datetime import timedelta

import pytest
from django.db import IntegrityError, transaction
from django.db.models.functions import Now
from pytest_django import Settings

from audit.models import AdminAuditEvent, OutboxEvent
from caracal_site import sealing
from caracal_site.actors import Actor
from caracal_site.coordinator.errors import IdentityRevoked, InvalidToken
from caracal_site.errors import ZoneNotFound
from caracal_site.ids import new_id
from caracal_site.testing.client import Coordinator
from caracal_site.testing.races import Threads
from caracal_site.testing.world import World
from tokens import bearer, keys, services
from tokens.errors import RotationPending, SigningKeyNotFound, ZoneHasNoKeys
from tokens.models import SigningKey
from tokens.services.keys import PUBLISH_SECONDS
from tokens.tests.factories import Client, claims_of, sign
from zones.models import Zone


def states(zone: Zone) -> dict[int, str]:
    return dict(SigningKey.objects.in_zone(zone.id).values_list("version", "state"))


def make_due(key: SigningKey) -> None:
    """Moves the key's publication back beyond every verifier's memory."""
    past = Now() - timedelta(seconds=PUBLISH_SECONDS + 1)
    SigningKey.objects.filter(id=key.id).update(created_at=past)


def test_a_new_zone_signs_with_its_first_key(zone: Zone) -> None:
    """W-14: it had none until its first token."""
    key = SigningKey.objects.in_zone(zone.id).get()
    assert (key.version, key.state) == (1, "signing")


def test_the_key_set_has_exactly_the_contract_s_members(zone: Zone) -> None:
    document = services.jwks(zone.id)
    key_id = SigningKey.objects.in_zone(zone.id).get().id
    assert list(document) == ["keys"]
    [jwk] = document["keys"]
    coordinates = {name: jwk.pop(name) for name in ("x", "y")}
    assert jwk == {
        "kty": "EC",
        "crv": "P-256",
        "use": "sig",
        "alg": "ES256",
        "kid": key_id,
    }
    for text in coordinates.values():
        assert "=" not in text
        assert len(base64.urlsafe_b64decode(text + "=")) == 32


def test_coordinates_always_have_32_bytes() -> None:
    made = [keys.generate("zone", "key")[0] for _ in range(400)]
    assert {len(jwk[name]) for jwk in made for name in ("x", "y")} == {43}


def test_a_sealed_key_moved_to_another_row_does_not_open(zone: Zone) -> None:
    """W-15: rows could be swapped."""
    key = SigningKey.objects.in_zone(zone.id).get()
    sealed = bytes(key.sealed_private_key)
    assert keys.private_key(zone.id, key.id, sealed)
    with pytest.raises(sealing.SealBroken):
        keys.private_key(zone.id, new_id(), sealed)
    with pytest.raises(sealing.SealBroken):
        keys.private_key(new_id(), key.id, sealed)


def test_an_altered_sealed_key_does_not_open(zone: Zone) -> None:
    key = SigningKey.objects.in_zone(zone.id).get()
    sealed = bytes(key.sealed_private_key)
    with pytest.raises(sealing.SealBroken):
        keys.private_key(zone.id, key.id, sealed[:-1] + bytes([sealed[-1] ^ 1]))


def test_the_private_key_is_not_stored_in_the_clear(zone: Zone) -> None:
    key = SigningKey.objects.in_zone(zone.id).get()
    private = keys.private_key(zone.id, key.id, bytes(key.sealed_private_key))
    assert bytes(private.as_der(private=True)) not in bytes(key.sealed_private_key)
    assert "d" not in key.public_jwk


def test_a_zone_cannot_have_two_keys_that_sign(zone: Zone) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        SigningKey.objects.create(
            zone=zone, version=2, public_jwk={}, sealed_private_key=b""
        )


def test_a_rotated_key_is_published_before_it_signs(zone: Zone, actor: Actor) -> None:
    """W-16: it signed before verifiers could know it."""
    key = services.rotate_signing_key(zone.id, actor=actor, reason="yearly")
    assert states(zone) == {1: "signing", 2: "published"}
    assert services.jwks(zone.id)["keys"][0]["kid"] == key.id
    services.promote_published_keys()
    assert states(zone) == {1: "signing", 2: "published"}


def test_a_published_key_takes_over_when_every_verifier_may_know_it(
    zone: Zone, client: Client, actor: Actor
) -> None:
    old = sign(zone, claims_of(client))
    make_due(services.rotate_signing_key(zone.id, actor=actor, reason="yearly"))
    services.promote_published_keys()
    assert states(zone) == {1: "retired", 2: "signing"}
    for token in (old, sign(zone, claims_of(client))):
        bearer.check_alive(bearer.authenticate(token))


def test_a_verifier_that_knows_the_zone_learns_a_new_key(
    zone: Zone, client: Client, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    bearer.authenticate(sign(zone, claims_of(client)))
    make_due(services.rotate_signing_key(zone.id, actor=actor, reason="yearly"))
    services.promote_published_keys()
    monkeypatch.setattr(bearer, "COOL_DOWN_SECONDS", 0.0)
    assert bearer.authenticate(sign(zone, claims_of(client)))


def test_a_second_rotation_waits_for_the_first(zone: Zone, actor: Actor) -> None:
    services.rotate_signing_key(zone.id, actor=actor, reason="yearly")
    with pytest.raises(RotationPending):
        services.rotate_signing_key(zone.id, actor=actor, reason="again")


def test_rotation_leaves_evidence_and_news(zone: Zone, actor: Actor) -> None:
    key = services.rotate_signing_key(zone.id, actor=actor, reason="yearly")
    event = AdminAuditEvent.objects.in_zone(zone.id).get(entity_id=key.id)
    assert event.payload_json["event"] == "signing_key.published"
    assert event.payload_json["reason"] == "yearly"
    news = OutboxEvent.objects.filter(zone_id=zone.id, topic="caracal.keys.invalidate")
    assert news.get().payload_json == {"zone_id": zone.id}


def test_a_withdrawn_key_verifies_nothing(
    zone: Zone, client: Client, actor: Actor
) -> None:
    """W-16: a stolen key could not be withdrawn."""
    token = sign(zone, claims_of(client))
    caller = bearer.authenticate(token)
    key = SigningKey.objects.in_zone(zone.id).get()
    services.withdraw_signing_key(key.id, zone_id=zone.id, actor=actor, reason="stolen")
    assert bearer.cached(token) == caller
    with pytest.raises(IdentityRevoked):
        bearer.check_alive(caller)
    bearer.forget_everything()
    with pytest.raises(InvalidToken):
        bearer.authenticate(token)


def test_withdrawing_the_signing_key_makes_the_next_one_sign_at_once(
    zone: Zone, client: Client, actor: Actor
) -> None:
    key = SigningKey.objects.in_zone(zone.id).get()
    services.withdraw_signing_key(key.id, zone_id=zone.id, actor=actor, reason="stolen")
    assert states(zone) == {1: "withdrawn", 2: "signing"}
    assert key.id not in {jwk["kid"] for jwk in services.jwks(zone.id)["keys"]}
    bearer.check_alive(bearer.authenticate(sign(zone, claims_of(client))))


def test_withdrawing_the_signing_key_promotes_the_published_one(
    zone: Zone, actor: Actor
) -> None:
    services.rotate_signing_key(zone.id, actor=actor, reason="yearly")
    first = SigningKey.objects.in_zone(zone.id).get(version=1)
    for _ in range(2):
        services.withdraw_signing_key(
            first.id, zone_id=zone.id, actor=actor, reason="stolen"
        )
    assert states(zone) == {1: "withdrawn", 2: "signing"}


def test_keys_of_another_zone_cannot_be_withdrawn(zone: Zone, actor: Actor) -> None:
    with pytest.raises(SigningKeyNotFound):
        services.withdraw_signing_key(
            new_id(), zone_id=zone.id, actor=actor, reason="stolen"
        )


def test_an_archived_zone_has_no_key_set_and_no_rotation(
    zone: Zone, actor: Actor
) -> None:
    Zone.objects.filter(id=zone.id).update(archived_at=Now())
    with pytest.raises(ZoneHasNoKeys):
        services.jwks(zone.id)
    with pytest.raises(ZoneNotFound):
        services.rotate_signing_key(zone.id, actor=actor, reason="yearly")


def test_a_zone_nobody_made_has_no_key_set() -> None:
    with pytest.raises(ZoneHasNoKeys):
        services.jwks(new_id())


def grow_old(zone: Zone, days: int = 91) -> None:
    past = Now() - timedelta(days=days)
    keys_ = SigningKey.objects.in_zone(zone.id).signing()
    assert keys_.update(signing_at=past) == 1


def test_a_key_that_signed_long_enough_gets_a_successor(zone: Zone) -> None:
    services.rotate_old_keys()
    assert states(zone) == {1: "signing"}
    grow_old(zone)
    services.rotate_old_keys()
    assert states(zone) == {1: "signing", 2: "published"}
    services.rotate_old_keys()
    assert states(zone) == {1: "signing", 2: "published"}
    make_due(SigningKey.objects.get(zone=zone, version=2))
    services.promote_published_keys()
    services.rotate_old_keys()
    assert states(zone) == {1: "retired", 2: "signing"}


def test_keys_are_replaced_by_hand_only_when_that_is_wanted(
    zone: Zone, settings: Settings
) -> None:
    settings.SIGNING_KEY_LIFETIME_DAYS = 0
    grow_old(zone, days=10_000)
    assert services.rotate_old_keys() == 0
    assert states(zone) == {1: "signing"}


@pytest.mark.parametrize("is_due", [False, True])
def test_two_processes_that_rotate_at_once_make_one_key(
    zone: Zone, is_due: bool
) -> None:
    """W-14: nothing made a version unique."""
    grow_old(zone)
    if is_due:
        services.rotate_old_keys()
        make_due(SigningKey.objects.get(zone=zone, version=2))
    turn = services.promote_published_keys if is_due else services.rotate_old_keys
    with Threads(4) as threads:
        for one in [threads.start(turn) for _ in range(4)]:
            one.result()
    made = {1: "retired", 2: "signing"} if is_due else {1: "signing", 2: "published"}
    assert states(zone) == made


def test_a_retired_key_leaves_the_key_set_with_its_last_token(
    zone: Zone, actor: Actor
) -> None:
    """W-16: it left while its tokens lived."""
    make_due(services.rotate_signing_key(zone.id, actor=actor, reason="yearly"))
    services.promote_published_keys()
    services.withdraw_retired_keys()
    assert states(zone) == {1: "retired", 2: "signing"}
    assert len(services.jwks(zone.id)["keys"]) == 2
    past = Now() - timedelta(seconds=3_901)
    SigningKey.objects.filter(zone=zone, version=1).update(retired_at=past)
    services.withdraw_retired_keys()
    assert states(zone) == {1: "withdrawn", 2: "signing"}
    assert len(services.jwks(zone.id)["keys"]) == 1


def test_a_key_that_may_be_stolen_opens_nothing_from_then_on(
    world: World, actor: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even a token that was verified a moment ago."""
    monkeypatch.setattr(bearer, "COOL_DOWN_SECONDS", 0.0)
    token = world.token()
    assert world.get("/agents", token=token).status_code == 200
    key = SigningKey.objects.get(zone=world.zone)
    services.withdraw_signing_key(
        key.id, zone_id=world.zone.id, actor=actor, reason="stolen"
    )
    refused = world.get("/agents", token=token)
    assert (refused.status_code, refused.json()["error"]) == (401, "identity_revoked")
    spawned = world.try_spawn(token=token)
    assert spawned.status_code == 401
    assert world.get("/agents").status_code == 200


def test_the_key_set_says_how_long_it_may_be_kept(
    zone: Zone, coordinator: Coordinator
) -> None:
    answer = coordinator.get(f"/.well-known/jwks.json?zone_id={zone.id}")
    assert answer.headers["Cache-Control"] == "public, max-age=300, must-revalidate"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
