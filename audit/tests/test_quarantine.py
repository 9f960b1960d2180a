"""Quarantined decisions are taken in after all, or dismissed; each by somebody."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import orjson
import pytest
import redis
from django.contrib.auth.models import Permission, User
from django.db import connection
from django.test import Client

from audit import quarantine
from audit.errors import DecisionNotQuarantined, DecisionsStillUnfit
from audit.ledger import ingesting
from audit.models import AdminAuditEvent, AuditEvent, AuditQuarantine
from audit.tests.factories import private_valkey
from audit.tests.test_ingesting import KEY, event, send
from audit.tests.test_ledger import seal, verified
from caracal_site.actors import Actor
from caracal_site.api.errors import AdminTokenReadOnly
from caracal_site.console.tests.asking import carry_out, gesture, text
from caracal_site.ids import new_id
from zones.models import Zone

PRODUCER = b"p" * 32
LIST = "/admin/audit/auditquarantine/"


def arrived(client: redis.Redis, body: Any, **given: Any) -> AuditQuarantine:
    """What became of a message that is not taken."""
    place = send(client, body, **given)
    ingesting.ingest(client)
    return AuditQuarantine.objects.get(source_id=place)


@pytest.fixture
def client(settings: Any) -> Iterator[redis.Redis]:
    settings.AUDIT_INGEST_HMAC_KEYS = [KEY.hex()]
    with private_valkey() as server:
        yield server.client


@pytest.fixture
def unknown(client: redis.Redis, zone: Zone) -> AuditQuarantine:
    """A decision of a producer whose key nobody knows yet."""
    return arrived(client, event(zone.id), key=PRODUCER)


@pytest.fixture
def register(settings: Any) -> Any:
    def known() -> None:
        settings.AUDIT_INGEST_HMAC_KEYS = [
            *settings.AUDIT_INGEST_HMAC_KEYS,
            PRODUCER.hex(),
        ]

    return known


def console(*permissions: str) -> Client:
    """Somebody at the console who may do this much; everything unless told."""
    name = new_id()[:30]
    if permissions:
        user = User.objects.create_user(name, password="x" * 12, is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    else:
        user = User.objects.create_superuser(name, password="x" * 12)
    person = Client()
    person.force_login(user)
    return person


def test_a_decision_is_taken_in_once_its_producer_is_known(
    unknown: AuditQuarantine, register: Any, zone: Zone, actor: Actor
) -> None:
    with pytest.raises(DecisionsStillUnfit, match="hmac_verify_failed"):
        quarantine.take_in([unknown.id], actor=actor, reason="too early")
    register()
    done = quarantine.take_in([unknown.id], actor=actor, reason="key registered")
    assert (done.taken, dict(done.left)) == ((unknown.id,), {})
    seal()
    found = verified(zone.id)
    assert (found.rows, found.broken) == (1, 0)
    row = AuditEvent.objects.get(zone_id=zone.id)
    assert row.id == orjson.loads(unknown.data)["id"], "under its own id"
    (audit,) = AdminAuditEvent.objects.filter(entity_id=unknown.id)
    assert (
        audit.zone_id,
        audit.payload_json["event"],
        audit.payload_json["reason"],
    ) == (
        zone.id,
        "audit_quarantine.taken",
        "key registered",
    )
    with pytest.raises(DecisionNotQuarantined):
        quarantine.take_in([unknown.id], actor=actor, reason="again")


def test_what_still_does_not_fit_stays_with_its_reason(
    unknown: AuditQuarantine,
    register: Any,
    client: redis.Redis,
    zone: Zone,
    actor: Actor,
) -> None:
    nowhere = arrived(client, event(new_id()))
    register()
    ids = [unknown.id, nowhere.id]
    done = quarantine.take_in(ids, actor=actor, reason="both")
    assert (done.taken, dict(done.left)) == (
        (unknown.id,),
        {nowhere.id: "unknown_zone"},
    )
    nowhere.refresh_from_db()
    assert nowhere.settled_at is None
    assert not AdminAuditEvent.objects.filter(entity_id=nowhere.id).exists()


def test_another_text_under_a_known_id_is_never_taken_in(
    client: redis.Redis,
    zone: Zone,
    actor: Actor,
) -> None:
    first = event(zone.id)
    send(client, first)
    forged = arrived(client, {**first, "decision": "deny"})
    assert forged.reason == "tamper_on_replay"
    with pytest.raises(DecisionsStillUnfit, match="tamper_on_replay"):
        quarantine.take_in([forged.id], actor=actor, reason="please")
    assert AuditEvent.objects.get(zone_id=zone.id).decision == "allow"


def test_what_was_kept_only_in_part_is_not_what_was_signed(
    client: redis.Redis,
    zone: Zone,
    register: Any,
    actor: Actor,
) -> None:
    large = event(zone.id, metadata_json={"text": "x" * ingesting.KEPT_DATA})
    row = arrived(client, large, key=PRODUCER)
    register()
    with pytest.raises(DecisionsStillUnfit):
        quarantine.take_in([row.id], actor=actor, reason="please")


def test_a_decision_that_came_again_by_itself_is_settled_as_taken(
    unknown: AuditQuarantine,
    register: Any,
    client: redis.Redis,
    zone: Zone,
    actor: Actor,
) -> None:
    register()
    send(client, unknown.data.encode(), key=PRODUCER)
    ingesting.ingest(client)
    done = quarantine.take_in([unknown.id], actor=actor, reason="the same")
    assert done.taken == (unknown.id,)
    assert AuditEvent.objects.filter(zone_id=zone.id).count() == 1


def test_two_people_at_once_take_in_once(
    unknown: AuditQuarantine, register: Any, zone: Zone, actor: Actor
) -> None:
    register()
    together, found = threading.Barrier(2), []

    def run() -> None:
        together.wait()
        try:
            quarantine.take_in([unknown.id], actor=actor, reason="at once")
            found.append("taken")
        except DecisionNotQuarantined:
            found.append("refused")
        connection.close()

    threads = [threading.Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == ["refused", "taken"]
    assert AuditEvent.objects.filter(zone_id=zone.id).count() == 1


@pytest.mark.parametrize("verb", [quarantine.take_in, quarantine.dismiss])
def test_only_a_writer_settles_and_only_where_it_may_look(
    verb: Any, unknown: AuditQuarantine, register: Any, actor: Actor
) -> None:
    register()
    with pytest.raises(AdminTokenReadOnly):
        verb([unknown.id], actor=replace(actor, can_write=False), reason="why not")
    with pytest.raises(DecisionNotQuarantined):
        verb([unknown.id], actor=replace(actor, zone_id="elsewhere"), reason="why not")
    with pytest.raises(DecisionNotQuarantined):
        verb([unknown.id, new_id()], actor=actor, reason="one is none")
    unknown.refresh_from_db()
    assert unknown.settled_at is None


def test_a_dismissed_decision_stays_to_be_read(
    unknown: AuditQuarantine, zone: Zone, actor: Actor
) -> None:
    quarantine.dismiss([unknown.id], actor=actor, reason="a test of theirs")
    unknown.refresh_from_db()
    assert (unknown.settled_at is None, unknown.is_taken) == (False, False)
    assert not AuditEvent.objects.filter(zone_id=zone.id).exists()
    (audit,) = AdminAuditEvent.objects.filter(entity_id=unknown.id)
    assert audit.payload_json["reason"] == "a test of theirs"


def test_the_console_takes_in_what_its_preview_says(
    unknown: AuditQuarantine, register: Any, zone: Zone
) -> None:
    person = console()
    before = text(person.get(gesture(unknown, "take-in")))
    assert "1 decision would still not fit: hmac_verify_failed" in before
    register()
    assert "would still not fit" not in text(person.get(gesture(unknown, "take-in")))
    answer = carry_out(
        person, gesture(unknown, "take-in"), reason="registered", confirmed="1"
    )
    shown = text(person.get(answer.url))
    assert "1 decision taken in." in shown
    assert "registered" in shown, "its history is on its page"
    assert unknown.source_id not in text(person.get(f"{LIST}?state=open"))
    assert AuditEvent.objects.filter(zone_id=zone.id).exists()


def test_the_console_dismisses_with_a_reason(unknown: AuditQuarantine) -> None:
    person = console()
    page = gesture(unknown, "dismiss")
    assert "This field is required" in text(carry_out(person, page, confirmed="1"))
    answer = carry_out(person, page, confirmed="1", reason="not ours")
    assert "1 decision dismissed." in text(person.get(answer.url))


@pytest.mark.parametrize("name", ["take-in", "dismiss"])
def test_who_may_only_look_settles_nothing(unknown: AuditQuarantine, name: str) -> None:
    person = console("view_auditquarantine")
    assert person.get(LIST).status_code == 200
    assert person.get(gesture(unknown, name)).status_code == 403
    assert person.post(gesture(unknown, name), {"reason": "x"}).status_code == 403
    unknown.refresh_from_db()
    assert unknown.settled_at is None
