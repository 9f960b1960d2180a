"""A zone with somebody in it, driven over the coordinator's API."""

from __future__ import annotations

from concurrent.futures import Future
from datetime import timedelta
from typing import Any

import httpx
from django.utils import timezone

from agents.models import AgentService, AgentSession, Capacity, Invocation
from caracal_site.ids import new_id
from caracal_site.testing.client import Coordinator
from caracal_site.testing.soundness import assert_sound
from caracal_site.times import to_wire
from delegations.models import DelegationEdge, GraphEpoch
from tokens.models import Session
from tokens.tests.factories import (
    LIFECYCLE,
    Client,
    claims_of,
    make_client,
    make_resource,
    make_session,
    sign,
)
from zones.models import Resource, Zone

ADMIN = "coordinator.admin"
BROAD = "coordinator.delegate_broad"
READ, WRITE = "docs:read", "docs:write"
# What the flat calls name the two ends of a delegation.
EXCHANGE_ENDS = ("source_session_id", "target_session_id")
FLAT_ENDS = ("from_agent_session_id", "to_agent_session_id")


class World:
    """A zone, its first application and the resource that application owns.

    Calls take ``by``, the application that acts (the first by default), and
    ``scopes``, what its token holds besides the scope that opens the coordinator; or
    ``token``, a token made before.
    """

    def __init__(self, zone: Zone, coordinator: Coordinator) -> None:
        self.zone = zone
        self.coordinator = coordinator
        self.application = make_client(zone)
        self.resource = self.make_resource(self.application)
        self._sessions: dict[str, Session] = {}

    # What there is.

    def make_application(self, **fields: Any) -> Client:
        return make_client(self.zone, **fields)

    def make_resource(self, owner: Client | None, *scopes: str) -> Resource:
        identifier = make_resource(self.zone, owner, *(scopes or (READ, WRITE)))
        return Resource.objects.get(zone=self.zone, identifier=identifier)

    def session(self, client: Client | None = None) -> Session:
        """The authority session of an application's tokens."""
        client = client or self.application
        if client.id not in self._sessions:
            self._sessions[client.id] = make_session(client)
        return self._sessions[client.id]

    def token(self, by: Client | None = None, *scopes: str, **claims: Any) -> str:
        by = by or self.application
        claims.setdefault("sid", self.session(by).id)
        claims.setdefault("scope", " ".join([LIFECYCLE, *scopes]))
        return sign(self.zone, claims_of(by, **claims))

    def agent(self, of: dict[str, Any] | str) -> AgentSession:
        """The row of an agent as it is now."""
        agent_id = of if isinstance(of, str) else of["agent_session_id"]
        return AgentSession.objects.get(id=agent_id)

    def edge(self, of: dict[str, Any] | str) -> DelegationEdge:
        """The row of an edge as it is now."""
        edge_id = of if isinstance(of, str) else of["delegation_edge_id"]
        return DelegationEdge.objects.get(id=edge_id)

    def epoch(self) -> int:
        row = GraphEpoch.objects.filter(zone_id=self.zone.id).first()
        return row.epoch if row else 0

    def room_taken(self, scope_id: str | None = None) -> int:
        """How many live agents the zone, or an application, is counted to have."""
        slots = Capacity.objects.filter(scope_id=scope_id or self.zone.id)
        return sum(slots.values_list("live", flat=True))

    def assert_sound(self) -> None:
        """What must hold in a zone at rest does."""
        assert_sound(self.zone.id)

    # What can be done.

    def path(self, path: str) -> str:
        return f"/zones/{self.zone.id}{path}"

    def start(
        self,
        method: str,
        path: str,
        json: Any = None,
        *,
        by: Client | None = None,
        scopes: tuple[str, ...] = (),
        token: str | None = None,
        **given: Any,
    ) -> Future[httpx.Response]:
        """Begins a request to a path of the zone."""
        return self.coordinator.start(
            method,
            self.path(path),
            json,
            token=token if token is not None else self.token(by, *scopes),
            **given,
        )

    def request(
        self, method: str, path: str, json: Any = None, **given: Any
    ) -> httpx.Response:
        return self.coordinator.at_once(self.start(method, path, json, **given))[0]

    def get(self, path: str, **given: Any) -> httpx.Response:
        return self.request("GET", path, **given)

    def post(self, path: str, json: Any = None, **given: Any) -> httpx.Response:
        return self.request("POST", path, json, **given)

    def patch(self, path: str, **given: Any) -> httpx.Response:
        return self.request("PATCH", path, **given)

    def delete(self, path: str, **given: Any) -> httpx.Response:
        return self.request("DELETE", path, **given)

    def start_call(
        self,
        name: str,
        body: dict[str, Any],
        *,
        by: Client | None = None,
        scopes: tuple[str, ...] = (),
        token: str | None = None,
        **given: Any,
    ) -> Future[httpx.Response]:
        """Begins a flat ``/v1`` call, in this zone unless ``body`` names another."""
        return self.coordinator.start(
            "POST",
            f"/v1/{name}",
            {"zone_id": self.zone.id, **body},
            token=token if token is not None else self.token(by, *scopes),
            **given,
        )

    def call(self, name: str, body: dict[str, Any], **given: Any) -> httpx.Response:
        return self.coordinator.at_once(self.start_call(name, body, **given))[0]

    def begin_body(
        self,
        parent: dict[str, Any] | None = None,
        *,
        by: Client | None = None,
        **members: Any,
    ) -> dict[str, Any]:
        """The body of ``/v1/begin``, or with a parent of ``/v1/spawn-child``."""
        body = {
            "application_id": (by or self.application).id,
            "subject_session_id": self.session(by).id,
            **members,
        }
        if parent:
            body["parent_agent_session_id"] = parent["agent_session_id"]
        return body

    def exchange_body(
        self,
        source: dict[str, Any],
        target: dict[str, Any],
        *,
        ends: tuple[str, str] = EXCHANGE_ENDS,
        **members: Any,
    ) -> dict[str, Any]:
        """The body of ``/v1/exchange``, for the other call with ``FLAT_ENDS``."""
        in_an_hour = timezone.now() + timedelta(hours=1)
        return {
            ends[0]: source["agent_session_id"],
            ends[1]: target["agent_session_id"],
            "issuer_application_id": source["application_id"],
            "receiver_application_id": target["application_id"],
            "resource_id": self.resource.id,
            "scopes": [READ],
            "expires_at": to_wire(in_an_hour),
        } | members

    def start_spawn(
        self,
        parent: dict[str, Any] | None = None,
        *,
        by: Client | None = None,
        **given: Any,
    ) -> Future[httpx.Response]:
        return self.start(
            "POST", "/agents", self.spawn_body(parent, by=by), by=by, **given
        )

    def start_delegation(
        self, source: dict[str, Any], target: dict[str, Any], **members: Any
    ) -> Future[httpx.Response]:
        body = self.delegation_body(source, target, **members)
        return self.start("POST", "/delegations", body)

    def start_revocation(self, edge: dict[str, Any]) -> Future[httpx.Response]:
        return self.start("PATCH", f"/delegations/{edge['delegation_edge_id']}/revoke")

    def start_turn(self, verb: str, agent: dict[str, Any]) -> Future[httpx.Response]:
        """``suspend``, ``resume`` or ``terminate``."""
        path = f"/agents/{agent['agent_session_id']}"
        if verb == "terminate":
            return self.start("DELETE", path)
        return self.start("PATCH", f"{path}/{verb}")

    def at_once(self, *requests: Future[httpx.Response]) -> list[int]:
        """The statuses of requests begun together; none is the server's fault."""
        found = [answer.status_code for answer in self.coordinator.at_once(*requests)]
        assert max(found) < 500, found
        return found

    def spawn_body(
        self,
        parent: dict[str, Any] | None = None,
        *,
        by: Client | None = None,
        **members: Any,
    ) -> dict[str, Any]:
        body = {"application_id": (by or self.application).id, **members}
        return body | ({"parent_id": parent["agent_session_id"]} if parent else {})

    def try_spawn(
        self,
        parent: dict[str, Any] | None = None,
        *,
        by: Client | None = None,
        scopes: tuple[str, ...] = (),
        token: str | None = None,
        headers: dict[str, str] | None = None,
        **members: Any,
    ) -> httpx.Response:
        body = self.spawn_body(parent, by=by, **members)
        return self.post(
            "/agents", body, by=by, scopes=scopes, token=token, headers=headers
        )

    def spawn(
        self, parent: dict[str, Any] | None = None, **given: Any
    ) -> dict[str, Any]:
        return made(self.try_spawn(parent, **given))

    def delegation_body(
        self, source: dict[str, Any], target: dict[str, Any], **members: Any
    ) -> dict[str, Any]:
        """An hour of reading the resource; ``resource_id=None`` for a broad edge."""
        body = {
            "source_session_id": source["agent_session_id"],
            "target_session_id": target["agent_session_id"],
            "issuer_application_id": source["application_id"],
            "receiver_application_id": target["application_id"],
            "resource_id": self.resource.id,
            "scopes": [READ],
            "ttl_seconds": 3600,
        } | members
        if body["ttl_seconds"] is None:
            del body["ttl_seconds"]
        return body

    def try_delegate(
        self,
        source: dict[str, Any],
        target: dict[str, Any],
        *,
        by: Client | None = None,
        grants: tuple[str, ...] = (),
        token: str | None = None,
        headers: dict[str, str] | None = None,
        **members: Any,
    ) -> httpx.Response:
        """``grants`` are the scopes of the token; ``scopes`` are the edge's."""
        body = self.delegation_body(source, target, **members)
        return self.post(
            "/delegations", body, by=by, scopes=grants, token=token, headers=headers
        )

    def delegate(
        self, source: dict[str, Any], target: dict[str, Any], **given: Any
    ) -> dict[str, Any]:
        """Another application's consent is given unless ``grants`` say otherwise."""
        given.setdefault("by", self._client(source["application_id"]))
        given.setdefault(
            "grants", (f"coordinator.delegate_to:{target['application_id']}",)
        )
        return made(self.try_delegate(source, target, **given))

    def revoke(self, edge: dict[str, Any] | str, **given: Any) -> httpx.Response:
        edge_id = edge if isinstance(edge, str) else edge["delegation_edge_id"]
        return self.patch(f"/delegations/{edge_id}/revoke", **given)

    def terminate(self, agent: dict[str, Any], **given: Any) -> httpx.Response:
        return self.delete(f"/agents/{agent['agent_session_id']}", **given)

    def suspend(self, agent: dict[str, Any], **given: Any) -> httpx.Response:
        return self.patch(f"/agents/{agent['agent_session_id']}/suspend", **given)

    def resume(self, agent: dict[str, Any], **given: Any) -> httpx.Response:
        return self.patch(f"/agents/{agent['agent_session_id']}/resume", **given)

    def register(
        self, endpoint: str = "https://svc.example.com/a", *, by: Client | None = None
    ) -> dict[str, Any]:
        """A service of the application."""
        body = {"application_id": (by or self.application).id, "endpoint_url": endpoint}
        answer = self.post("/agent-services", body, by=by)
        assert answer.status_code in (200, 201), answer.text
        return dict(answer.json())

    def heartbeat(
        self, agent: dict[str, Any], body: Any = None, **given: Any
    ) -> httpx.Response:
        path = f"/agents/{agent['agent_session_id']}/heartbeat"
        return self.post(path, {} if body is None else body, **given)

    def call_body(self, service: dict[str, Any], **members: Any) -> dict[str, Any]:
        key = members.pop("idempotency_key", None) or new_id()
        named = {"service_id": service["id"], "idempotency_key": key}
        return {**named, "method": "work.do", **members}

    def invoke(
        self,
        service: dict[str, Any],
        *,
        by: Client | None = None,
        grants: tuple[str, ...] = (),
        **members: Any,
    ) -> dict[str, Any]:
        """A new call of the service; ``grants`` are scopes of the token."""
        body = self.call_body(service, **members)
        return made(self.post("/invocations", body, by=by, scopes=grants))

    def move(
        self, verb: str, call: dict[str, Any], body: Any = None, **given: Any
    ) -> httpx.Response:
        """``start``, ``cancel`` or ``complete``."""
        return self.coordinator.at_once(self.start_move(verb, call, body, **given))[0]

    def start_move(
        self, verb: str, call: dict[str, Any], body: Any = None, **given: Any
    ) -> Future[httpx.Response]:
        return self.start("PATCH", f"/invocations/{call['id']}/{verb}", body, **given)

    def invocation(self, call: dict[str, Any]) -> Invocation:
        """The row of a call as it is now."""
        return Invocation.objects.get(id=call["id"])

    def service(self, service: dict[str, Any]) -> AgentService:
        """The row of a service as it is now."""
        return AgentService.objects.get(id=service["id"])

    def _client(self, application_id: str) -> Client:
        if application_id == self.application.id:
            return self.application
        from zones.models import Application

        return Client(Application.objects.get(id=application_id), "")


def made(response: httpx.Response) -> dict[str, Any]:
    """The body of a 201."""
    assert response.status_code == 201, response.text
    body: dict[str, Any] = response.json()
    return body


def refusal(response: httpx.Response) -> tuple[int, str]:
    """Status and code of a refused request, whose body is the platform's own."""
    body = response.json()
    assert body["requestId"] == response.headers["X-Request-ID"]
    assert body["error_description"]
    return response.status_code, body["error"]
