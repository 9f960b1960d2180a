"""Applications on the Management API."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import redis
from django import conf
from django.db.models.functions import Now

from audit.models import AdminAuditEvent
from caracal_site.ids import new_id
from caracal_site.testing.api import Api, made, refusal
from caracal_site.testing.world import World
from zones import services, tasks
from zones.models import Application, GatewayBinding, GatewayBindingRevision, Zone
from zones.tests.factories import (
    ACTOR,
    expire,
    make_application,
    make_dynamic,
    make_resource,
    make_zone,
    told,
)

ISSUED = {
    "id",
    "zone_id",
    "name",
    "registration_method",
    "traits",
    "expires_at",
    "created_at",
    "client_secret",
}
BODY = {"name": "App", "registration_method": "managed"}
GOOD_SECRET = "correct-horse-battery-staple-1234567"


def path(zone: Zone, rest: str = "") -> str:
    return f"/v1/zones/{zone.id}/applications{rest}"


def row(application_id: str) -> Application:
    return Application.objects.get(id=application_id)


def test_an_application_is_issued_with_a_secret_shown_once(
    api: Api, zone: Zone
) -> None:
    body = {**BODY, "name": " App One ", "traits": ["team:a"]}
    issued = made(api.post(path(zone), body))
    assert issued.keys() == ISSUED
    assert issued["name"] == "App One"
    assert issued["expires_at"] is None
    assert issued["client_secret"].startswith("cs_")
    assert len(issued["client_secret"]) == 46
    read = api.get(path(zone, f"/{issued['id']}")).json()
    assert read == {key: issued[key] for key in ISSUED - {"client_secret"}}
    assert read["traits"] == ["team:a"]
    assert api.get(path(zone)).json() == [read]
    assert services.verify_client_secret(row(issued["id"]), issued["client_secret"])


def test_managed_names_are_unique_without_regard_to_case(api: Api, zone: Zone) -> None:
    first = made(api.post(path(zone), BODY))
    again = {**BODY, "name": "aPP"}
    assert refusal(api.post(path(zone), again)) == (409, "application_name_taken")
    other = made(api.post(path(zone), {**BODY, "name": "two"}))
    taken = api.patch(path(zone, f"/{other['id']}"), {"name": "APP"})
    assert refusal(taken) == (409, "application_name_taken")
    own = api.patch(path(zone, f"/{first['id']}"), {"name": "APP"})
    assert own.json() == {**api.get(path(zone, f"/{first['id']}")).json()}
    assert own.json()["name"] == "APP"
    assert api.delete(path(zone, f"/{first['id']}")).status_code == 204
    made(api.post(path(zone), again))


@pytest.mark.parametrize(
    "body",
    [
        {"name": "x"},
        {**BODY, "registration_method": "dcr"},
        {**BODY, "name": " "},
        {**BODY, "name": "x" * 201},
        {**BODY, "k": 1},
        {**BODY, "traits": "t"},
        {**BODY, "traits": [1]},
        {**BODY, "traits": {"0": "t"}},
        {**BODY, "traits": None},
    ],
)
def test_what_is_no_application_is_refused(api: Api, zone: Zone, body: Any) -> None:
    assert refusal(api.post(path(zone), body)) == (400, "invalid_application")


@pytest.mark.parametrize(
    ("traits", "code"),
    [
        (["a b"], "trait_invalid"),
        (["a", "a"], "trait_duplicate"),
        ([f"t{n}" for n in range(33)], "trait_count_exceeded"),
        (["control:odd"], "trait_invalid"),
    ],
)
def test_a_bad_trait_is_refused(
    api: Api, zone: Zone, traits: list[str], code: str
) -> None:
    answer = api.post(path(zone), {**BODY, "traits": traits})
    assert refusal(answer) == (403, code)
    assert answer.json()["detail"]


def test_a_self_registered_application_gets_no_authority_by_traits(
    api: Api, zone: Zone
) -> None:
    application = make_dynamic(zone)
    mine = path(zone, f"/{application.id}")
    assert api.patch(mine, {"traits": ["team:a"]}).status_code == 200
    answer = api.patch(mine, {"traits": ["control:invoke"]})
    assert refusal(answer) == (403, "trait_forbidden")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "no_fields"),
        ({"client_secret": "short"}, 400, "invalid_application"),
        ({"client_secret": " " * 40}, 400, "invalid_application"),
        ({"client_secret": GOOD_SECRET * 20}, 400, "invalid_application"),
        ({"colour": 1}, 400, "invalid_application"),
        ({"name": "caracal.sys/x"}, 409, "reserved_namespace"),
        ({"name": None}, 400, "invalid_application"),
    ],
)
def test_a_bad_change_is_refused(
    api: Api, zone: Zone, body: Any, status: int, code: str
) -> None:
    application = make_application(zone).application
    answer = api.patch(path(zone, f"/{application.id}"), body)
    assert refusal(answer) == (status, code)


@pytest.mark.parametrize(
    ("method", "rest"),
    [
        ("GET", ""),
        ("PATCH", ""),
        ("DELETE", ""),
        ("POST", "/rotate-secret"),
    ],
)
def test_another_zone_s_application_is_not_there(
    api: Api, zone: Zone, method: str, rest: str
) -> None:
    elsewhere = make_application(make_zone()).application
    body = {"name": "x"} if method == "PATCH" else None
    answer = api.request(method, path(zone, f"/{elsewhere.id}{rest}"), body)
    assert refusal(answer) == (404, "application_not_found")


class TestSecrets:
    def test_a_rotation_leaves_the_one_before_valid_for_a_while(
        self, api: Api, zone: Zone
    ) -> None:
        first = make_application(zone)
        mine = path(zone, f"/{first.application.id}/rotate-secret")
        second = api.post(mine).json()
        assert second.keys() == ISSUED
        application = row(first.application.id)
        assert services.verify_client_secret(application, second["client_secret"])
        assert services.verify_client_secret(application, first.client_secret)
        third = api.post(mine).json()
        application = row(first.application.id)
        assert not services.verify_client_secret(application, first.client_secret)
        assert services.verify_client_secret(application, second["client_secret"])
        assert services.verify_client_secret(application, third["client_secret"])

    def test_the_overlap_ends(self, api: Api, zone: Zone) -> None:
        first = make_application(zone)
        api.post(path(zone, f"/{first.application.id}/rotate-secret"))
        Application.objects.filter(id=first.application.id).update(
            previous_secret_expires_at=Now() - timedelta(seconds=1)
        )
        application = row(first.application.id)
        assert not services.verify_client_secret(application, first.client_secret)
        ended = application.previous_secret_expires_at
        assert ended is not None
        for now, valid in ((ended - timedelta(seconds=1), True), (ended, False)):
            assert valid == services.verify_client_secret(
                application, first.client_secret, now=now
            )

    def test_the_overlap_may_be_chosen(self, api: Api, zone: Zone) -> None:
        first = make_application(zone)
        mine = path(zone, f"/{first.application.id}/rotate-secret")
        api.post(mine, {"overlap_seconds": 86_400})
        until = row(first.application.id).previous_secret_expires_at
        assert until is not None
        rotated_at = row(first.application.id).secret_rotated_at
        assert until - rotated_at == timedelta(days=1)
        second = api.post(mine, {"overlap_seconds": 0}).json()
        application = row(first.application.id)
        assert application.previous_secret_digest is None
        assert not services.verify_client_secret(application, first.client_secret)
        assert services.verify_client_secret(application, second["client_secret"])

    @pytest.mark.parametrize(
        "body",
        [
            {"overlap_seconds": -1},
            {"overlap_seconds": 604_801},
            {"overlap_seconds": "60"},
            {"overlap_seconds": None},
            {"overlap": 60},
            {"revoke_live": "yes"},
            [],
        ],
    )
    def test_a_bad_rotation_is_refused(self, api: Api, zone: Zone, body: Any) -> None:
        first = make_application(zone)
        mine = path(zone, f"/{first.application.id}/rotate-secret")
        assert refusal(api.post(mine, body)) == (400, "invalid_application")
        assert services.verify_client_secret(
            row(first.application.id), first.client_secret
        )

    def test_an_empty_body_is_as_good_as_none(self, api: Api, zone: Zone) -> None:
        mine = path(zone, f"/{make_application(zone).application.id}/rotate-secret")
        answer = api.post(mine, content=b"", content_type="application/json")
        assert answer.status_code == 200

    def test_a_secret_may_be_brought_along(self, api: Api, zone: Zone) -> None:
        first, own = make_application(zone), GOOD_SECRET
        mine = path(zone, f"/{first.application.id}")
        assert api.patch(mine, {"client_secret": own}).status_code == 200
        application = row(first.application.id)
        assert services.verify_client_secret(application, own)
        assert services.verify_client_secret(application, first.client_secret)
        assert not services.verify_client_secret(application, own + "x")
        assert not services.verify_client_secret(application, "")

    def test_a_secret_is_one_application_s_only(self, zone: Zone) -> None:
        one, other = make_application(zone), make_application(zone)
        assert not services.verify_client_secret(one.application, other.client_secret)
        Application.objects.filter(id=one.application.id).update(
            secret_digest=other.application.secret_digest
        )
        swapped = row(one.application.id)
        assert not services.verify_client_secret(swapped, other.client_secret)

    def test_what_has_expired_gets_no_new_one(self, api: Api, zone: Zone) -> None:
        application = make_dynamic(zone)
        expire(application)
        mine = path(zone, f"/{application.id}")
        for answer in (
            api.post(f"{mine}/rotate-secret"),
            api.patch(mine, {"client_secret": GOOD_SECRET}),
        ):
            assert refusal(answer) == (409, "application_expired")

    def test_no_secret_is_ever_read_again(
        self, api: Api, zone: Zone, caplog: pytest.LogCaptureFixture
    ) -> None:
        issued = made(api.post(path(zone), BODY, idempotency_key="k"))
        mine = path(zone, f"/{issued['id']}")
        own = "own-secret-" + new_id()
        api.patch(mine, {"client_secret": own})
        rotated = api.post(f"{mine}/rotate-secret").json()["client_secret"]
        minted = made(api.post("/v1/admin-tokens", {"name": "x", "scope": "global"}))
        trail = AdminAuditEvent.objects.filter(
            entity_id__in=[issued["id"], minted["id"]]
        )
        seen = "".join(
            [
                api.get(path(zone)).content.decode(),
                api.get(mine).content.decode(),
                api.get("/v1/admin-tokens").content.decode(),
                str([(event.payload_json, event.path) for event in trail]),
                caplog.text,
            ]
        )
        assert trail.count() == 4
        for secret in (issued["client_secret"], own, rotated, minted["token"]):
            assert secret not in seen

    def test_a_replacement_is_told_in_the_trail(self, api: Api, zone: Zone) -> None:
        issued = make_application(zone)
        mine = path(zone, f"/{issued.application.id}")
        api.patch(mine, {"name": "uno", "client_secret": GOOD_SECRET})
        api.post(f"{mine}/rotate-secret", {"overlap_seconds": 60})
        changed, rotated = AdminAuditEvent.objects.filter(
            entity_id=issued.application.id
        ).order_by("position")[1:]
        assert told(changed)["changed_fields"] == ["name"]
        assert told(changed)["secret_rotated"] is True
        assert told(rotated)["secret_rotated"] is True
        assert told(rotated)["overlap_seconds"] == 60
        assert told(rotated)["reason"]
        assert "terminated_agents" not in told(rotated)


class TestSelfRegistration:
    def test_must_be_switched_on(self, api: Api, zone: Zone) -> None:
        answer = api.post(path(zone, "/dcr"), {"name": "d"})
        assert refusal(answer) == (403, "dcr_disabled")

    def test_makes_an_application_for_a_while(self, api: Api, zone: Zone) -> None:
        make_dynamic(zone)
        body = {"name": "d", "expires_in": 600}
        issued = made(api.post(path(zone, "/dcr"), body))
        assert issued.keys() == ISSUED
        assert issued["registration_method"] == "dcr"
        application = row(issued["id"])
        assert application.expires_at is not None
        assert application.expires_at - application.created_at == timedelta(seconds=600)
        made(api.post(path(zone, "/dcr"), body))

    def test_never_takes_the_name_of_a_managed_one(self, api: Api, zone: Zone) -> None:
        application = make_dynamic(zone)
        make_application(zone, "Payroll")
        answers = (
            api.post(path(zone, "/dcr"), {"name": " payROLL"}),
            api.patch(path(zone, f"/{application.id}"), {"name": "PAYROLL"}),
        )
        for answer in answers:
            assert refusal(answer) == (409, "application_name_taken")
        made(api.post(path(zone, "/dcr"), {"name": application.name}))

    @pytest.mark.parametrize("seconds", [0, 3601, 1.5, "60", True, 2**62])
    def test_is_for_an_hour_at_most(self, api: Api, zone: Zone, seconds: Any) -> None:
        answer = api.post(path(zone, "/dcr"), {"name": "d", "expires_in": seconds})
        assert refusal(answer) == (400, "invalid_application")

    def test_takes_no_traits(self, api: Api, zone: Zone) -> None:
        answer = api.post(path(zone, "/dcr"), {"name": "d", "traits": []})
        assert refusal(answer) == (400, "invalid_application")

    def test_is_limited_by_number(self, api: Api, zone: Zone, settings: Any) -> None:
        settings.MAX_DCR_APPLICATIONS_PER_ZONE = 2
        first = make_dynamic(zone)
        make_dynamic(zone)
        answer = api.post(path(zone, "/dcr"), {"name": "d"})
        assert refusal(answer) == (429, "dcr_limit_exceeded")
        expire(first)
        made(api.post(path(zone, "/dcr"), {"name": "d"}))

    def test_is_limited_by_rate(self, api: Api, zone: Zone, settings: Any) -> None:
        settings.DCR_RATE_LIMIT_PER_SEC = 1
        answers = [api.post(path(zone, "/dcr"), {"name": "d"}) for _ in range(12)]
        limited = [answer for answer in answers if answer.status_code == 429]
        assert limited
        assert refusal(limited[0]) == (429, "dcr_rate_limit_exceeded")
        assert limited[0]["Retry-After"] == "1"

    def test_is_never_limited_for_good(self, api: Api, zone: Zone) -> None:
        make_dynamic(zone)
        made(api.post(path(zone, "/dcr"), {"name": "d"}))
        assert counters(zone.id)
        assert all(0 < seconds <= 60 for seconds in counters(zone.id))

    def test_is_not_counted_where_there_is_no_zone(self, api: Api) -> None:
        nowhere = new_id()
        answer = api.post(f"/v1/zones/{nowhere}/applications/dcr", {"name": "d"})
        assert refusal(answer) == (404, "zone_not_found")
        assert counters(nowhere) == []

    def test_ends_by_itself(self, api: Api, zone: Zone) -> None:
        gone, living = make_dynamic(zone), make_dynamic(zone)
        expire(gone)
        tasks.archive_expired_applications()
        answer = api.get(path(zone, f"/{gone.id}"))
        assert refusal(answer) == (404, "application_not_found")
        assert api.get(path(zone, f"/{living.id}")).status_code == 200
        event = AdminAuditEvent.objects.filter(entity_id=gone.id).latest("position")
        assert told(event)["event"] == "application.archived"
        assert told(event)["reason"] == "expired"
        assert (event.method, event.actor_scope) == ("JOB", "system")


class TestArchiving:
    def test_ends_all_the_application_does(self, api: Api, world: World) -> None:
        other = world.make_application()
        agent, foreign = world.spawn(), world.spawn(by=other)
        edge = world.delegate(agent, foreign)
        mine = path(world.zone, f"/{world.application.id}")
        assert api.delete(mine).status_code == 204
        assert world.agent(agent).status == "terminated"
        assert world.edge(edge).status == "revoked"
        session = world.session()
        session.refresh_from_db()
        assert session.status == "revoked"
        assert refusal(api.delete(mine)) == (404, "application_not_found")

    def test_unbinds_what_it_fronted_and_leaves_it_changeable(
        self, api: Api, zone: Zone
    ) -> None:
        application = make_application(zone).application
        resource = make_resource(zone, gateway_application_id=application.id)
        revision = GatewayBindingRevision.objects.get(zone=zone).version
        assert api.delete(path(zone, f"/{application.id}")).status_code == 204
        assert GatewayBindingRevision.objects.get(zone=zone).version > revision
        assert not GatewayBinding.objects.filter(zone=zone).exists()
        mine = f"/v1/zones/{zone.id}/resources/{resource.id}"
        assert api.get(mine).json()["gateway_application_id"] is None
        assert api.patch(mine, {"name": "renamed"}).status_code == 200

    def test_goes_through_one_service_whoever_asks(self, zone: Zone) -> None:
        application = make_application(zone).application
        services.archive_application(
            application.id, zone_id=zone.id, actor=ACTOR, reason="because"
        )
        event = AdminAuditEvent.objects.filter(entity_id=application.id).latest(
            "position"
        )
        assert told(event)["reason"] == "because"
        assert told(event)["changed_fields"] == []


def counters(zone_id: str) -> list[int]:
    """The lives left to the counters of a zone's registrations, in seconds."""
    store = redis.Redis.from_url(conf.settings.REDIS_URL)
    with store:
        return [store.ttl(key) for key in store.scan_iter(f"*rate:dcr:{zone_id}:*")]
