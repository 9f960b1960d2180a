"""The admin tokens of the configuration: rotation locks nobody out."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now

from audit.models import AdminAuditEvent
from caracal_site.ids import new_id
from caracal_site.testing.api import Api, made
from caracal_site.testing.races import Threads
from zones import services, tasks
from zones.models import AdminToken
from zones.services.configured_tokens import BOOTSTRAP, seeds_of
from zones.tests.factories import make_zone, told

PATH = "/v1/admin-tokens"


@pytest.fixture(autouse=True)
def restored(settings: Any) -> Iterator[None]:
    """Each test ends with the configuration as all the others know it."""
    services.seed_bootstrap(settings.CARACAL_ADMIN_TOKEN)
    yield
    services.seed_bootstrap(settings.CARACAL_ADMIN_TOKEN)


def fresh() -> str:
    return f"cat_{new_id()}"


def opens(plain: str) -> bool:
    return Api(plain).get("/v1/zones?limit=1").status_code == 200


def rows_of(configured: str) -> Any:
    digests = [services.token_digest(seed.plain) for seed in seeds_of(configured)]
    return AdminToken.objects.filter(digest__in=digests, revoked_at=None)


def all_open(configured: str) -> bool:
    return all(opens(seed.plain) for seed in seeds_of(configured))


def none_opens(configured: str) -> bool:
    return not any(opens(seed.plain) for seed in seeds_of(configured))


def let_overlap_pass(configured: str) -> None:
    rows_of(configured).filter(expires_at__isnull=False).update(expires_at=Now())


def test_going_on_and_back_locks_nobody_out(settings: Any) -> None:
    first, second = fresh(), fresh()
    for current, former in ((first, None), (second, first), (first, second)):
        services.seed_bootstrap(current)
        assert all_open(current)
        if former:
            assert all_open(former)
            let_overlap_pass(former)
            assert none_opens(former)
            services.keep_configured(current)
            assert not rows_of(former).exists()
        assert all_open(current)


def test_without_an_overlap_the_one_before_ends_at_once(settings: Any) -> None:
    first, second = fresh(), fresh()
    services.seed_bootstrap(first)
    settings.BOOTSTRAP_TOKEN_OVERLAP_SECONDS = 0
    services.seed_bootstrap(second)
    assert all_open(second)
    assert none_opens(first)


def test_a_replaced_token_goes_on_while_a_worker_is_configured_with_it(
    settings: Any,
) -> None:
    old, new = fresh(), fresh()
    services.seed_bootstrap(old)
    services.seed_bootstrap(new)
    rows_of(old).update(expires_at=Now() + timedelta(seconds=5))
    before = rows_of(old).first().expires_at
    settings.CARACAL_ADMIN_TOKEN = old
    tasks.keep_configured_tokens()
    assert rows_of(old).first().expires_at > before
    settings.CARACAL_ADMIN_TOKEN = new
    tasks.keep_configured_tokens()
    assert all_open(old)
    assert all_open(new)
    assert set(rows_of(new).values_list("expires_at", flat=True)) == {None}


def test_releases_that_start_in_any_order_leave_each_other_in(settings: Any) -> None:
    old, new = fresh(), fresh()
    for configured in (old, new, old, new, old):
        services.seed_bootstrap(configured)
        assert all_open(old)
    assert all_open(new)


def test_what_is_over_is_not_prolonged(settings: Any) -> None:
    old, new = fresh(), fresh()
    services.seed_bootstrap(old)
    services.seed_bootstrap(new)
    let_overlap_pass(old)
    assert services.keep_configured(old) >= 3
    assert none_opens(old)
    assert not rows_of(old).exists()


def test_starting_again_changes_nothing_and_records_nothing(settings: Any) -> None:
    live = rows_of(settings.CARACAL_ADMIN_TOKEN).order_by("id")
    before = list(live)
    services.seed_bootstrap(settings.CARACAL_ADMIN_TOKEN)
    assert list(live) == before
    assert len(before) == 3
    seeded = AdminAuditEvent.objects.filter(entity_id__in=[row.id for row in before])
    count = seeded.count()
    services.seed_bootstrap(settings.CARACAL_ADMIN_TOKEN)
    assert seeded.count() == count


def test_a_token_revoked_by_hand_stays_so_until_the_next_start(
    api: Api, settings: Any
) -> None:
    token = settings.CARACAL_ADMIN_TOKEN
    row = rows_of(token).get(created_by=BOOTSTRAP)
    assert api.delete(f"{PATH}/{row.id}").status_code == 204
    assert not opens(token)
    services.keep_configured(token)
    assert not opens(token)
    services.seed_bootstrap(token)
    assert opens(token)
    assert AdminToken.objects.get(id=row.id).revoked_at is not None


def test_a_minted_token_may_become_the_configured_one(api: Api) -> None:
    zone = make_zone()
    body = {"name": "x", "scope": "zone", "zone_id": zone.id}
    minted = made(api.post(PATH, body))
    services.seed_bootstrap(minted["token"])
    assert opens(minted["token"])


def test_rotation_is_evidence(settings: Any) -> None:
    token = fresh()
    services.seed_bootstrap(token)
    row = rows_of(token).get(created_by=BOOTSTRAP)
    event = AdminAuditEvent.objects.get(entity_id=row.id)
    assert told(event)["event"] == "admin_token.seeded"
    assert told(event)["superseded_tokens"] >= 1
    assert event.zone_id is None


def test_no_token_seeds_and_keeps_nothing(settings: Any) -> None:
    before = AdminToken.objects.count()
    services.seed_bootstrap("")
    services.keep_configured("")
    assert AdminToken.objects.count() == before


def test_two_that_start_at_once_make_one_row_each() -> None:
    token = fresh()
    with Threads(4) as threads:
        started = [threads.start(services.seed_bootstrap, token) for _ in range(4)]
    assert [start.result() for start in started] == [None] * 4
    assert rows_of(token).count() == 3
