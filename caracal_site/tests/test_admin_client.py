"""What the TypeScript admin client (``@caracalai/admin``) sends is understood, and the
answers have the shapes it expects: a test for each group of its methods."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from django.conf import settings

from audit.models import AuditEvent
from caracal_site.ids import new_id
from caracal_site.testing.api import Api
from caracal_site.testing.client import Coordinator
from caracal_site.testing.world import World
from zones import services
from zones.models import Zone
from zones.tests.factories import ACTOR

# What Node's fetch sends besides.
NODE = {
    "accept": "*/*",
    "accept-language": "*",
    "sec-fetch-mode": "cors",
    "user-agent": "node",
    "accept-encoding": "gzip, deflate",
}
ZONE = {"id", "name", "slug", "dcr_enabled", "created_at", "updated_at"}
APPLICATION = {
    "id", "zone_id", "name", "registration_method", "expires_at", "created_at",
}  # fmt: skip
RESOURCE = {
    "id", "zone_id", "name", "identifier", "upstream_url", "gateway_application_id",
    "scopes", "credential_provider_id", "operations", "operation_enforcement",
    "created_at", "updated_at",
}  # fmt: skip
PROVIDER = {
    "id", "zone_id", "name", "identifier", "kind", "config_json", "secret_config_keys",
    "created_at", "updated_at",
}  # fmt: skip


class AdminApiError(Exception):
    """A refusal as the client tells it."""

    def __init__(self, status: int, body: Any) -> None:
        self.status, self.body = status, body
        self.code = body["error"]
        super().__init__(self.code)


def read(status: int, content: bytes, body: Any, *, empty: bool) -> Any:
    """A response as the client reads it: JSON, unless 204 or expected to be empty."""
    if not 200 <= status < 300:
        assert isinstance(body()["error"], str)
        raise AdminApiError(status, body())
    if status == 204 or empty:
        return None
    return body()


def with_query(path: str, query: dict[str, Any]) -> str:
    """Undefined and empty values are dropped."""
    given = {key: value for key, value in query.items() if value not in (None, "")}
    return f"{path}?{httpx.QueryParams(given)}" if given else path


@dataclass
class AdminClient:
    """``new AdminClient({apiUrl, coordinatorUrl, adminToken, coordinatorToken})``."""

    token: str
    coordinator: Coordinator

    def api(
        self,
        method: str,
        path: str,
        body: Any = None,
        /,
        *,
        empty: bool = False,
        **query: Any,
    ) -> Any:
        headers = {name.replace("-", "_"): value for name, value in NODE.items()}
        answer = Api(self.token).request(
            method, with_query(path, query), body, **headers
        )
        return read(answer.status_code, answer.content, answer.json, empty=empty)

    def coord(
        self, method: str, path: str, /, *, empty: bool = False, **query: Any
    ) -> Any:
        answer = self.coordinator.request(
            method,
            with_query(path, query),
            token=settings.CARACAL_COORDINATOR_TOKEN,
            headers=NODE,
        )
        return read(answer.status_code, answer.content, answer.json, empty=empty)


@pytest.fixture
def client(coordinator: Coordinator) -> AdminClient:
    minted = services.mint_admin_token("admin client", actor=ACTOR, scope="global")
    return AdminClient(minted.plain, coordinator)


def test_zones(client: AdminClient) -> None:
    name = new_id()
    zone = client.api("POST", "/v1/zones", {"name": name, "slug": name})
    assert zone.keys() >= ZONE
    path = f"/v1/zones/{zone['id']}"
    listed = client.api("GET", "/v1/zones")
    assert isinstance(listed, list)
    assert zone in listed
    assert client.api("GET", path) == zone
    changed = client.api("PATCH", path, {"name": "Renamed", "dcr_enabled": True})
    assert (changed["name"], changed["dcr_enabled"]) == ("Renamed", True)
    status = client.api("GET", f"{path}/dcr-status")
    assert status == {
        "id": zone["id"],
        "dcr_enabled": True,
        "live_dcr_applications": 0,
    }
    client.api("POST", f"{path}/applications/dcr", {"name": "d"})
    with pytest.raises(AdminApiError) as refused:
        client.api("PATCH", path, {"dcr_enabled": False})
    assert refused.value.code == "dcr_shutdown_required"
    body = {"dcr_enabled": False, "dcr_shutdown": "revoke_live"}
    assert client.api("PATCH", path, body)["dcr_enabled"] is False
    assert client.api("DELETE", path, empty=True) is None
    with pytest.raises(AdminApiError) as refused:
        client.api("GET", path)
    assert (refused.value.status, refused.value.code) == (404, "zone_not_found")


def test_applications(client: AdminClient, zone: Zone) -> None:
    path = f"/v1/zones/{zone.id}/applications"
    given = {"name": "App", "registration_method": "managed", "traits": ["team:a"]}
    made = client.api("POST", path, given)
    assert made.keys() >= APPLICATION | {"client_secret"}
    [listed] = client.api("GET", path)
    item = f"{path}/{made['id']}"
    assert client.api("GET", item) == listed
    assert listed.keys() >= APPLICATION | {"traits"}
    changed = client.api("PATCH", item, {"name": "B", "traits": ["team:b"]})
    assert changed.items() >= {"id": made["id"], "name": "B"}.items()
    assert (
        client.api("PATCH", item, {"client_secret": new_id() + new_id()})["id"]
        == made["id"]
    )
    assert client.api("GET", item)["traits"] == ["team:b"]
    rotated = client.api("POST", f"{item}/rotate-secret")
    assert rotated.keys() >= APPLICATION | {"client_secret"}
    assert rotated["client_secret"] != made["client_secret"]
    assert client.api("DELETE", item, empty=True) is None
    client.api("PATCH", f"/v1/zones/{zone.id}", {"dcr_enabled": True})
    registered = client.api("POST", f"{path}/dcr", {"name": "D", "expires_in": 60})
    assert registered.keys() >= APPLICATION | {"client_secret"}
    assert registered["registration_method"] == "dcr"


def test_resources(client: AdminClient, zone: Zone) -> None:
    here = f"/v1/zones/{zone.id}"
    application = client.api(
        "POST", f"{here}/applications", {"name": "A", "registration_method": "managed"}
    )
    provider = client.api("POST", f"{here}/providers", {"name": "P", "kind": "none"})
    given = {
        "name": "Docs",
        "identifier": "resource://docs",
        "upstream_url": "https://up.example.com/x",
        "gateway_application_id": application["id"],
        "scopes": ["docs:read"],
        "credential_provider_id": provider["id"],
        "operations": [{"method": "GET", "path": "/docs", "scope": "docs:read"}],
        "operation_enforcement": "enforced",
    }
    made = client.api("POST", f"{here}/resources", given)
    assert made.keys() >= RESOURCE
    assert made.items() >= given.items()
    assert client.api("GET", f"{here}/resources") == [made]
    item = f"{here}/resources/{made['id']}"
    assert client.api("GET", item) == made
    changed = client.api("PATCH", item, {**given, "name": "More docs"})
    assert changed.keys() >= RESOURCE
    assert changed["name"] == "More docs"
    assert client.api("DELETE", item, empty=True) is None


def test_providers(client: AdminClient, zone: Zone) -> None:
    path = f"/v1/zones/{zone.id}/providers"
    given = {
        "name": "Plain",
        "identifier": "provider://plain",
        "kind": "none",
        "config_json": {},
    }
    made = client.api("POST", path, given)
    assert made.keys() >= PROVIDER
    assert made.items() >= given.items()
    assert client.api("GET", path) == [made]
    assert client.api("GET", f"{path}/{made['id']}") == made
    changed = client.api("PATCH", f"{path}/{made['id']}", {"name": "Other"})
    assert changed.keys() >= PROVIDER
    with pytest.raises(AdminApiError) as refused:
        client.api("POST", path, given)
    assert refused.value.code == "provider_identifier_conflict"
    assert client.api("DELETE", f"{path}/{made['id']}", empty=True) is None


def test_templates(client: AdminClient) -> None:
    listed = client.api("GET", "/v1/policy-templates")
    assert listed
    assert all(row.keys() >= {"id", "name", "description", "content"} for row in listed)


def test_audit(client: AdminClient, zone: Zone) -> None:
    for decision in ("allow", "deny"):
        AuditEvent.objects.create(
            zone_id=zone.id,
            event_type="token.exchange",
            request_id=f"r-{decision}",
            decision=decision,
            metadata_json={"agent_session_id": "a", "agent_labels": ["x"]},
        )
    path = f"/v1/zones/{zone.id}/audit"
    page = client.api(
        "GET",
        path,
        since="2020-01-01T00:00:00.000Z",
        until="2100-01-01T00:00:00.000Z",
        request_id="r-deny",
        decision="deny",
        event_type="token.exchange",
        agent_session_id="a",
        label="x",
        cursor=None,
        limit=10,
    )
    assert [row["request_id"] for row in page["rows"]] == ["r-deny"]
    assert page["next_cursor"] is None
    first = client.api("GET", path, limit=1)
    second = client.api("GET", path, limit=1, cursor=first["next_cursor"])
    assert first["rows"] + second["rows"] == client.api("GET", path)["rows"]


def test_admin_audit(client: AdminClient, zone: Zone) -> None:
    made = client.api(
        "POST",
        f"/v1/zones/{zone.id}/applications",
        {"name": "A", "registration_method": "managed"},
    )
    page = client.api(
        "GET",
        f"/v1/zones/{zone.id}/admin-audit",
        since="2020-01-01T00:00:00.000Z",
        until="2100-01-01T00:00:00.000Z",
        actor_id="",
        entity_type="applications",
        entity_id=made["id"],
        method="POST",
        limit=5,
    )
    assert [row["entity_id"] for row in page["rows"]] == [made["id"]]


def test_agents(client: AdminClient, world: World) -> None:
    agent = world.spawn(labels=["x"])
    child = world.spawn(agent)
    path = f"/zones/{world.zone.id}/agents"
    page = client.coord(
        "GET",
        path,
        status="active",
        lifecycle="task",
        application_id=world.application.id,
        label="x",
        cursor="",
        limit=5,
    )
    assert page.keys() == {"items", "next_cursor"}
    [row] = page["items"]
    item = f"{path}/{agent['agent_session_id']}"
    found = client.coord("GET", item)
    assert found == row
    assert row["agent_session_id"] == agent["agent_session_id"]
    children = client.coord("GET", f"{item}/children")["items"]
    assert [row["agent_session_id"] for row in children] == [child["agent_session_id"]]
    assert client.coord("PATCH", f"{item}/suspend") is not None
    assert client.coord("PATCH", f"{item}/resume") is not None
    authority = client.coord("GET", f"{item}/effective-authority")
    assert isinstance(authority, dict)
    client.coord("DELETE", item, empty=True)
    with pytest.raises(AdminApiError) as refused:
        client.coord("GET", f"{path}/nobody")
    assert refused.value.status == 404


def test_delegations(client: AdminClient, world: World) -> None:
    source, target = world.spawn(), world.spawn()
    edge = world.delegate(source, target)["delegation_edge_id"]
    path = f"/zones/{world.zone.id}/delegations"
    for listing in (
        f"{path}/active",
        f"{path}/inbound/{target['agent_session_id']}",
        f"{path}/outbound/{source['agent_session_id']}",
    ):
        page = client.coord("GET", listing)
        assert page.keys() == {"items", "next_cursor"}
        assert [row["id"] for row in page["items"]] == [edge]
    traversed = client.coord("GET", f"{path}/{edge}/traverse")
    assert [row["id"] for row in traversed] == [edge]
    impact = client.coord("GET", f"{path}/{edge}/impact")
    assert impact.keys() >= {
        "edge_id",
        "affected_edges",
        "affected_agents",
        "affected_subject_sessions",
    }
    revoked = client.coord("PATCH", f"{path}/{edge}/revoke")
    assert revoked.keys() >= {"revoked_edges", "affected_sessions"}
