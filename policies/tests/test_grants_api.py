"""Grants on the Management API: records of what users let applications do."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.db.models.functions import Now
from django.utils import timezone

from audit.models import AdminAuditEvent
from caracal_site.ids import new_id
from caracal_site.testing.api import Api, made, refusal
from caracal_site.testing.races import Threads
from caracal_site.times import to_wire
from policies.grants import services
from policies.grants.models import Grant, ProviderGrant
from policies.tests.granting import account, grant_body, make_connectable
from tokens.services.issue import issue_session_token
from tokens.tests.factories import make_client, make_granted, request_of
from zones import services as zones
from zones.models import Application, Resource, Zone
from zones.tests.factories import (
    ACTOR,
    make_application,
    make_dynamic,
    make_resource,
    make_zone,
    told,
)

MEMBERS = {
    "id",
    "zone_id",
    "application_id",
    "user_id",
    "resource_id",
    "scopes",
    "status",
    "created_at",
}


def path(zone: Zone, grant: dict[str, Any] | None = None) -> str:
    base = f"/v1/zones/{zone.id}/grants"
    return f"{base}/{grant['id']}" if grant else base


def record(api: Api, zone: Zone, **changes: Any) -> dict[str, Any]:
    return made(api.post(path(zone), grant_body(zone, **changes)))


def ids(response: Any) -> list[str]:
    assert response.status_code == 200, response.content
    return [row["id"] for row in response.json()]


def test_a_grant_is_recorded_and_read(api: Api, zone: Zone) -> None:
    body = grant_body(zone, scopes=["read", "write", "read"])
    grant = made(api.post(path(zone), body))
    assert grant.keys() == MEMBERS
    assert {name: grant[name] for name in body} == body
    assert grant["status"] == "active"
    assert api.get(path(zone, grant)).json() == grant
    row = AdminAuditEvent.objects.get(entity_type="grants", entity_id=grant["id"])
    assert told(row)["event"] == "grant.created"
    assert told(row)["user_id"] == "ada"


def test_a_list_names_what_grants_are_about(api: Api, zone: Zone) -> None:
    provider, resource = make_connectable(zone)
    application = make_application(zone).application
    grant = record(api, zone, resource_id=resource.id, application_id=application.id)
    (listed,) = api.get(path(zone)).json()
    assert listed == {
        **grant,
        "provider_id": provider.id,
        "application_name": application.name,
        "resource_name": resource.name,
        "provider_name": provider.name,
        "provider_kind": provider.kind,
    }


def test_a_list_is_narrowed(api: Api, zone: Zone) -> None:
    provider, resource = make_connectable(zone)
    one = record(api, zone, user_id="ada", scopes=["read"])
    two = record(
        api, zone, user_id="bob", scopes=["read", "write"], resource_id=resource.id
    )
    assert api.delete(path(zone, one)).status_code == 204
    asked = {
        f"application_id={two['application_id']}": [two],
        "user_id=ada": [one],
        "subject_id=bob": [two],
        "user_id=ada&subject_id=bob": [one],
        f"resource_id={resource.id}": [two],
        f"provider_id={provider.id}": [two],
        "status=revoked": [one],
        "status=active": [two],
        "scopes=read": [two, one],
        "scopes=read,write": [two],
        "scopes=read&scopes=write": [two],
        "search=bo": [two],
        "ordering=user_id": [one, two],
        "user_id=nobody": [],
    }
    for query, wanted in asked.items():
        found = ids(api.get(f"{path(zone)}?{query}"))
        assert found == [row["id"] for row in wanted], query


@pytest.mark.parametrize(
    "query",
    [
        "status=nonsense",
        "scopes=",
        "scopes=A%20B",
        "scopes=read,,write",
        "scopes=read&scopes=",
        "user_id=",
        "user_id=a&user_id=b",
        "colour=red",
        "limit=0",
    ],
)
def test_a_filter_that_is_none_is_refused(api: Api, zone: Zone, query: str) -> None:
    assert refusal(api.get(f"{path(zone)}?{query}")) == (400, "invalid_query")


def test_a_list_leaves_as_a_file(api: Api, zone: Zone) -> None:
    record(api, zone, user_id="=evil")
    answer = api.get(f"{path(zone)}?format=csv&fields=user_id,status")
    text = b"".join(answer.streaming_content).decode()
    assert text.splitlines()[1:] == ["'=evil,active"]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"scopes": []}, "scopes"),
        ({"scopes": ["a b"]}, "scopes"),
        ({"scopes": ["Read"]}, "scopes"),
        ({"scopes": ["read\n"]}, "scopes"),
        ({"scopes": "read"}, "scopes"),
        ({"scopes": ["r"] * 65}, "scopes"),
        ({"scopes": ["r" * 201]}, "scopes"),
        ({"user_id": ""}, "user_id"),
        ({"user_id": 5}, "user_id"),
        ({"user_id": None}, "user_id"),
        ({"application_id": ["x"]}, "application_id"),
        ({"colour": "red"}, "colour"),
        ({"expires_at": "tomorrow"}, "expires_at"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "expires_at"),
    ],
)
def test_a_bad_body_is_refused_with_its_fault(
    api: Api, zone: Zone, change: dict[str, Any], field: str
) -> None:
    answer = api.post(path(zone), {**grant_body(zone), **change})
    assert refusal(answer) == (400, "invalid_body")
    issues = answer.json()["details"]["issues"]
    assert {issue["path"][0] for issue in issues} == {field}
    assert not Grant.objects.in_zone(zone.id).exists()


def test_what_a_grant_is_about_must_be_live_and_of_the_zone(
    api: Api, zone: Zone
) -> None:
    elsewhere = make_zone()
    ended = make_application(zone).application
    zones.archive_application(ended.id, zone_id=zone.id, actor=ACTOR, reason="x")
    expired = make_dynamic(zone)
    Application.objects.filter(id=expired.id).update(
        expires_at=Now() - timedelta(seconds=1)
    )
    foreign = make_application(elsewhere).application
    for id_ in ("nope", ended.id, expired.id, foreign.id):
        answer = api.post(path(zone), grant_body(zone, application_id=id_))
        assert refusal(answer) == (404, "application_not_found")
    for id_ in ("nope", make_resource(elsewhere).id):
        answer = api.post(path(zone), grant_body(zone, resource_id=id_))
        assert refusal(answer) == (404, "resource_not_found")
    answer = api.post(path(zone), grant_body(zone, scopes=["delete"]))
    assert refusal(answer) == (403, "grant_scopes_exceed_resource")
    answer = api.post("/v1/zones/nope/grants", grant_body(zone))
    assert refusal(answer) == (404, "zone_not_found")


def test_a_grant_of_another_zone_is_not_there(api: Api, zone: Zone) -> None:
    grant = record(api, make_zone())
    for method in ("GET", "DELETE"):
        answer = api.request(method, path(zone, grant))
        assert refusal(answer) == (404, "grant_not_found")
    assert Grant.objects.get(id=grant["id"]).status == "active"


def test_the_same_is_granted_once(api: Api, zone: Zone) -> None:
    grant = record(api, zone)
    same = {name: grant[name] for name in ("application_id", "user_id", "resource_id")}
    again = api.post(path(zone), {**same, "scopes": ["write"]})
    assert refusal(again) == (409, "grant_already_active")
    assert again.json()["grant_id"] == grant["id"]
    assert api.delete(path(zone, grant)).status_code == 204
    successor = made(api.post(path(zone), {**same, "scopes": ["write"]}))
    assert successor["id"] != grant["id"]


def test_of_two_at_once_one_is_recorded(zone: Zone) -> None:
    body = grant_body(zone)

    def grant() -> str:
        try:
            return services.create_grant(zone_id=zone.id, actor=ACTOR, **body).status
        except services.granting.errors.GrantAlreadyActive as error:
            return error.code

    with Threads(4) as threads:
        outcomes = sorted(
            future.result(20) for future in [threads.start(grant) for _ in range(4)]
        )
    assert outcomes == ["active", *["grant_already_active"] * 3]


def test_a_repeat_with_its_key_is_the_same_grant(api: Api, zone: Zone) -> None:
    body, key = grant_body(zone), new_id()
    first = made(api.post(path(zone), body, idempotency_key=key))
    again = api.post(path(zone), body, idempotency_key=key)
    assert (again["Idempotency-Replayed"], again.json()) == ("true", first)


def test_a_grant_with_an_end_says_so_and_ends(api: Api, zone: Zone) -> None:
    until = to_wire(timezone.now() + timedelta(hours=1))
    grant = record(api, zone, expires_at=until)
    assert api.get(path(zone, grant)).json()["expires_at"] == until
    services.expire_due_grants()
    assert api.get(path(zone, grant)).json()["status"] == "active"
    past(grant)
    same = {name: grant[name] for name in ("application_id", "user_id", "resource_id")}
    successor = made(api.post(path(zone), {**same, "scopes": ["read"]}))
    assert api.get(path(zone, grant)).json()["status"] == "expired"
    assert "expires_at" not in successor


def test_a_job_ends_grants_whose_time_is_over(api: Api, zone: Zone) -> None:
    until = to_wire(timezone.now() + timedelta(hours=1))
    grant, stays = record(api, zone, expires_at=until), record(api, zone)
    past(grant)
    assert services.expire_due_grants() >= 1
    assert api.get(path(zone, grant)).json()["status"] == "expired"
    assert api.get(path(zone, stays)).json()["status"] == "active"
    row = AdminAuditEvent.objects.filter(entity_id=grant["id"]).latest("position")
    assert told(row)["event"] == "grant.expired"


def past(grant: dict[str, Any]) -> None:
    Grant.objects.filter(id=grant["id"]).update(expires_at=Now() - timedelta(seconds=1))


def test_a_change_of_mind_needs_the_tag_of_now(api: Api, zone: Zone) -> None:
    grant = record(api, zone)
    tag = api.get(path(zone, grant))["ETag"]
    Grant.objects.filter(id=grant["id"]).update(updated_at=Now())
    stale = api.delete(path(zone, grant), if_match=tag)
    assert refusal(stale) == (412, "precondition_failed")
    tag = api.get(path(zone, grant))["ETag"]
    assert api.delete(path(zone, grant), if_match=tag).status_code == 204


def test_grants_end_with_what_they_are_about(api: Api, zone: Zone) -> None:
    """W28: nothing stays active that nobody can use."""
    by_application, by_resource, stays = (record(api, zone) for _ in range(3))
    provider, resource = make_connectable(zone)
    body = account(provider, resource, scopes=["read"], access_token="t")
    stored = made(api.post(f"/v1/zones/{zone.id}/provider-grants", body))
    for collection, thing in (
        ("applications", by_application["application_id"]),
        ("resources", by_resource["resource_id"]),
        ("resources", resource.id),
    ):
        mine = f"/v1/zones/{zone.id}/{collection}/{thing}"
        used = api.get(f"{mine}/used-by").json()["used_by"]
        kind = "provider_grants" if thing == resource.id else "grants"
        assert used[kind]["count"] == 1
        foreseen = api.delete(f"{mine}?dry_run=true").json()["ends"]
        assert foreseen[kind]["count"] == 1
        assert api.delete(mine).status_code == 204
        row = AdminAuditEvent.objects.filter(entity_id=thing).latest("position")
        assert told(row)[f"revoked_{kind}"] == 1
    statuses = [
        api.get(path(zone, grant)).json()["status"]
        for grant in (by_application, by_resource, stays)
    ]
    assert statuses == ["revoked", "revoked", "active"]
    kept = ProviderGrant.objects.get(id=stored["id"])
    assert (kept.status, kept.sealed_tokens) == ("revoked", None)


def test_grants_end_with_their_zone(api: Api) -> None:
    zone = make_zone()
    grant = record(api, zone)
    provider, resource = make_connectable(zone)
    body = account(provider, resource, scopes=["read"], access_token="t")
    made(api.post(f"/v1/zones/{zone.id}/provider-grants", body))
    foreseen = api.delete(f"/v1/zones/{zone.id}?dry_run=true").json()["ends"]
    assert foreseen["grants"]["count"] == foreseen["provider_grants"]["count"] == 1
    assert api.delete(f"/v1/zones/{zone.id}").status_code == 204
    row = Grant.objects.get(id=grant["id"])
    assert (row.status, row.ended_reason) == ("revoked", "zone_archived")
    assert not ProviderGrant.objects.in_zone(zone.id).active().exists()


def test_an_account_ends_with_its_provider(api: Api, zone: Zone) -> None:
    provider, resource = make_connectable(zone)
    body = account(provider, resource, scopes=["read"], access_token="t")
    made(api.post(f"/v1/zones/{zone.id}/provider-grants", body))
    mine = f"/v1/zones/{zone.id}/providers/{provider.id}"
    assert refusal(api.delete(mine)) == (409, "provider_in_use")
    other, _resource = make_connectable(zone)
    changed = {"credential_provider_id": other.id}
    there = f"/v1/zones/{zone.id}/resources/{resource.id}"
    assert api.patch(there, changed).status_code == 200
    foreseen = api.delete(f"{mine}?dry_run=true").json()["ends"]
    assert foreseen["provider_grants"]["count"] == 1
    assert api.delete(mine).status_code == 204
    assert not ProviderGrant.objects.in_zone(zone.id).active().exists()


def test_a_grant_is_a_record_and_decides_nothing(api: Api, zone: Zone) -> None:
    """W26, tokens W-6: tokens are issued by policies alone, with a grant or without."""
    client = make_client(zone)
    identifier = make_granted(zone, client, "agent:lifecycle", "read")
    resource = Resource.objects.get(zone=zone, identifier=identifier)

    def may_begin() -> tuple[str, ...]:
        return issue_session_token(request_of(client, identifier)).target_resources

    before = may_begin()
    grant = record(
        api,
        zone,
        application_id=client.id,
        user_id=client.id,
        resource_id=resource.id,
    )
    assert may_begin() == before == (identifier,)
    assert api.delete(path(zone, grant)).status_code == 204
    assert may_begin() == before


def test_a_zone_token_sees_no_grant_on_the_control_resource(
    api: Api, zone: Zone
) -> None:
    control = {"identifier": "caracal-control", "scopes": ["control:agent:read"]}
    resource = made(api.post(f"/v1/zones/{zone.id}/resources", control))
    scopes = ["control:agent:read"]
    grant = record(api, zone, resource_id=resource["id"], scopes=scopes)
    plain = zones.mint_admin_token(
        "z", actor=ACTOR, scope="zone", zone_id=zone.id
    ).plain
    confined = api.as_(plain)
    assert ids(confined.get(path(zone))) == []
    for method in ("GET", "DELETE"):
        answer = confined.request(method, path(zone, grant))
        assert refusal(answer) == (404, "grant_not_found")
    body = grant_body(zone, resource_id=resource["id"], scopes=scopes)
    assert refusal(confined.post(path(zone), body)) == (404, "resource_not_found")
