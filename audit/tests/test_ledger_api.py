"""Heads and proofs of the ledger over the Management API."""

from __future__ import annotations

from typing import Any

import pytest

from audit.ledger import checking, heads, merkle
from audit.models import AdminAuditEvent, AuditChain
from audit.tests.test_ledger import as_the_owner, decide, seal
from caracal_site import stores
from caracal_site.actors import Actor
from caracal_site.testing.api import Api, refusal
from zones.models import Zone


def path(zone: Zone, rest: str = "") -> str:
    return f"/v1/zones/{zone.id}/audit/chain{rest}"


def got(api: Api, zone: Zone, rest: str = "") -> Any:
    response = api.get(path(zone, rest))
    assert response.status_code == 200, response.content
    return response.json()


def raw(hashes: list[str]) -> list[bytes]:
    return [bytes.fromhex(one) for one in hashes]


def test_an_empty_ledger_has_the_root_of_nothing(api: Api, zone: Zone) -> None:
    body = got(api, zone)
    assert (body["tree_size"], body["head"]) == (0, None)
    assert body["root_hash"].startswith("e3b0c442")
    assert refusal(api.get(path(zone, "/inclusion?event_id=x"))) == (
        404,
        "ledger_empty",
    )
    assert refusal(api.get(path(zone, "/consistency?first=1"))) == (404, "ledger_empty")


def test_the_head_is_signed_and_counts_what_waits(api: Api, zone: Zone) -> None:
    decide(zone.id, 3)
    seal()
    decide(zone.id)
    body = got(api, zone)
    assert (body["tree_size"], body["waiting"]) == (3, 1)
    head = heads.verified(body["head"])
    assert head is not None
    assert (head.tree_size, head.root_hash) == (3, body["root_hash"])
    assert body["public_key"].startswith("-----BEGIN PUBLIC KEY-----")


def test_every_decision_can_be_proved_to_be_there(api: Api, zone: Zone) -> None:
    ids = decide(zone.id, 5)
    seal()
    root = got(api, zone)["root_hash"]
    for nth, id_ in enumerate(ids):
        proof = got(api, zone, f"/inclusion?event_id={id_}")
        assert (proof["leaf_index"], proof["chain_seq"]) == (nth, str(nth + 1))
        assert proof["root_hash"] == root
        assert merkle.proves_inclusion(
            bytes.fromhex(proof["content_sha256"]),
            nth,
            5,
            raw(proof["path"]),
            bytes.fromhex(root),
        )
    smaller = got(api, zone, f"/inclusion?event_id={ids[0]}&tree_size=2")
    assert (smaller["tree_size"], len(smaller["path"])) == (2, 1)


def test_growth_can_be_proved(api: Api, zone: Zone) -> None:
    decide(zone.id, 3)
    seal()
    before = got(api, zone)
    decide(zone.id, 4)
    seal()
    proof = got(api, zone, "/consistency?first=3")
    assert (proof["first"], proof["second"]) == (3, 7)
    assert proof["first_root_hash"] == before["root_hash"]
    roots = [bytes.fromhex(proof[name]) for name in ("first_root_hash", "root_hash")]
    assert merkle.proves_consistency(3, 7, raw(proof["path"]), *roots)
    assert got(api, zone, "/consistency?first=7")["path"] == []


@pytest.mark.parametrize(
    ("rest", "status", "code"),
    [
        ("/inclusion", 400, "invalid_query"),
        ("/inclusion?event_id=", 400, "invalid_query"),
        ("/inclusion?event_id=a&event_id=b", 400, "invalid_query"),
        ("/inclusion?event_id=nope", 404, "event_not_sealed"),
        ("/inclusion?event_id={id}&tree_size=4", 400, "invalid_query"),
        ("/inclusion?event_id={id}&tree_size=0", 400, "invalid_query"),
        ("/inclusion?event_id={id}&tree_size=x", 400, "invalid_query"),
        (
            "/inclusion?event_id={id}&tree_size=99999999999999999999",
            400,
            "invalid_query",
        ),
        ("/inclusion?event_id={id}&more=1", 400, "invalid_query"),
        ("/consistency", 400, "invalid_query"),
        ("/consistency?first=0", 400, "invalid_query"),
        ("/consistency?first=4", 400, "invalid_query"),
        ("/consistency?first=3&second=2", 400, "invalid_query"),
        ("/consistency?first=1&second=4", 400, "invalid_query"),
        ("?limit=1", 400, "invalid_query"),
    ],
)
def test_bad_questions_are_refused(
    api: Api, zone: Zone, rest: str, status: int, code: str
) -> None:
    ids = decide(zone.id, 3)
    seal()
    answer = api.get(path(zone, rest.format(id=ids[0])))
    assert refusal(answer) == (status, code)


def test_a_decision_of_another_zone_is_not_proved(
    api: Api, zone: Zone, elsewhere: Zone
) -> None:
    decide(zone.id)
    [foreign] = decide(elsewhere.id)
    seal()
    answer = api.get(path(zone, f"/inclusion?event_id={foreign}"))
    assert refusal(answer) == (404, "event_not_sealed")


def test_a_tree_with_holes_proves_nothing(api: Api, zone: Zone) -> None:
    ids = decide(zone.id, 4)
    seal()
    with as_the_owner() as cursor:
        cursor.execute("DELETE FROM audit_links WHERE event_id = %s", [ids[1]])
    answer = api.get(path(zone, f"/inclusion?event_id={ids[0]}"))
    assert refusal(answer) == (409, "ledger_broken")


def test_a_verification_is_kept_and_in_the_audit_trail(
    api: Api, zone: Zone, actor: Actor
) -> None:
    ids = decide(zone.id, 3)
    seal()
    client = stores.redis_client()
    assert not checking.check(zone.id, actor=actor, client=client).broken
    assert got(api, zone)["verification"]["rows"] == 3
    with as_the_owner() as cursor:
        cursor.execute("DELETE FROM audit_events WHERE id = %s", [ids[1]])
    AuditChain.objects.filter(zone_id=zone.id).update(verified_at=None)
    assert "is broken" in checking.check_some(client).error
    body = got(api, zone)
    assert body["verification"]["faults"][0]["seq"] == 2
    assert body["verified_at"]
    trail = AdminAuditEvent.objects.in_zone(zone.id).about(zone.id)
    assert trail.filter(entity_type="ledgers").count() == 1
