"""Admin tokens: minted, revoked, and taken from the configuration."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model

from caracal_site import bootstrap
from caracal_site.ids import new_id
from caracal_site.testing.api import Api, made, refusal
from zones import services
from zones.models import AdminToken, Zone
from zones.services.admin_tokens import BOOTSTRAP, seeds_of
from zones.tests.factories import make_zone

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


class TestSeeding:
    """Runs under the configured token's lock; ends with the configuration restored."""

    @pytest.fixture(autouse=True)
    def restored(self, settings: Any) -> Any:
        yield
        services.seed_bootstrap(settings.CARACAL_ADMIN_TOKEN)

    def works(self, token: str) -> bool:
        return Api(token).get("/v1/zones?limit=1").status_code == 200

    def test_going_on_and_back_locks_nobody_out(self) -> None:
        first, second = f"cat_{new_id()}", f"cat_{new_id()}"
        for current, former in ((first, None), (second, first), (first, second)):
            services.seed_bootstrap(current)
            assert all(self.works(seed.plain) for seed in seeds_of(current))
            if former:
                assert not any(self.works(seed.plain) for seed in seeds_of(former))

    def test_seeding_again_changes_nothing(self, settings: Any) -> None:
        services.seed_bootstrap(settings.CARACAL_ADMIN_TOKEN)
        live = AdminToken.objects.filter(created_by=BOOTSTRAP, revoked_at=None)
        before = live.get()
        services.seed_bootstrap(settings.CARACAL_ADMIN_TOKEN)
        assert live.get() == before

    def test_a_start_brings_a_revoked_token_back(self, api: Api, settings: Any) -> None:
        services.seed_bootstrap(settings.CARACAL_ADMIN_TOKEN)
        live = AdminToken.objects.filter(created_by=BOOTSTRAP, revoked_at=None)
        assert api.delete(f"{PATH}/{live.get().id}").status_code == 204
        assert not self.works(settings.CARACAL_ADMIN_TOKEN)
        services.seed_bootstrap(settings.CARACAL_ADMIN_TOKEN)
        assert self.works(settings.CARACAL_ADMIN_TOKEN)

    def test_a_minted_token_may_become_the_configured_one(self, api: Api) -> None:
        zone = make_zone()
        body = {"name": "x", "scope": "zone", "zone_id": zone.id}
        minted = made(api.post(PATH, body))
        services.seed_bootstrap(minted["token"])
        assert self.works(minted["token"])

    def test_no_token_seeds_nothing(self) -> None:
        before = AdminToken.objects.count()
        services.seed_bootstrap("")
        assert AdminToken.objects.count() == before


def test_the_first_console_user_is_made_once() -> None:
    name, users = new_id(), get_user_model().objects
    bootstrap.seed(name, None)
    assert not users.filter(username=name).exists()
    bootstrap.seed(name, "a long enough password")
    bootstrap.seed(name, "another password")
    user = users.get(username=name)
    assert user.is_superuser
    assert user.check_password("a long enough password")
