"""Who comes in with which admin token, decided on the resolved route."""

from __future__ import annotations

import pytest

from audit.models import AdminAuditEvent
from caracal_site.actors import Actor
from caracal_site.ids import new_id
from caracal_site.testing.api import Api, made, refusal
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


def test_failures_are_limited_by_address_and_successes_are_not(
    api: Api, settings: object
) -> None:
    settings.ADMIN_AUTH_FAIL_LIMIT_PER_MIN = 3  # type: ignore[attr-defined]
    nobody = Api("cat_wrong")
    # Enough to pass the limit on one side of a turning minute.
    answers = [nobody.get("/v1/zones") for _ in range(8)]
    assert [answer.status_code for answer in answers[:3]] == [401] * 3
    limited = next(answer for answer in answers if answer.status_code == 429)
    assert refusal(limited) == (429, "rate_limited")
    assert int(limited["Retry-After"]) >= 1
    nobody.token = api.token
    assert nobody.get("/v1/zones?limit=1").status_code == 200


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
        ("GET", "/v1/admin-tokens/x", "DELETE"),
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


def test_last_use_is_noted_once_in_a_while(api: Api) -> None:
    minted = services.mint_admin_token("t", actor=ACTOR, scope="global")
    used = api.as_(minted.plain)
    used.get("/v1/zones?limit=1")
    first = AdminToken.objects.get(id=minted.row.id).last_used_at
    assert first is not None
    used.get("/v1/zones?limit=1")
    assert AdminToken.objects.get(id=minted.row.id).last_used_at == first


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

    def test_but_not_of_readers_or_strangers(self, api: Api, zone: Zone) -> None:
        before = len(rows(zone))
        api.get(f"/v1/zones/{zone.id}/resources/nope")
        api.as_(None).delete(f"/v1/zones/{zone.id}")
        assert len(rows(zone)) == before

    def test_and_a_nul_in_the_path_does_no_harm(self, api: Api, zone: Zone) -> None:
        before = len(rows(zone))
        answer = api.delete(f"/v1/zones/{zone.id}/resources/a%00b")
        assert refusal(answer) == (400, "invalid_params")
        assert len(rows(zone)) in (before, before + 1)


def rows(zone: Zone) -> list[AdminAuditEvent]:
    return list(AdminAuditEvent.objects.in_zone(zone.id).order_by("position"))
