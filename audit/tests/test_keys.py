"""A key that seals evidence can be replaced, and what it sealed goes on verifying."""

from __future__ import annotations

from io import StringIO
from typing import Any

import pytest
from django.core.checks import run_checks
from django.core.management import CommandError, call_command

from audit import seals, verify
from audit.keys import Ring
from audit.ledger import heads, offline, retiring, sealing, verifying
from audit.models import AdminAuditEvent, AuditChain, AuditEvent
from audit.tests.factories import happen
from audit.tests.test_ledger import (
    STRANGERS,
    as_the_owner,
    decide,
    said,
    seal,
    verified,
)
from caracal_site import stores
from caracal_site.ids import new_id
from caracal_site.testing.api import Api
from zones.models import Zone

FIRST, SECOND, THIRD = ("11" * 32, "22" * 32, "33" * 32)


@pytest.fixture
def keys(settings: Any, zone: Zone) -> Any:
    """Puts a key in use; it replaces the ones before. What others have left is sealed
    under the tests' own."""
    seal_trail()
    seal()

    def use(key: str, *before: str) -> None:
        settings.AUDIT_HMAC_KEY = key
        settings.AUDIT_HMAC_KEY_PREVIOUS = list(before)

    use(FIRST)
    return use


def trail(zone_id: str) -> verify.Verified:
    head = seals.published_heads(stores.redis_client()).get(zone_id)
    return verify.verify(zone_id, head)


def seal_trail() -> None:
    assert not seals.seal(stores.redis_client()).error


def test_a_ledger_verifies_whose_keys_were_replaced_twice(keys: Any) -> None:
    zone_id = new_id()
    for given in ((FIRST,), (SECOND, FIRST), (THIRD, FIRST, SECOND)):
        keys(*given)
        decide(zone_id, 3)
        seal()
    found = verified(zone_id)
    assert (found.rows, said(found), found.agreed) == (9, [], 9)


def test_a_trail_verifies_whose_key_was_replaced(keys: Any) -> None:
    zone_id = new_id()
    happen(zone_id, times=2)
    seal_trail()
    keys(SECOND, FIRST)
    found = trail(zone_id)
    assert (found.broken, found.head_known) == (0, True), "its head is still believed"
    happen(zone_id, times=2)
    seal_trail()
    assert trail(zone_id).faults == []


def test_a_key_that_was_forgotten_too_early_is_told_with_its_rows(keys: Any) -> None:
    zone_id = new_id()
    decide(zone_id, 4)
    seal()
    keys(SECOND)
    decide(zone_id, 2)
    seal()
    found = verified(zone_id)
    assert said(found) == [
        (
            1,
            f"#1 to #4 {STRANGERS}",
        )
    ]
    assert found.broken == 4
    keys(SECOND, FIRST)
    assert said(verified(zone_id)) == [], "nothing is lost by it"


def test_a_trail_tells_a_key_that_was_forgotten_too_early(keys: Any) -> None:
    zone_id = new_id()
    happen(zone_id, times=2)
    seal_trail()
    first = AdminAuditEvent.objects.in_zone(zone_id).count()
    keys(SECOND)
    happen(zone_id)
    seal_trail()
    out = StringIO()
    with pytest.raises(CommandError):
        call_command("verify_audit", zone=zone_id, stdout=out)
    assert f"#1 to #{first} {STRANGERS}" in out.getvalue()


def test_who_has_the_replaced_key_adds_to_no_chain_that_went_on(keys: Any) -> None:
    zone_id = new_id()
    decide(zone_id, 2)
    seal()
    keys(SECOND, FIRST)
    decide(zone_id, 2)
    seal()
    keys(FIRST, SECOND)
    decide(zone_id, 1)
    sealing.seal(stores.redis_client())
    keys(SECOND, FIRST)
    assert (5, verifying.OUT_OF_CHAIN) in said(verified(zone_id))


def test_an_edit_below_a_replaced_key_is_found_in_its_place(keys: Any) -> None:
    zone_id = new_id()
    ids = decide(zone_id, 3)
    seal()
    keys(SECOND, FIRST)
    decide(zone_id, 3)
    seal()
    with as_the_owner() as cursor:
        cursor.execute(
            "UPDATE audit_events SET decision = 'allow' WHERE id = %s", [ids[1]]
        )
    assert said(verified(zone_id)) == [(2, "was altered after it was sealed")]


def test_the_sealer_holds_itself_to_heads_of_the_replaced_key(keys: Any) -> None:
    """What was published before the replacement is not forgotten by it."""
    zone_id = new_id()
    decide(zone_id, 3)
    seal()
    keys(SECOND, FIRST)
    with as_the_owner() as cursor:
        for table in ("audit_links", "audit_tree_nodes", "audit_events"):
            cursor.execute(f"DELETE FROM {table} WHERE zone_id = %s", [zone_id])  # noqa: S608
        cursor.execute("DELETE FROM audit_chains WHERE zone_id = %s", [zone_id])
    decide(zone_id, 1)
    outcome = sealing.seal(stores.redis_client())
    assert "does not continue what was published" in outcome.error


def test_a_head_is_told_with_the_key_that_verifies_it(
    keys: Any, api: Api, zone: Zone
) -> None:
    decide(zone.id, 2)
    seal()
    keys(SECOND, FIRST)
    for _ in ("the head from before", "one signed since"):
        told = api.get(f"/v1/zones/{zone.id}/audit/chain").json()
        offline.verify_head(
            told["head"], offline.public_key_of(told["public_key"].encode())
        )
        decide(zone.id)
        seal()
    assert told["head"]["key_id"] == heads.key_id()


def test_what_retention_removed_under_a_replaced_key_is_believed(keys: Any) -> None:
    zone_id = new_id()
    decide(zone_id, 1)
    seal()
    chain = AuditChain.objects.get(zone_id=zone_id)
    before = AuditEvent.objects.get(zone_id=zone_id).occurred_at
    chain.removed_before = before
    chain.removed_mac = retiring.removal_mac(zone_id, before, bytes.fromhex(FIRST))
    keys(SECOND, FIRST)
    assert retiring.removed_before(chain) == before
    keys(SECOND)
    assert retiring.removed_before(chain) is None


@pytest.mark.parametrize("key", ["short", "zz" * 32, "11" * 31])
def test_a_previous_key_that_is_none_is_named_at_the_start(
    settings: Any, key: str
) -> None:
    settings.AUDIT_HMAC_KEY_PREVIOUS = [key]
    (error,) = [one for one in run_checks() if one.id == "caracal.E006"]
    assert "AUDIT_HMAC_KEY_PREVIOUS" in error.msg


def test_a_ring_moves_on_and_never_back(keys: Any) -> None:
    keys(THIRD, FIRST, SECOND)
    one, two, three = (bytes.fromhex(key) for key in (FIRST, SECOND, THIRD))
    ring = Ring()
    told = [ring.accepts(key, bytes) for key in (one, one, two, one, two, three, two)]
    assert told == [True, True, True, False, True, True, False]
