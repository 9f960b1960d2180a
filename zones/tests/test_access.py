"""Who comes in with which admin token, decided on the resolved route."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.db import connection
from django.db.models.functions import Now
from django.test.utils import CaptureQueriesContext

from audit.models import AdminAuditEvent
from caracal_site.actors import Actor
from caracal_site.ids import new_id
from caracal_site.testing.api import Api, made, refusal
from caracal_site.testing.races import PATIENCE_SECONDS
from zones import services
from zones.models import AdminToken, Zone
from zones.tests.factories import ACTOR, make_application, make_zone, told


def token(**fields: str) -> str:
    fields.setdefault("scope", "zone" if "zone_id" in fields else "global")
    return services.mint_admin_token("t", actor=ACTOR, **fields).plain


@pytest.fixture
def reserved() -> Zone:
    """One of the platform's own zones."""
    platform = Actor(kind=ACTOR.kind, id="b", name="b", created_by="env-bootstrap")
    return services.create_zone(f"caracal.sys/{new_id()}", actor=platform)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Bearer  ",
        "Bearer cat_wrong",
        "Basic x",
        "bearer {token}",
        "Bearer\t{token}",
        "Bearer " + "x" * 4097,
        "Bearer é",
    ],
)
@pytest.mark.parametrize("path", ["/v1/zones", "/%761/zones", "/v1/nope", "/v1"])
def test_without_a_good_token_nothing_is_told(api: Api, header: str, path: str) -> None:
    nobody = api.as_(None)
    sent = header.replace("{token}", api.token or "")
    answer = nobody.get(path, authorization=sent)
    assert refusal(answer) == (401, "invalid_admin_token")
    assert answer["WWW-Authenticate"].startswith("Bearer")


def test_white_space_around_a_token_is_forgiven(api: Api) -> None:
    answer = api.as_(None).get(
        "/v1/zones?limit=1", authorization=f"Bearer  {api.token} "
    )
    assert answer.status_code == 200


def test_a_revoked_token_is_refused_at_once(api: Api) -> None:
    minted = services.mint_admin_token("t", actor=ACTOR, scope="global")
    other = api.as_(minted.plain)
    assert other.get("/v1/zones?limit=1").status_code == 200
    assert api.delete(f"/v1/admin-tokens/{minted.row.id}").status_code == 204
    assert refusal(other.get("/v1/zones")) == (401, "invalid_admin_token")


@pytest.mark.parametrize("path", ["/v1/zones", "/v1/%7Aones", "/%76%31/zones"])
def test_a_zone_token_stays_in_its_zone(api: Api, zone: Zone, path: str) -> None:
    other = make_zone()
    mine = api.as_(token(zone_id=zone.id))
    assert mine.get(f"{path}/{zone.id}").status_code == 200
    for answer in (
        mine.get(path),
        mine.post(path, {"name": "x"}),
        mine.get(f"{path}/{other.id}"),
        mine.delete(f"{path}/{other.id}"),
        mine.get(f"{path}/nope"),
        mine.get(f"{path}/{other.id}/nope"),
        mine.get("/v1/nope"),
        mine.get("/v1/admin-tokens"),
        mine.post("/v1/admin-tokens", {"name": "x", "scope": "global"}),
    ):
        assert refusal(answer) == (403, "admin_token_zone_mismatch")
    assert refusal(mine.get(f"{path}/{zone.id}/nope")) == (404, "not_found")


def test_a_zone_token_changes_its_zone_but_not_what_it_may_do(
    api: Api, zone: Zone
) -> None:
    mine, path = api.as_(token(zone_id=zone.id)), f"/v1/zones/{zone.id}"
    assert mine.patch(path, {"name": "x"}).status_code == 200
    for answer in (
        mine.patch(path, {"dcr_enabled": True}),
        mine.patch(path, {"operator_governed": True}),
        mine.delete(path),
    ):
        assert refusal(answer) == (403, "admin_token_global_required")


def test_a_zone_token_sees_and_gives_no_authority_through_traits(
    api: Api, zone: Zone
) -> None:
    issued = make_application(zone, traits=["team:a", "control:invoke"])
    mine = api.as_(token(zone_id=zone.id))
    path = f"/v1/zones/{zone.id}/applications"
    assert "traits" not in mine.get(path).json()[0]
    assert "traits" not in mine.get(f"{path}/{issued.application.id}").json()
    assert api.get(path).json()[0]["traits"] == ["team:a", "control:invoke"]
    body = {"name": "x", "registration_method": "managed"}
    for trait in ("control:invoke", "coordinator:scope:coordinator.admin"):
        answer = mine.post(path, {**body, "traits": [trait]})
        assert refusal(answer) == (403, "trait_forbidden")
    made(mine.post(path, {**body, "traits": ["team:b"]}))


def test_a_read_token_only_reads(api: Api, zone: Zone) -> None:
    reader, path = api.as_(token(capability="read")), f"/v1/zones/{zone.id}"
    assert reader.get(path).status_code == reader.head(path).status_code == 200
    for answer in (
        reader.post("/v1/zones", {"name": "x"}),
        reader.patch(path, {}),
        reader.delete(path),
        reader.post("/v1/nope"),
        reader.request("PROPFIND", path),
    ):
        assert refusal(answer) == (403, "admin_token_read_only")


@pytest.mark.parametrize("path", ["/v1/zones", "/v1/%7Aones"])
def test_the_platform_s_zones_are_read_by_all_and_changed_by_none(
    api: Api, reserved: Zone, path: str
) -> None:
    mine = f"{path}/{reserved.id}"
    assert api.get(mine).status_code == 200
    assert api.get(f"{mine}/applications").status_code == 200
    listed = api.get("/v1/zones?limit=20").json()
    assert reserved.id not in {row["id"] for row in listed}
    for answer in (
        api.patch(mine, {"name": "x"}),
        api.delete(mine),
        api.post(f"{mine}/applications", {}),
        api.delete(f"{mine}/resources/x"),
    ):
        assert refusal(answer) == (403, "system_zone_read_only")


def test_the_configured_token_changes_the_platform_s_zones(
    reserved: Zone, settings: object
) -> None:
    configured = Api(settings.CARACAL_ADMIN_TOKEN)  # type: ignore[attr-defined]
    path = f"/v1/zones/{reserved.id}/applications"
    body = {"name": "caracal.sys/worker", "registration_method": "managed"}
    made(configured.post(path, body))


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/zones", "GET, HEAD, POST"),
        ("OPTIONS", "/v1/zones", "GET, HEAD, POST"),
        ("POST", "/v1/zones/{zone}", "DELETE, GET, HEAD, PATCH"),
        ("PUT", "/v1/admin-tokens/x", "DELETE, GET, HEAD"),
        ("GET", "/v1/zones/{zone}/applications/x/rotate-secret", "POST"),
    ],
)
def test_another_method_is_told_which_there_are(
    api: Api, zone: Zone, method: str, path: str, allowed: str
) -> None:
    answer = api.request(method, path.replace("{zone}", zone.id))
    assert refusal(answer) == (405, "method_not_allowed")
    assert set(answer["Allow"].split(", ")) == set(allowed.split(", "))


@pytest.mark.parametrize(
    "path",
    ["/v1", "/v1/", "/v1/zones/", "/v1//zones", "/v1/Zones", "/v1/zones/a/b%0Ac"],
)
def test_paths_are_spelled_one_way(api: Api, path: str) -> None:
    for method in ("GET", "POST"):
        assert refusal(api.request(method, path)) == (404, "not_found")


def test_any_accept_header_gets_json(api: Api, zone: Zone) -> None:
    path = f"/v1/zones/{zone.id}"
    for accept in ("text/html", "image/png", "application/problem+json", ";;;"):
        answer = api.get(path, accept=accept)
        assert answer.status_code == 200
        assert answer["Content-Type"] == "application/json; charset=utf-8"
    problem = api.get("/v1/zones/nope", accept="application/problem+json")
    assert problem["Content-Type"] == "application/problem+json"
    assert problem.json()["code"] == "zone_not_found"


def last_use(token_id: str) -> Any:
    """When the token was used, once that is written down; it is soon."""
    given_up_at = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < given_up_at:
        noted = AdminToken.objects.get(id=token_id).last_used_at
        if noted is not None:
            return noted
    raise AssertionError("the use was never noted")


def test_last_use_is_noted_once_in_a_while_and_not_by_the_request(api: Api) -> None:
    minted = services.mint_admin_token("t", actor=ACTOR, scope="global")
    used = api.as_(minted.plain)
    with CaptureQueriesContext(connection) as captured:
        used.get("/v1/zones?limit=1")
    assert not [one for one in captured.captured_queries if "UPDATE" in one["sql"]]
    first = last_use(minted.row.id)
    used.get("/v1/zones?limit=1")
    services.mark_used(minted.row.id)
    assert last_use(minted.row.id) == first


def test_an_expired_token_opens_nothing(api: Api) -> None:
    minted = services.mint_admin_token(
        "t", actor=ACTOR, scope="global", ttl_seconds=3600
    )
    other = api.as_(minted.plain)
    assert other.get("/v1/zones?limit=1").status_code == 200
    AdminToken.objects.filter(id=minted.row.id).update(expires_at=Now())
    assert refusal(other.get("/v1/zones")) == (401, "invalid_admin_token")


@pytest.mark.parametrize("length", [101, 128])
def test_ids_may_have_128_characters(api: Api, zone: Zone, length: int) -> None:
    path = f"/v1/zones/{zone.id}/applications"
    answer = api.get(f"{path}/{'x' * length}")
    assert refusal(answer) == (404, "application_not_found")
    assert refusal(api.get(f"{path}/{'x' * 129}")) == (400, "invalid_params")
    assert refusal(api.get(f"/v1/zones/{'x' * 128}")) == (404, "zone_not_found")


@pytest.mark.parametrize(
    ("content", "content_type", "refused"),
    [
        (b"{", "application/json", (400, "invalid_zone")),
        (b"", "application/json", (400, "invalid_zone")),
        (b'{"__proto__": {}}', "application/json", (400, "invalid_zone")),
        (b"x", "text/plain", (415, "unsupported_media_type")),
        (b"a=b", "application/x-www-form-urlencoded", (415, "unsupported_media_type")),
        (b" " * 1_100_000, "application/json", (413, "payload_too_large")),
    ],
)
def test_no_body_is_read_before_the_caller_is_known(
    api: Api, zone: Zone, content: bytes, content_type: str, refused: tuple[int, str]
) -> None:
    body = {"content": content, "content_type": content_type}
    reader = api.as_(token(capability="read"))
    for path in ("/v1/zones", "/v1/nope"):
        unknown = api.as_(None).post(path, **body)
        assert refusal(unknown) == (401, "invalid_admin_token")
        assert refusal(reader.post(path, **body)) == (403, "admin_token_read_only")
    assert refusal(api.post("/v1/zones", **body)) == refused
    assert refusal(api.post("/v1/nope", **body)) == (404, "not_found")


def test_answers_are_no_pages_and_kept_by_nobody(api: Api, zone: Zone) -> None:
    here = f"/v1/zones/{zone.id}"
    for answer in (api.get(here), api.get("/v1/nope"), api.as_(None).get(here)):
        assert answer["Cache-Control"] == "no-store"
        assert answer["Referrer-Policy"] == "no-referrer"
        assert answer["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in answer["Content-Security-Policy"]
        assert "Set-Cookie" not in answer
        assert "Access-Control-Allow-Origin" not in answer


@pytest.mark.parametrize(
    ("sent", "is_kept"),
    [
        ("conf.request:1", True),
        ("x" * 128, True),
        ("x" * 129, False),
        ("has blank", False),
        ("<b>", False),
        ("é", False),
        ("", False),
    ],
)
def test_request_ids_are_well_formed_or_replaced(
    api: Api, zone: Zone, sent: str, is_kept: bool
) -> None:
    answer = api.patch(f"/v1/zones/{zone.id}", {"name": new_id()}, x_request_id=sent)
    given = answer["X-Request-ID"]
    assert (given == sent) == is_kept
    assert rows(zone)[-1].request_id == given


def test_a_host_that_is_not_served_here_is_refused(api: Api) -> None:
    answer = api.get("/v1/zones?limit=1", host="elsewhere.example")
    assert refusal(answer) == (400, "bad_request")


def test_errors_come_as_problems_to_who_asks_for_them(api: Api, zone: Zone) -> None:
    accept = "application/problem+json"
    answer = api.post("/v1/zones", {"name": 1}, accept=accept)
    assert answer["Content-Type"] == accept
    problem = answer.json()
    assert problem["status"] == answer.status_code == 400
    assert problem["code"] == "invalid_zone"
    assert problem["details"]["issues"][0]["path"] == ["name"]


class TestRefusalsLeaveEvidence:
    def test_of_known_callers_who_wanted_to_change_something(
        self, api: Api, zone: Zone
    ) -> None:
        mine = api.as_(token(zone_id=zone.id))
        before = rows(zone)
        mine.patch(f"/v1/zones/{zone.id}", {"colour": 1})
        mine.delete(f"/v1/zones/{zone.id}/resources/nope")
        refused = rows(zone)[len(before) :]
        assert [row.status_code for row in refused] == [400, 404]
        assert [told(row)["error"] for row in refused] == [
            "invalid_zone",
            "resource_not_found",
        ]
        assert {row.actor_scope for row in refused} == {"zone"}
        assert refused[1].path == f"/v1/zones/{zone.id}/resources/nope"

    def test_in_the_caller_s_zone_and_never_in_one_it_only_names(
        self, api: Api, zone: Zone
    ) -> None:
        other = make_zone()
        mine = api.as_(token(zone_id=zone.id))
        before, elsewhere = len(rows(zone)), len(rows(other))
        mine.delete(f"/v1/zones/{other.id}")
        assert told(rows(zone)[before:][0])["error"] == ("admin_token_zone_mismatch")
        assert len(rows(other)) == elsewhere

    def test_of_what_a_reader_may_not_see_but_not_of_what_is_not_there(
        self, api: Api, zone: Zone
    ) -> None:
        other = make_zone()
        mine = api.as_(token(zone_id=zone.id))
        before = len(rows(zone))
        mine.get(f"/v1/zones/{other.id}/applications/a1")
        [row] = rows(zone)[before:]
        assert (row.method, row.status_code) == ("GET", 403)
        assert (row.entity_type, row.entity_id) == ("applications", "a1")
        assert row.actor_name == "t"
        mine.get(f"/v1/zones/{zone.id}/resources/nope")
        assert len(rows(zone)) == before + 1

    def test_about_the_thing_that_was_named(self, api: Api, zone: Zone) -> None:
        path, before = f"/v1/zones/{zone.id}", len(rows(zone))
        api.patch(f"{path}/resources/r1", {"colour": 1})
        api.post(f"{path}/applications/a1/rotate-secret")
        api.post(f"{path}/applications", {})
        api.post(f"{path}/nope")
        named = [(row.entity_type, row.entity_id) for row in rows(zone)[before:]]
        assert named == [
            ("resources", "r1"),
            ("applications", "a1"),
            ("zones", zone.id),
        ]

    def test_with_the_actor_when_the_token_does_not_suffice(
        self, api: Api, zone: Zone, reserved: Zone
    ) -> None:
        reader = api.as_(token(capability="read"))
        reader.delete(f"/v1/zones/{zone.id}/applications/a1")
        api.delete(f"/v1/zones/{reserved.id}")
        [row] = AdminAuditEvent.objects.filter(entity_id="a1", status_code=403)[:1]
        assert told(row)["error"] == "admin_token_read_only"
        assert row.actor_name == "t"
        row = rows(reserved)[-1]
        assert told(row)["error"] == "system_zone_read_only"
        assert row.actor_name == "tests"

    def test_but_not_of_strangers(self, api: Api, zone: Zone) -> None:
        before = len(rows(zone))
        api.as_(None).delete(f"/v1/zones/{zone.id}")
        assert len(rows(zone)) == before

    def test_and_a_nul_in_the_path_does_no_harm(self, api: Api, zone: Zone) -> None:
        before = len(rows(zone))
        answer = api.delete(f"/v1/zones/{zone.id}/resources/a%00b")
        assert refusal(answer) == (400, "invalid_params")
        assert len(rows(zone)) in (before, before + 1)


def rows(zone: Zone) -> list[AdminAuditEvent]:
    return list(AdminAuditEvent.objects.in_zone(zone.id).order_by("position"))
