"""Admin tokens: minted, revoked, and taken from the configuration."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db.models.functions import Now

from audit.models import AdminAuditEvent
from caracal_site import bootstrap
from caracal_site.ids import new_id
from caracal_site.testing.api import Api, made, refusal
from caracal_site.testing.races import Threads
from caracal_site.times import from_wire
from zones import errors, services
from zones.models import AdminToken, Zone
from zones.services.configured_tokens import seeds_of
from zones.tests.factories import ACTOR, make_zone, told

PATH = "/v1/admin-tokens"


def test_a_token_is_minted_and_shown_once(api: Api, zone: Zone) -> None:
    given = {"name": " zt ", "scope": "zone", "zone_id": zone.id}
    minted = made(api.post(PATH, given))
    assert minted.keys() == {
        "id",
        "name",
        "scope",
        "capability",
        "zone_id",
        "created_by",
        "created_at",
        "token",
    }
    assert minted["name"] == " zt "
    assert minted["capability"] == "write"
    assert minted["token"].startswith("cat_")
    assert minted["created_by"].startswith("admin:")
    assert api.as_(minted["token"]).get(f"/v1/zones/{zone.id}").status_code == 200
    row = AdminToken.objects.get(id=minted["id"])
    assert minted["token"].encode() not in bytes(row.digest)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"name": "x"}, 400, "invalid_admin_token_request"),
        ({"name": "x", "scope": "all"}, 400, "invalid_admin_token_request"),
        ({"name": "", "scope": "global"}, 400, "invalid_admin_token_request"),
        ({"name": " ", "scope": "global"}, 400, "invalid_admin_token_request"),
        ({"name": "x" * 121, "scope": "global"}, 400, "invalid_admin_token_request"),
        ({"name": "x", "scope": "global", "k": 1}, 400, "invalid_admin_token_request"),
        (
            {"name": "x", "scope": "global", "capability": "all"},
            400,
            "invalid_admin_token_request",
        ),
        ({"name": "x", "scope": "zone"}, 400, "zone_id_required"),
        ({"name": "x", "scope": "zone", "zone_id": "nope"}, 404, "zone_not_found"),
        (
            {"name": "x", "scope": "global", "zone_id": "z"},
            400,
            "zone_id_not_allowed_for_global",
        ),
    ],
)
def test_what_cannot_be_minted_is_refused(
    api: Api, body: Any, status: int, code: str
) -> None:
    assert refusal(api.post(PATH, body)) == (status, code)


def test_tokens_are_listed_without_what_they_are(api: Api) -> None:
    minted = made(api.post(PATH, {"name": new_id(), "scope": "global"}))
    [row] = api.get(f"{PATH}?name={minted['name']}").json()
    assert row.keys() == {
        "id",
        "name",
        "scope",
        "capability",
        "zone_id",
        "created_by",
        "created_at",
        "last_used_at",
        "revoked_at",
    }
    assert row["revoked_at"] is None
    assert api.delete(f"{PATH}/{minted['id']}").status_code == 204
    [row] = api.get(f"{PATH}?name={minted['name']}&revoked=true").json()
    assert row["revoked_at"]
    assert api.get(f"{PATH}?name={minted['name']}&revoked=false").json() == []


def test_a_token_is_revoked_once(api: Api) -> None:
    minted = made(api.post(PATH, {"name": "x", "scope": "global"}))
    assert api.delete(f"{PATH}/{minted['id']}").status_code == 204
    for token_id in (minted["id"], "nope"):
        answer = api.delete(f"{PATH}/{token_id}")
        assert refusal(answer) == (404, "admin_token_not_found")
    answer = api.delete(f"{PATH}/a%20b")
    assert refusal(answer) == (400, "invalid_admin_token_id")


def test_a_caller_may_end_itself(api: Api) -> None:
    minted = made(api.post(PATH, {"name": "x", "scope": "global"}))
    mine = api.as_(minted["token"])
    assert mine.delete(f"{PATH}/{minted['id']}").status_code == 204
    assert mine.get(PATH).status_code == 401


def test_the_token_of_an_archived_zone_opens_nothing(api: Api) -> None:
    zone = make_zone()
    body = {"name": "x", "scope": "zone", "zone_id": zone.id}
    mine = api.as_(made(api.post(PATH, body))["token"])
    api.delete(f"/v1/zones/{zone.id}")
    assert refusal(mine.get(f"/v1/zones/{zone.id}")) == (401, "invalid_admin_token")


def test_the_console_s_tokens_manage_no_tokens(settings: Any) -> None:
    _, reading, writing = seeds_of(settings.CARACAL_ADMIN_TOKEN)
    for seed in (reading, writing):
        answer = Api(seed.plain).get(PATH)
        expected = "admin_token_management_forbidden_for_derived_token"
        assert refusal(answer) == (403, expected)
    assert Api(writing.plain).get("/v1/zones?limit=1").status_code == 200
    answer = Api(reading.plain).post("/v1/zones", {"name": "x"})
    assert refusal(answer) == (403, "admin_token_read_only")
    assert Api(settings.CARACAL_ADMIN_TOKEN).get(f"{PATH}?limit=1").status_code == 200


def test_a_reader_of_all_zones_may_list_tokens(api: Api) -> None:
    body = {"name": "x", "scope": "global", "capability": "read"}
    reader = api.as_(made(api.post(PATH, body))["token"])
    assert reader.get(f"{PATH}?limit=1").status_code == 200


def test_a_token_is_read_by_its_id(api: Api) -> None:
    minted = made(api.post(PATH, {"name": "x", "scope": "global"}))
    [listed] = [row for row in api.get(PATH).json() if row["id"] == minted["id"]]
    assert api.get(f"{PATH}/{minted['id']}").json() == listed
    assert "token" not in listed
    api.delete(f"{PATH}/{minted['id']}")
    assert api.get(f"{PATH}/{minted['id']}").json()["revoked_at"]
    assert refusal(api.get(f"{PATH}/nope")) == (404, "admin_token_not_found")
    assert refusal(api.get(f"{PATH}/a%20b")) == (400, "invalid_admin_token_id")


def test_a_token_may_have_an_end(api: Api) -> None:
    body = {"name": new_id(), "scope": "global", "ttl_seconds": 3600}
    minted = made(api.post(PATH, body))
    ends, begins = from_wire(minted["expires_at"]), from_wire(minted["created_at"])
    assert ends - begins == timedelta(hours=1)
    given = {"name": "y", "scope": "global", "expires_at": "2199-01-01T00:00:00Z"}
    assert made(api.post(PATH, given))["expires_at"] == "2199-01-01T00:00:00.000Z"
    listed = f"{PATH}?name={body['name']}"
    [row] = api.get(f"{listed}&expired=false").json()
    assert row["expires_at"] == minted["expires_at"]
    AdminToken.objects.filter(id=minted["id"]).update(expires_at=Now())
    assert [row["id"] for row in api.get(f"{listed}&expired=true").json()] == [
        minted["id"]
    ]
    assert api.get(f"{listed}&expired=false").json() == []


def test_a_token_without_an_end_has_no_member_for_it(api: Api) -> None:
    minted = made(api.post(PATH, {"name": new_id(), "scope": "global"}))
    assert "expires_at" not in minted
    assert "expires_at" not in api.get(f"{PATH}/{minted['id']}").json()
    [row] = api.get(f"{PATH}?name={minted['name']}&expired=false").json()
    assert "expires_at" not in row


@pytest.mark.parametrize(
    ("members", "path"),
    [
        ({"expires_at": "2001-01-01T00:00:00Z"}, "expires_at"),
        ({"expires_at": "tomorrow"}, "expires_at"),
        ({"expires_at": "2199-01-01T00:00:00+02:00"}, "expires_at"),
        ({"expires_at": 1}, "expires_at"),
        ({"expires_at": None}, "expires_at"),
        ({"ttl_seconds": 0}, "ttl_seconds"),
        ({"ttl_seconds": "60"}, "ttl_seconds"),
        ({"ttl_seconds": 10**9}, "ttl_seconds"),
        ({"ttl_seconds": 60, "expires_at": "2199-01-01T00:00:00Z"}, "ttl_seconds"),
        ({"reason": " "}, "reason"),
    ],
)
def test_an_end_that_is_none_is_refused(
    api: Api, members: dict[str, Any], path: str
) -> None:
    name = new_id()
    answer = api.post(PATH, {"name": name, "scope": "global", **members})
    assert refusal(answer) == (400, "invalid_admin_token_request")
    issues = answer.json()["details"]["issues"]
    assert [issue["path"] for issue in issues] == [[path]]
    assert not AdminToken.objects.filter(name=name).exists()


def test_a_blank_name_is_refused_whoever_mints() -> None:
    for name in ("", " ", "\ufeff\u2003"):
        with pytest.raises(errors.InvalidAdminTokenRequest):
            services.mint_admin_token(name, actor=ACTOR, scope="global")


def test_minting_and_revoking_are_evidence(api: Api) -> None:
    body = {"name": "x", "scope": "global", "capability": "read", "reason": "ci"}
    minted = made(api.post(PATH, body))
    api.delete(f"{PATH}/{minted['id']}")
    events = AdminAuditEvent.objects.filter(entity_id=minted["id"])
    born, ended = events.order_by("position")
    assert told(born) == {
        "event": "admin_token.minted",
        "reason": "ci",
        "changed_fields": ["capability", "name", "scope"],
        "scope": "global",
        "capability": "read",
        "expires_at": None,
    }
    assert told(ended)["event"] == "admin_token.revoked"
    assert told(ended)["reason"]
    assert (born.entity_type, ended.entity_type) == ("admin-tokens",) * 2
    assert minted["token"] not in str(told(born))


def test_a_token_is_revoked_once_however_many_try(api: Api) -> None:
    minted = services.mint_admin_token("x", actor=ACTOR, scope="global").row

    def revoke() -> str:
        try:
            services.revoke_admin_token(minted.id, actor=ACTOR, reason="r")
        except errors.AdminTokenNotFound as gone:
            return gone.code
        return "revoked"

    with Threads(4) as threads:
        started = [threads.start(revoke) for _ in range(4)]
        outcomes = [start.result() for start in started]
    assert sorted(outcomes) == ["admin_token_not_found"] * 3 + ["revoked"]


def test_the_first_console_user_is_made_once() -> None:
    name, users = new_id(), get_user_model().objects
    bootstrap.seed(name, None)
    assert not users.filter(username=name).exists()
    bootstrap.seed(name, "a long enough password")
    bootstrap.seed(name, "another password")
    user = users.get(username=name)
    assert user.is_superuser
    assert user.check_password("a long enough password")
