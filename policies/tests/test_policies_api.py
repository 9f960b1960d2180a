"""Policies and their versions over HTTP."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction

from caracal_site.actors import Actor
from caracal_site.ids import new_id
from caracal_site.testing.api import Api, made, refusal
from caracal_site.testing.evidence import Events
from policies.models import PolicySetMember, PolicySetVersion, PolicyVersion
from policies.tests.factories import (
    HEAD,
    activate,
    base_document,
    document,
    make_policy,
    make_set,
    make_version,
)
from zones import services as zones
from zones.models import Zone
from zones.tests.factories import ACTOR


@pytest.fixture
def path(zone: Zone) -> str:
    return f"/v1/zones/{zone.id}/policies"


def test_a_policy_is_made_with_its_first_version(
    api: Api, path: str, zone: Zone, events: Events
) -> None:
    content = base_document()
    body = made(api.post(path, {"name": " grants ", "content": content}))
    version = body.pop("version")
    assert body == {
        "id": body["id"],
        "version_id": version["id"],
        "zone_id": zone.id,
        "name": "grants",
        "description": None,
    }
    assert version.keys() == {
        "id",
        "policy_id",
        "version",
        "content_sha256",
        "schema_version",
        "created_at",
    }
    assert version["content_sha256"] == hashlib.sha256(content.encode()).hexdigest()
    assert (version["version"], version["schema_version"]) == (1, "2026-05-20")
    left = events.take()
    [row] = left.audit
    assert (row.entity_type, row.entity_id) == ("policies", body["id"])
    assert row.payload_json["event"] == "policy.created"
    assert row.payload_json["changed_fields"] == ["content", "name"]
    assert row.status_code == 201
    assert left.outbox == []


def test_the_digest_is_the_contract_s(zone: Zone) -> None:
    text = HEAD + "restrict := {}\n"
    assert len(text.encode()) == 78
    assert make_policy(zone, text).version.content_sha256 == (
        "f8518d74e39a4504f75e9ac8776a9249bd88438d367f3c89ebf914aa2ffcf135"
    )


def test_a_policy_is_read_with_all_its_versions_newest_first(
    api: Api, path: str
) -> None:
    first = made(api.post(path, {"name": "p", "content": base_document()}))
    second = document(restrict=["x"])
    added = made(api.post(f"{path}/{first['id']}/versions", {"content": second}))
    assert added["version_id"] == added["id"]
    assert (added["policy_id"], added["version"]) == (first["id"], 2)
    found = api.get(f"{path}/{first['id']}").json()
    assert [one["version"] for one in found["versions"]] == [2, 1]
    assert [one["content"] for one in found["versions"]] == [second, base_document()]
    assert {one["archived_at"] for one in found["versions"]} == {None}
    assert found["owner_type"] == "customer"
    assert (found["created_by"], found["co_authored_by_operator"]) == ("tests", False)
    [listed] = api.get(path).json()
    assert listed == {name: found[name] for name in found if name != "versions"}


def test_the_same_content_makes_another_version(api: Api, path: str) -> None:
    body = {"content": base_document()}
    policy = made(api.post(path, {"name": "p", **body}))
    added = [made(api.post(f"{path}/{policy['id']}/versions", body)) for _ in range(2)]
    assert [one["version"] for one in added] == [2, 3]
    assert len({one["content_sha256"] for one in added}) == 1


def test_a_name_is_taken_until_its_policy_is_archived(api: Api, path: str) -> None:
    body = {"name": "p", "content": base_document()}
    policy = made(api.post(path, body))
    assert refusal(api.post(path, body)) == (409, "policy_name_taken")
    assert api.delete(f"{path}/{policy['id']}").status_code == 204
    assert refusal(api.delete(f"{path}/{policy['id']}")) == (404, "policy_not_found")
    assert refusal(api.get(f"{path}/{policy['id']}")) == (404, "policy_not_found")
    assert made(api.post(path, body))["id"] != policy["id"]
    assert len(api.get(path).json()) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"name": ""},
        {"name": "   "},
        {"name": "n" * 201},
        {"name": 1},
        {"name": None},
        {"content": ""},
        {"content": None},
        {"content": ["x"]},
        {"description": 1},
        {"description": "d" * 2001},
        {"owner_type": "two words"},
        {"owner_type": None},
        {"schema_version": 1},
        {"unknown": "x"},
    ],
    ids=str,
)
def test_a_body_with_a_fault_is_refused_and_says_where(
    api: Api, path: str, changes: dict[str, Any]
) -> None:
    response = api.post(path, {"name": "p", "content": base_document(), **changes})
    assert refusal(response) == (400, "invalid_body")
    [issue] = response.json()["details"]["issues"]
    assert issue["path"] == list(changes)


@pytest.mark.parametrize("missing", ["name", "content"])
def test_a_body_without_what_is_needed_is_refused(
    api: Api, path: str, missing: str
) -> None:
    body = {"name": "p", "content": base_document()}
    del body[missing]
    assert refusal(api.post(path, body)) == (400, "invalid_body")


def test_the_platform_s_names_are_its_own(
    api: Api, path: str, zone: Zone, bootstrap_api: Api
) -> None:
    body = {"name": " Caracal.SYS/x", "content": base_document()}
    assert refusal(api.post(path, body)) == (409, "reserved_namespace")
    sets = f"/v1/zones/{zone.id}/policy-sets"
    assert refusal(api.post(sets, {"name": "caracal.sys/x"}))[0] == 409
    assert bootstrap_api.post(path, body).status_code == 201


@pytest.fixture
def bootstrap_api(settings: Any) -> Api:
    return Api(settings.CARACAL_ADMIN_TOKEN)


def test_an_unknown_schema_is_refused(api: Api, path: str) -> None:
    body = {"name": "p", "content": base_document(), "schema_version": "2020-01-01"}
    response = api.post(path, body)
    assert refusal(response) == (422, "invalid_schema_version")
    assert response.json()["detail"] == "unsupported_schema_version:2020-01-01"
    policy = made(api.post(path, {**body, "schema_version": "2026-03-16"}))
    assert policy["version"]["schema_version"] == "2026-03-16"


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (HEAD + "result := {}\n", 6),
        (HEAD + "grants := foo bar baz !!!\n", 6),
        (HEAD + 'restrictions := ["x"]\n', 6),
    ],
    ids=["defines result", "no Rego", "an unknown name"],
)
def test_what_is_no_data_document_is_refused_with_the_place(
    api: Api, path: str, content: str, line: int
) -> None:
    response = api.post(path, {"name": "p", "content": content})
    assert refusal(response) == (422, "invalid_rego")
    body = response.json()
    assert body["detail"]
    assert line in [issue["line"] for issue in body["details"]["issues"]]
    policy = made(api.post(path, {"name": "p", "content": base_document()}))
    again = api.post(f"{path}/{policy['id']}/versions", {"content": content})
    assert refusal(again) == (422, "invalid_rego")
    assert PolicyVersion.objects.filter(policy_id=policy["id"]).count() == 1


def test_too_much_content_is_refused(api: Api, path: str) -> None:
    content = base_document() + "#" * 262_144
    response = api.post(path, {"name": "p", "content": content})
    assert refusal(response) == (422, "invalid_rego")
    assert response.json()["detail"] == "content_too_large"


def test_a_policy_in_use_is_not_archived_and_says_by_what(
    api: Api, path: str, zone: Zone
) -> None:
    version = make_version(zone)
    policy_id = version.members.get().policy_version.policy_id
    response = api.delete(f"{path}/{policy_id}")
    assert refusal(response) == (409, "policy_in_use")
    assert response.json()["used_by"] == [
        {
            "policy_set_id": version.policy_set_id,
            "policy_set_name": version.policy_set.name,
            "policy_set_version_id": version.id,
            "version": 1,
            "active": False,
        }
    ]


def test_what_only_older_versions_of_a_set_use_is_archived(
    api: Api, path: str, zone: Zone
) -> None:
    policy_set = make_set(zone)
    older = make_version(zone, of=policy_set)
    make_version(zone, of=policy_set)
    policy_id = older.members.get().policy_version.policy_id
    activate(older)
    response = api.delete(f"{path}/{policy_id}")
    assert [use["active"] for use in response.json()["used_by"]] == [True]
    activate(make_version(zone, of=policy_set))
    assert api.delete(f"{path}/{policy_id}").status_code == 204


@pytest.mark.parametrize(
    "table", ["policy_versions", "policy_set_versions", "policy_set_members"]
)
def test_versions_cannot_be_changed_or_deleted(zone: Zone, table: str) -> None:
    make_version(zone)
    for statement in (
        f"UPDATE {table} SET id = id",  # noqa: S608
        f"DELETE FROM {table}",  # noqa: S608
        f"TRUNCATE {table} CASCADE",
    ):
        with (
            pytest.raises(DatabaseError, match="append-only"),
            transaction.atomic(),
            connection.cursor() as cursor,
        ):
            cursor.execute(statement)
    assert PolicySetVersion.objects.exists()
    assert PolicySetMember.objects.exists()


def test_another_zone_s_policy_is_nobody_s(api: Api, path: str, actor: Actor) -> None:
    elsewhere = make_policy(zones.create_zone(new_id(), actor=actor)).policy
    for response in (
        api.get(f"{path}/{elsewhere.id}"),
        api.delete(f"{path}/{elsewhere.id}"),
        api.post(f"{path}/{elsewhere.id}/versions", {"content": base_document()}),
    ):
        assert refusal(response) == (404, "policy_not_found")


def test_nothing_is_made_in_a_zone_that_is_not_there(api: Api) -> None:
    body = {"name": "p", "content": base_document()}
    for path in ("policies", "policy-sets"):
        response = api.post(f"/v1/zones/nope/{path}", body)
        assert refusal(response) == (404, "zone_not_found")


def test_only_a_trusted_console_names_another_maker(
    api: Api, path: str, zone: Zone, bootstrap_api: Api
) -> None:
    """W25: any client could forge who made a policy."""
    headers = {
        "x_caracal_authorized_by": "the boss",
        "x_caracal_created_via": "operator",
    }

    def made_by(client: Api, at: str, **members: Any) -> tuple[str, bool]:
        body = made(client.post(at, {"name": new_id(), **members}, **headers))
        found = api.get(f"{at}/{body['id']}").json()
        return found["created_by"], found["co_authored_by_operator"]

    content = {"content": base_document()}
    sets = f"/v1/zones/{zone.id}/policy-sets"
    assert made_by(api, path, **content) == made_by(api, sets) == ("tests", False)
    assert made_by(bootstrap_api, path, **content) == ("the boss", True)
    assert made_by(bootstrap_api, sets) == ("the boss", True)
    zones.change_zone(zone.id, actor=ACTOR, changes={"operator_coauthor_badge": False})
    assert made_by(bootstrap_api, path, **content) == ("the boss", False)


def test_a_repeated_create_is_one_policy(api: Api, path: str) -> None:
    body = {"name": "p", "content": base_document()}
    first = api.post(path, body, idempotency_key="k")
    again = api.post(path, body, idempotency_key="k")
    assert first.json() == again.json()
    assert again["Idempotency-Replayed"] == "true"
    other = api.post(path, {**body, "name": "q"}, idempotency_key="k")
    assert refusal(other) == (409, "idempotency_key_conflict")


def test_the_list_can_be_narrowed_and_paged(api: Api, path: str, zone: Zone) -> None:
    for number in range(3):
        make_policy(zone, name=f"grants {number}")
    make_policy(zone, name="other", owner_type="platform")
    names = [one["name"] for one in api.get(f"{path}?name=GRANTS").json()]
    assert names == ["grants 2", "grants 1", "grants 0"]
    assert len(api.get(f"{path}?owner_type=platform").json()) == 1
    assert refusal(api.get(f"{path}?nmae=x")) == (400, "invalid_query")
    page = api.get(f"{path}?limit=3")
    assert len(page.json()) == 3
    following = page["Link"].partition(">")[0].lstrip("<")
    assert [one["name"] for one in api.get(following).json()] == ["grants 0"]
