"""Connected accounts: stored, listed, used, renewed and given up."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db.models.functions import Now
from django.utils import timezone

from audit.models import AdminAuditEvent
from caracal_site.ids import new_id
from caracal_site.sealing import SealBroken
from caracal_site.testing.api import Api, made, refusal
from caracal_site.testing.endpoint import Endpoint
from caracal_site.testing.races import Threads
from caracal_site.times import to_wire
from policies.grants import errors, outbound, services, tokens
from policies.grants.models import ProviderGrant
from policies.tests.granting import (
    AuthorizationServer,
    account,
    make_connectable,
    respond,
)
from zones.models import Provider, Resource, Zone
from zones.tests.factories import ACTOR, make_provider, make_resource, make_zone, told

MEMBERS = {
    "id",
    "zone_id",
    "user_id",
    "resource_id",
    "provider_id",
    "scopes",
    "status",
    "expires_at",
    "created_at",
    "updated_at",
}
ACCESS, REFRESH = "access-of-ada", "refresh-of-ada"


def path(zone: Zone, rest: str = "") -> str:
    return f"/v1/zones/{zone.id}/provider-grants{rest}"


def body_of(provider: Provider, resource: Resource, **more: Any) -> dict[str, Any]:
    whole = {"scopes": ["read"], "access_token": ACCESS, **more}
    return account(provider, resource, **whole)


def keep(
    api: Api, provider: Provider, resource: Resource, **more: Any
) -> ProviderGrant:
    zone = provider.zone
    stored = made(api.post(path(zone), body_of(provider, resource, **more)))
    return ProviderGrant.objects.get(id=stored["id"])


def use(grant: ProviderGrant, *scopes: str) -> services.Credential:
    return services.provider_credential(
        zone_id=grant.zone_id,
        user_id=grant.user_id,
        resource_id=grant.resource_id,
        provider_id=grant.provider_id,
        scopes=scopes,
    )


def past(grant: ProviderGrant) -> None:
    ProviderGrant.objects.filter(id=grant.id).update(
        expires_at=Now() - timedelta(seconds=1)
    )


def test_tokens_are_stored_and_never_told(api: Api, zone: Zone) -> None:
    provider, resource = make_connectable(zone)
    until = to_wire(timezone.now() + timedelta(hours=1))
    body = body_of(provider, resource, refresh_token=REFRESH, expires_at=until)
    answer = api.post(path(zone), body)
    stored = made(answer)
    assert stored.keys() == MEMBERS
    assert (stored["status"], stored["expires_at"]) == ("active", until)
    listed = api.get(path(zone))
    read = api.get(path(zone, f"/{stored['id']}"))
    assert read.json() == listed.json()[0]
    assert read.json().items() >= stored.items()
    assert read["ETag"] == answer["ETag"]
    row = AdminAuditEvent.objects.get(entity_id=stored["id"])
    assert (row.entity_type, told(row)["event"]) == (
        "provider-grants",
        "provider_grant.stored",
    )
    grant = ProviderGrant.objects.get(id=stored["id"])
    everywhere = [answer, listed, read, str(told(row)), bytes(grant.sealed_tokens)]
    for shown in everywhere:
        content = getattr(shown, "content", shown)
        text = content if isinstance(content, bytes) else content.encode()
        assert ACCESS.encode() not in text
        assert REFRESH.encode() not in text
    assert tokens.opened(grant) == tokens.Tokens(ACCESS, REFRESH)


def test_tokens_of_one_row_do_not_open_in_another(api: Api, zone: Zone) -> None:
    provider, resource = make_connectable(zone)
    one = keep(api, provider, resource)
    other = keep(api, provider, resource, user_id="bob", access_token="other")
    other.sealed_tokens = one.sealed_tokens
    with pytest.raises(SealBroken):
        tokens.opened(other)


def test_storing_again_replaces_exactly(api: Api, zone: Zone) -> None:
    provider, resource = make_connectable(zone)
    first = keep(api, provider, resource, refresh_token=REFRESH)
    second = keep(api, provider, resource, access_token="new", scopes=["write"])
    assert (second.id, second.created_at) == (first.id, first.created_at)
    assert second.refresh_token_version == first.refresh_token_version + 1
    assert (second.scopes, second.is_renewable) == (["write"], False)
    assert tokens.opened(second) == tokens.Tokens("new")


def test_of_two_stored_at_once_one_grant_stands(zone: Zone) -> None:
    provider, resource = make_connectable(zone)

    def store() -> str:
        body = body_of(provider, resource)
        grant = services.store_provider_grant(zone_id=zone.id, actor=ACTOR, **body)
        return str(grant.id)

    with Threads(3) as threads:
        found = {one.result(20) for one in [threads.start(store) for _ in range(3)]}
    assert len(found) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"access_token": ""},
        {"access_token": None},
        {"refresh_token": ""},
        {"scopes": []},
        {"scopes": ["A"]},
        {"expires_at": "2026-01-01T00:00:00+01:00"},
        {"user_id": 1},
        {"colour": "red"},
    ],
)
def test_a_bad_body_is_refused(api: Api, zone: Zone, change: dict[str, Any]) -> None:
    provider, resource = make_connectable(zone)
    body = {**body_of(provider, resource), **change}
    assert refusal(api.post(path(zone), body)) == (400, "invalid_provider_grant")


@pytest.mark.parametrize(
    ("route", "code"),
    [
        ("", "invalid_provider_grant"),
        ("/oauth/authorize", "invalid_provider_oauth_authorize"),
        ("/revoke", "invalid_provider_grant_revoke"),
    ],
)
@pytest.mark.parametrize("content", [b"null", b"[]", b"{", b'"x"', b""])
def test_each_body_has_its_own_refusal(
    api: Api, zone: Zone, route: str, code: str, content: bytes
) -> None:
    answer = api.post(path(zone, route), content=content)
    assert refusal(answer) == (400, code)


@pytest.mark.parametrize("route", ["", "/oauth/authorize"])
def test_the_binding_is_checked_in_order(api: Api, zone: Zone, route: str) -> None:
    provider, resource = make_connectable(zone)
    plain = make_provider(zone)
    foreign, _resource = make_connectable(make_zone())
    other, _resource = make_connectable(zone)
    token = {} if route else {"access_token": "t"}
    whole = account(provider, resource, scopes=["read"], **token)
    for change, refused in (
        ({"provider_id": "nope"}, (404, "provider_not_found")),
        ({"provider_id": foreign.id}, (404, "provider_not_found")),
        ({"provider_id": plain.id}, (400, "provider_grant_unsupported")),
        ({"resource_id": "nope"}, (404, "resource_not_found")),
        ({"provider_id": other.id}, (400, "provider_resource_mismatch")),
        ({"scopes": ["delete"]}, (403, "grant_scopes_exceed_resource")),
    ):
        answer = api.post(path(zone, route), {**whole, **change})
        assert refusal(answer) == refused
    answer = api.post("/v1/zones/nope/provider-grants" + route, whole)
    assert refusal(answer) == (404, "zone_not_found")


def test_accounts_are_listed_by_what_they_are_for(api: Api, zone: Zone) -> None:
    """W35: what is connected can be seen."""
    provider, resource = make_connectable(zone)
    ada = keep(api, provider, resource)
    bob = keep(api, provider, resource, user_id="bob", scopes=["read", "write"])
    for query, wanted in {
        "user_id=ada": [ada],
        "scopes=write": [bob],
        f"provider_id={provider.id}": [bob, ada],
        f"resource_id={resource.id}&status=active": [bob, ada],
        "status=revoked": [],
        "search=BO": [bob],
    }.items():
        rows = api.get(f"{path(zone)}?{query}").json()
        assert [row["id"] for row in rows] == [grant.id for grant in wanted], query
    refused = api.get(f"{path(zone)}?status=nonsense")
    assert refusal(refused) == (400, "invalid_query")
    unknown = api.get(path(zone, "/nope"))
    assert refusal(unknown) == (404, "provider_grant_not_found")
    elsewhere = api.get(path(make_zone(), f"/{ada.id}"))
    assert refusal(elsewhere) == (404, "provider_grant_not_found")


def test_revoking_erases_the_tokens(api: Api, zone: Zone) -> None:
    provider, resource = make_connectable(zone)
    grant = keep(api, provider, resource, refresh_token=REFRESH)
    answer = api.post(path(zone, "/revoke"), account(provider, resource))
    assert (answer.status_code, answer.json()["status"]) == (200, "revoked")
    assert answer.json().keys() == MEMBERS
    grant.refresh_from_db()
    assert (grant.sealed_tokens, grant.is_renewable) == (None, False)
    again = api.post(path(zone, "/revoke"), account(provider, resource))
    assert refusal(again) == (404, "provider_grant_not_found")
    successor = keep(api, provider, resource)
    assert successor.id != grant.id


def test_the_provider_is_told_of_a_revocation(
    api: Api, zone: Zone, endpoint: Endpoint
) -> None:
    server = AuthorizationServer(endpoint)
    told_at = endpoint.url(path="/revoke")
    provider, resource = make_connectable(zone, endpoint, revocation_endpoint=told_at)
    keep(api, provider, resource, refresh_token=REFRESH)
    api.post(path(zone, "/revoke"), account(provider, resource))
    assert server.revoked == [{"token": REFRESH, "token_type_hint": "refresh_token"}]
    assert "Authorization" in endpoint.asked[0].headers


@pytest.mark.parametrize("elsewhere", [True, False])
def test_a_provider_that_does_not_hear_keeps_nothing_from_being_revoked(
    api: Api, zone: Zone, endpoint: Endpoint, elsewhere: bool
) -> None:
    endpoint.status = 503
    host = "127.0.0.1" if elsewhere else "localhost"
    told_at = endpoint.url(host, path="/revoke")
    provider, resource = make_connectable(zone, endpoint, revocation_endpoint=told_at)
    grant = keep(api, provider, resource)
    answer = api.post(path(zone, "/revoke"), account(provider, resource))
    assert answer.json()["status"] == "revoked"
    grant.refresh_from_db()
    assert grant.sealed_tokens is None
    # A host that tokens may not go to is not asked at all.
    assert len(endpoint.asked) == (0 if elsewhere else 1)


def test_scopes_are_checked_at_use(api: Api, zone: Zone) -> None:
    provider, resource = make_connectable(zone)
    grant = keep(api, provider, resource, scopes=["read"])
    assert use(grant, "read").access_token == ACCESS
    with pytest.raises(errors.ProviderGrantScopesInsufficient):
        use(grant, "read", "write")


def test_without_an_end_a_token_is_good(api: Api, zone: Zone) -> None:
    """W33: no expiry is no expiry."""
    provider, resource = make_connectable(zone)
    grant = keep(api, provider, resource)
    assert use(grant, "read") == services.Credential(ACCESS, None, grant.id)
    services.expire_spent_provider_grants()
    grant.refresh_from_db()
    assert grant.status == "active"
    past(grant)
    with pytest.raises(errors.CredentialRefreshFailed) as refused:
        use(grant)
    assert refused.value.detail == "credential_expired_not_renewable"
    services.expire_spent_provider_grants()
    grant.refresh_from_db()
    assert (grant.status, grant.sealed_tokens) == ("expired", None)


def test_what_is_not_bound_any_more_is_not_used(api: Api, zone: Zone) -> None:
    provider, resource = make_connectable(zone)
    grant = keep(api, provider, resource)
    other, _resource = make_connectable(zone)
    Resource.objects.filter(id=resource.id).update(credential_provider=other)
    with pytest.raises(errors.CredentialNotProvisioned):
        use(grant)
    absent = make_resource(zone, name=new_id())
    with pytest.raises(errors.CredentialNotProvisioned):
        services.provider_credential(
            zone_id=zone.id,
            user_id="ada",
            resource_id=absent.id,
            provider_id=provider.id,
        )


def renewable(
    api: Api, zone: Zone, endpoint: Endpoint, **more: Any
) -> tuple[AuthorizationServer, ProviderGrant]:
    """An account whose access token is over and that can be renewed."""
    server = AuthorizationServer(endpoint, **more)
    server.refresh_tokens.add(REFRESH)
    provider, resource = make_connectable(zone, endpoint)
    grant = keep(api, provider, resource, refresh_token=REFRESH)
    past(grant)
    return server, grant


def test_a_token_that_is_over_is_renewed(
    api: Api, zone: Zone, endpoint: Endpoint
) -> None:
    server, grant = renewable(api, zone, endpoint)
    credential = use(grant)
    assert credential.access_token == server.issued[-1]
    before = tokens.opened(grant)
    grant.refresh_from_db()
    after = tokens.opened(grant)
    assert (before.refresh == after.refresh) is False
    assert (grant.refresh_token_version, grant.refreshing_until) == (1, None)
    assert use(grant).access_token == credential.access_token
    assert len(server.issued) == 1
    row = AdminAuditEvent.objects.filter(entity_id=grant.id).latest("position")
    assert told(row)["event"] == "provider_grant.refreshed"


@pytest.mark.parametrize(
    ("expires_in", "seconds"),
    [(None, 3600), (300, 300), (86_400, 3600), ("120", 120), (0, 3600), ("soon", 3600)],
)
def test_a_renewed_token_lasts_at_most_as_long_as_configured(
    api: Api, zone: Zone, endpoint: Endpoint, expires_in: Any, seconds: int
) -> None:
    server, grant = renewable(api, zone, endpoint, expires_in=expires_in)
    use(grant)
    grant.refresh_from_db()
    assert grant.expires_at - grant.refreshed_at == timedelta(seconds=seconds)
    assert len(server.issued) == 1


def test_a_provider_that_gives_no_new_refresh_token_keeps_the_old(
    api: Api, zone: Zone, endpoint: Endpoint
) -> None:
    _server, grant = renewable(api, zone, endpoint, gives_refresh_token=False)
    use(grant)
    grant.refresh_from_db()
    held = tokens.opened(grant)
    assert held.refresh == REFRESH


def test_of_many_at_once_one_renews(api: Api, zone: Zone, endpoint: Endpoint) -> None:
    server, grant = renewable(api, zone, endpoint)
    with Threads(6) as threads:
        used = [threads.start(use, grant) for _ in range(6)]
        found = {one.result(30).access_token for one in used}
    assert found == set(server.issued)
    assert len(server.issued) == 1


def test_a_renewal_replaces_nothing_newer(
    api: Api, zone: Zone, endpoint: Endpoint
) -> None:
    """W36: whoever reconnects while a renewal is under way has the last word."""
    server, grant = renewable(api, zone, endpoint)
    provider, resource = grant.provider, grant.resource

    def reconnect(handler: Any) -> None:
        body = body_of(provider, resource, access_token="newer")
        made(api.post(path(zone), body))
        server.answer(handler)

    endpoint.answer = reconnect
    assert use(grant).access_token == "newer"
    grant.refresh_from_db()
    assert tokens.opened(grant) == tokens.Tokens("newer")


def test_a_renewal_revives_nothing_that_was_revoked(
    api: Api, zone: Zone, endpoint: Endpoint
) -> None:
    server, grant = renewable(api, zone, endpoint)

    def revoke(handler: Any) -> None:
        api.post(path(zone, "/revoke"), account(grant.provider, grant.resource))
        server.answer(handler)

    endpoint.answer = revoke
    with pytest.raises(errors.CredentialNotProvisioned):
        use(grant)
    grant.refresh_from_db()
    assert (grant.status, grant.sealed_tokens) == ("revoked", None)


def test_a_dead_refresh_token_ends_the_account(
    api: Api, zone: Zone, endpoint: Endpoint
) -> None:
    server, grant = renewable(api, zone, endpoint)
    server.refresh_tokens.clear()
    with pytest.raises(errors.CredentialRefreshFailed) as refused:
        use(grant)
    assert REFRESH not in str(refused.value)
    grant.refresh_from_db()
    assert (grant.status, grant.sealed_tokens) == ("expired", None)


@pytest.mark.parametrize(
    "fault", ["status", "body", "type", "network", "lease"], ids=str
)
def test_a_renewal_that_fails_leaves_everything_as_it_was(
    api: Api, zone: Zone, endpoint: Endpoint, settings: Any, fault: str
) -> None:
    server, grant = renewable(api, zone, endpoint)
    match fault:
        case "status":
            endpoint.answer = lambda handler: respond(handler, 503, b"")
        case "body":
            endpoint.answer = lambda handler: respond(handler, 200, b"null")
        case "type":
            server.more = {"token_type": "mac"}
        case "network":
            settings.EGRESS_ALLOWED_NETWORKS = []
        case "lease":
            Provider.objects.filter(id=grant.provider_id).update(
                config_json={**grant.provider.config_json, "allowed_token_hosts": []}
            )
    with pytest.raises(errors.CredentialRefreshFailed):
        use(grant)
    grant.refresh_from_db()
    assert (grant.status, grant.refreshing_until) == ("active", None)
    held = tokens.opened(grant)
    assert held.refresh == REFRESH


def test_requests_to_providers_have_little_room(
    api: Api, zone: Zone, endpoint: Endpoint
) -> None:
    _server, grant = renewable(api, zone, endpoint)
    taken = [outbound.room() for _ in range(outbound.AT_ONCE)]
    for one in taken:
        one.__enter__()
    try:
        with pytest.raises(errors.ProviderBusy):
            use(grant)
    finally:
        for one in taken:
            one.__exit__(None, None, None)
    assert use(grant)


def test_tokens_are_sealed_anew_under_another_key(
    api: Api, zone: Zone, settings: Any
) -> None:
    provider, resource = make_connectable(zone)
    grant = keep(api, provider, resource)
    before, settings.ZONE_KEK_PREVIOUS = settings.ZONE_KEK, [settings.ZONE_KEK]
    settings.ZONE_KEK = "ab" * 16 + "cd" * 16
    services.reseal_provider_grants()
    settings.ZONE_KEK_PREVIOUS = []
    grant.refresh_from_db()
    assert tokens.opened(grant) == tokens.Tokens(ACCESS)
    settings.ZONE_KEK, settings.ZONE_KEK_PREVIOUS = before, [settings.ZONE_KEK]
    call_command("reseal")
    grant.refresh_from_db()
    settings.ZONE_KEK_PREVIOUS = []
    assert tokens.opened(grant) == tokens.Tokens(ACCESS)
