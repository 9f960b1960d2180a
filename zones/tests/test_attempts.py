"""Callers nobody knows: limited, counted, recorded once, not looked up for long."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from audit.models import AdminAuditEvent
from caracal_site import rates
from caracal_site.api import attempts
from caracal_site.errors import CaracalError, RateLimited, RetryLater
from caracal_site.ids import new_id
from caracal_site.tasks import worker_heartbeat
from caracal_site.testing.api import Api, made, refusal
from zones import services
from zones.models import Zone
from zones.tests.factories import ACTOR, told

LIMIT = 3
# Enough to pass the limit on one side of a turning minute.
TRIES = 2 * LIMIT + 2


@pytest.fixture(autouse=True)
def limited(settings: Any) -> Iterator[None]:
    settings.ADMIN_AUTH_FAIL_LIMIT_PER_MIN = LIMIT
    attempts.blocked.clear()
    yield
    attempts.blocked.clear()


@pytest.fixture
def guesser() -> Api:
    """Somebody who has tried too often this minute."""
    guesser = Api(None)
    for _ in range(TRIES):
        guesser.token = f"cat_{new_id()}"
        guesser.get("/v1/zones")
    return guesser


def failed_rows(source: str) -> list[AdminAuditEvent]:
    return list(AdminAuditEvent.objects.filter(entity_type="sources", entity_id=source))


def test_failures_are_limited_by_source_and_tell_when_to_come_again() -> None:
    nobody = Api("cat_wrong")
    answers = [nobody.get("/v1/zones") for _ in range(TRIES)]
    assert [answer.status_code for answer in answers[:LIMIT]] == [401] * LIMIT
    limited = [answer for answer in answers if answer.status_code == 429]
    assert refusal(limited[0]) == (429, "rate_limited")
    assert 1 <= int(limited[0]["Retry-After"]) <= 60
    assert Api("cat_wrong").get("/v1/zones").status_code == 401


def test_neither_stores_are_asked_on_behalf_of_a_guesser(
    guesser: Api, settings: Any
) -> None:
    guesser.get("/v1/zones")  # has the digests in force read
    settings.REDIS_URL = "redis://127.0.0.1:1/0"  # nobody is there
    rates._sync_client.cache_clear()
    before = rates.unavailable._value.get()
    try:
        with CaptureQueriesContext(connection) as captured:
            answers = []
            for _ in range(20):
                guesser.token = f"cat_{new_id()}"
                answers.append(guesser.get("/v1/zones"))
    finally:
        rates._sync_client.cache_clear()
    assert {refusal(answer) for answer in answers} == {(429, "rate_limited")}
    assert rates.unavailable._value.get() == before
    # At most the digests in force, once for each second this took.
    assert len(captured) <= 3


def test_a_token_in_force_opens_wherever_somebody_guesses(
    guesser: Api, api: Api
) -> None:
    """Minted after the guesses, too."""
    assert guesser.get("/v1/zones").status_code == 429
    guesser.token = api.token
    for _ in range(2 * LIMIT):
        assert guesser.get("/v1/zones?limit=1").status_code == 200


def test_a_revoked_token_is_no_longer_in_force_for_a_guesser(guesser: Api) -> None:
    minted = services.mint_admin_token("t", actor=ACTOR, scope="global")
    digest = services.token_digest(minted.plain)
    services.revoke_admin_token(minted.row.id, actor=ACTOR, reason="r")
    guesser.token = minted.plain
    assert guesser.get("/v1/zones").status_code in (401, 429)
    assert services.find_caller(digest) is None


def test_the_limit_is_off_at_nought(settings: Any) -> None:
    settings.ADMIN_AUTH_FAIL_LIMIT_PER_MIN = 0
    nobody = Api("cat_wrong")
    assert {nobody.get("/v1/zones").status_code for _ in range(TRIES)} == {401}


def test_failures_leave_one_row_a_minute_and_none_in_a_zone(zone: Zone) -> None:
    nobody = Api("cat_wrong")
    before = AdminAuditEvent.objects.in_zone(zone.id).count()
    counted = attempts.failures.labels("management-api")._value.get()
    for _ in range(TRIES):
        nobody.delete(f"/v1/zones/{zone.id}")
    rows = failed_rows(nobody.address)
    # The minute may have turned.
    assert 1 <= len(rows) <= 2
    assert rows[0].zone_id is None
    assert rows[0].actor_id is rows[0].actor_name is rows[0].actor_scope is None
    assert rows[0].status_code == 401
    assert rows[0].path == f"/v1/zones/{zone.id}"
    assert told(rows[0]) == {
        "event": "authentication.failed",
        "error": "invalid_admin_token",
        "door": "management-api",
        "source": nobody.address,
    }
    assert AdminAuditEvent.objects.in_zone(zone.id).count() == before
    now = attempts.failures.labels("management-api")._value.get()
    assert now == counted + TRIES


def test_a_process_that_knows_nothing_of_the_row_leaves_it_alone() -> None:
    from audit import authentication

    nobody = Api("cat_wrong")
    nobody.get("/v1/zones")
    authentication._minute._seen.clear()
    nobody.get("/v1/zones")
    assert 1 <= len(failed_rows(nobody.address)) <= 2


@pytest.mark.parametrize("path", ["/v1/zones/%00x", "/v1/" + "x" * 5_000, "/v1/%ff%fe"])
def test_hostile_paths_are_recorded_as_far_as_they_can_be(path: str) -> None:
    nobody = Api(None)
    assert nobody.get(path).status_code == 401
    [row, *_] = failed_rows(nobody.address)
    assert len(row.path) <= 512


@pytest.fixture
def no_redis(settings: Any) -> Iterator[None]:
    """A port nobody listens at."""
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    rates._sync_client.cache_clear()
    yield
    rates._sync_client.cache_clear()
    rates._paused_until = 0.0


@pytest.mark.usefixtures("no_redis")
def test_without_redis_nobody_is_limited(api: Api, settings: Any) -> None:
    settings.API_V1_RATE_LIMIT_PER_MIN = 1
    before = rates.unavailable._value.get()
    nobody = Api("cat_wrong")
    assert {nobody.get("/v1/zones").status_code for _ in range(TRIES)} == {401}
    assert {api.get("/v1/zones?limit=1").status_code for _ in range(4)} == {200}
    made(api.post("/v1/zones", {"name": new_id()}))
    assert rates.unavailable._value.get() > before


@pytest.mark.usefixtures("no_redis")
def test_only_readiness_tells_that_redis_is_away(settings: Any) -> None:
    settings.READY_RATE_LIMIT_PER_MIN = 1
    settings.API_READY_OUTBOX_DEAD_MAX = 1_000_000
    worker_heartbeat()
    for _ in range(3):
        answer = Api(None).get("/ready")
        assert refusal(answer) == (503, "redis_unreachable")
        assert answer.json()["dependency"] == "redis"
    assert Api(None).get("/health").json() == {"ok": True}


def test_every_refusal_for_coming_too_often_says_when_to_come_again() -> None:
    kinds, pending = set(), [CaracalError]
    while pending:
        kind = pending.pop()
        pending += kind.__subclasses__()
        if kind.status == 429:
            kinds.add(kind)
    assert RateLimited in kinds
    # No waiting makes room deeper down in a tree of agents.
    forever = {"agent_depth_limit_exceeded"}
    silent = {kind.code for kind in kinds if not issubclass(kind, RetryLater)}
    assert silent <= forever


def test_known_callers_are_limited_each_for_itself(api: Api, settings: Any) -> None:
    settings.API_V1_RATE_LIMIT_PER_MIN = LIMIT
    answers = [api.get("/v1/zones?limit=1") for _ in range(TRIES)]
    limited = [answer for answer in answers if answer.status_code == 429]
    assert refusal(limited[0]) == (429, "rate_limited")
    assert 1 <= int(limited[0]["Retry-After"]) <= 60
    other = services.mint_admin_token("t", actor=ACTOR, scope="global").plain
    elsewhere = Api(other)
    elsewhere.address = api.address
    assert elsewhere.get("/v1/zones?limit=1").status_code == 200
    assert {api.get("/health").status_code for _ in range(TRIES)} == {200}


def test_refused_callers_are_limited_too(api: Api, zone: Zone, settings: Any) -> None:
    settings.API_V1_RATE_LIMIT_PER_MIN = LIMIT
    reader = services.mint_admin_token(
        "t", actor=ACTOR, scope="global", capability="read"
    )
    mine = api.as_(reader.plain)
    answers = [mine.delete(f"/v1/zones/{zone.id}") for _ in range(TRIES)]
    assert {answer.status_code for answer in answers} == {403, 429}
