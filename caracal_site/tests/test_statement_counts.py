"""What each route of the coordinator costs the database is written down.

A changed count fails. When the change is meant, run this with
``UPDATE_STATEMENT_COUNTS=1`` and commit the file.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from pytest_django import Settings

import caracal_site.testing
from caracal_site.coordinator.routes import Access
from caracal_site.coordinator.urls import ROUTES
from caracal_site.testing.client import Background
from caracal_site.testing.counting import statements_of
from caracal_site.testing.world import FLAT_ENDS, World

FILE = Path(caracal_site.testing.__file__).with_name("statement_counts.json")
GOLDEN: dict[str, int] = json.loads(FILE.read_text()) if FILE.exists() else {}
Made = dict[str, Any]


class Scene:
    """A narrowed agent with a child, and some that stand alone."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.root, self.narrowed = world.spawn(), world.spawn()
        self.edge = world.delegate(
            self.root, self.narrowed, constraints={"max_hops": 4}
        )
        self.child = world.spawn(self.narrowed)
        self.lone, self.resting, self.ended = (world.spawn() for _ in range(3))
        self.calling, self.leased = world.spawn(), world.spawn(lifecycle="service")
        self.service = world.register()
        self.pending = world.invoke(self.service)
        self.running = world.invoke(
            self.service, source_session_id=self.calling["agent_session_id"]
        )
        world.move("start", self.running)
        world.suspend(self.resting)
        world.terminate(self.ended)
        # Everybody's room is shared out, and every statement prepared.
        for _ in range(3):
            world.spawn(world.spawn())

    def get(self, path: str, of: Made | None = None) -> httpx.Response:
        id_ = (of or {}).get("delegation_edge_id") or (of or {}).get("agent_session_id")
        return self.world.get(path.format(id_))

    def register(self, endpoint: str) -> httpx.Response:
        owner = self.world.application.id
        body = {"application_id": owner, "endpoint_url": endpoint}
        return self.world.post("/agent-services", body)

    def call(
        self, headers: dict[str, str] | None = None, **members: str
    ) -> httpx.Response:
        body = self.world.call_body(self.service, **members)
        return self.world.post("/invocations", body, headers=headers)


Request = Callable[[Scene], httpx.Response]
# By route, then by what makes a difference.
REQUESTS: dict[str, dict[str, Request]] = {
    "agents:agent-spawn": {
        "root": lambda s: s.world.try_spawn(),
        "child": lambda s: s.world.try_spawn(s.lone),
        "child of a narrowed agent": lambda s: s.world.try_spawn(s.narrowed),
        "keyed": lambda s: s.world.try_spawn(headers={"Idempotency-Key": "k"}),
        "refused": lambda s: s.world.try_spawn(parent_id="nobody"),
    },
    "agents:agent-list": {"": lambda s: s.get("/agents?status=active&label=x")},
    "agents:agent-detail": {"": lambda s: s.get("/agents/{}", s.lone)},
    "agents:agent-children": {"": lambda s: s.get("/agents/{}/children", s.lone)},
    "agents:agent-suspend": {
        "leaf": lambda s: s.world.suspend(s.lone),
        "tree": lambda s: s.world.suspend(s.narrowed),
    },
    "agents:agent-resume": {"leaf": lambda s: s.world.resume(s.resting)},
    "agents:agent-terminate": {
        "leaf": lambda s: s.world.terminate(s.lone),
        "tree with edges": lambda s: s.world.terminate(s.narrowed),
        "with an open call": lambda s: s.world.terminate(s.calling),
        "ended before": lambda s: s.world.terminate(s.ended),
    },
    "agents:begin": {"": lambda s: s.world.call("begin", s.world.begin_body())},
    "agents:spawn-child": {
        "": lambda s: s.world.call("spawn-child", s.world.begin_body(s.lone))
    },
    "agents:end": {
        "leaf": lambda s: s.world.call(
            "end", {"agent_session_id": s.lone["agent_session_id"]}
        )
    },
    "agents:agent-heartbeat": {
        "task": lambda s: s.world.heartbeat(s.lone),
        "service": lambda s: s.world.heartbeat(s.leased, {"generation": 1}),
        "with a service record": lambda s: s.world.heartbeat(
            s.leased, {"service_id": s.service["id"]}
        ),
        "refused": lambda s: s.world.heartbeat(s.ended),
    },
    "agents:service-register": {
        "new": lambda s: s.register("https://new.example.com/"),
        "again": lambda s: s.register(s.service["endpoint_url"]),
    },
    "agents:service-list": {"": lambda s: s.get("/agent-services?health=healthy")},
    "agents:service-detail": {
        "": lambda s: s.get(f"/agent-services/{s.service['id']}")
    },
    "agents:service-deregister": {
        "with open calls": lambda s: s.world.delete(
            f"/agent-services/{s.service['id']}"
        )
    },
    "agents:invocation-list": {"": lambda s: s.get("/invocations?status=failed")},
    "agents:invocation-detail": {
        "": lambda s: s.get(f"/invocations/{s.pending['id']}")
    },
    "agents:invocation-create": {
        "new": lambda s: s.call(),
        "between sessions": lambda s: s.call(
            source_session_id=s.lone["agent_session_id"],
            target_session_id=s.leased["agent_session_id"],
        ),
        "again": lambda s: s.call(idempotency_key=s.pending["idempotency_key"]),
        "keyed": lambda s: s.call({"Idempotency-Key": "k"}),
        "refused": lambda s: s.call(target_session_id="nobody"),
    },
    "agents:invocation-start": {
        "": lambda s: s.world.move("start", s.pending),
        "refused": lambda s: s.world.move("start", s.running),
    },
    "agents:invocation-complete": {
        "": lambda s: s.world.move("complete", s.running, {"status": "succeeded"})
    },
    "agents:invocation-cancel": {"": lambda s: s.world.move("cancel", s.running)},
    "audit:event-feed": {"": lambda s: s.get("/events?wait=0")},
    "delegations:edge-create": {
        "root": lambda s: s.world.try_delegate(s.root, s.lone),
        "below another": lambda s: s.world.try_delegate(s.narrowed, s.lone),
        "refused": lambda s: s.world.try_delegate(s.root, s.lone, resource_id="no"),
    },
    "delegations:edge-active": {"": lambda s: s.get("/delegations/active")},
    "delegations:edge-inbound": {
        "": lambda s: s.get("/delegations/inbound/{}", s.lone)
    },
    "delegations:edge-outbound": {
        "": lambda s: s.get("/delegations/outbound/{}", s.lone)
    },
    "delegations:edge-traverse": {
        "": lambda s: s.get("/delegations/{}/traverse", s.edge)
    },
    "delegations:edge-impact": {"": lambda s: s.get("/delegations/{}/impact", s.edge)},
    "delegations:edge-revoke": {"": lambda s: s.world.revoke(s.edge)},
    "delegations:exchange": {
        "": lambda s: s.world.call("exchange", s.world.exchange_body(s.root, s.lone))
    },
    "delegations:delegate-to-existing-agent": {
        "": lambda s: s.world.call(
            "delegate-to-existing-agent",
            s.world.exchange_body(s.root, s.lone, ends=FLAT_ENDS),
        )
    },
    "delegations:revoke-delegation": {
        "": lambda s: s.world.call(
            "revoke-delegation",
            {"delegation_edge_id": s.edge["delegation_edge_id"]},
        )
    },
    "delegations:effective-authority": {
        "": lambda s: s.get("/agents/{}/effective-authority", s.narrowed)
    },
}
CASES = [(route, case) for route, cases in REQUESTS.items() for case in cases]


def name_of(route: str, case: str) -> str:
    return f"{route} ({case})" if case else route


@pytest.mark.parametrize(("route", "case"), CASES, ids=lambda part: part or "-")
def test_a_request_runs_as_many_statements_as_written_down(
    world: World, background: Background, settings: Settings, route: str, case: str
) -> None:
    settings.DEBUG = True
    scene = Scene(world)
    statements = statements_of(background, lambda: REQUESTS[route][case](scene))
    name = name_of(route, case)
    if os.environ.get("UPDATE_STATEMENT_COUNTS"):
        write(name, len(statements))
        return
    assert len(statements) == GOLDEN[name], statements


def write(name: str, count: int) -> None:
    written = json.loads(FILE.read_text()) if FILE.exists() else {}
    written[name] = count
    FILE.write_text(json.dumps(dict(sorted(written.items())), indent=2) + "\n")


def test_what_is_written_down_is_asked_and_no_more() -> None:
    assert set(GOLDEN) == {name_of(route, case) for route, case in CASES}


def test_every_route_with_a_caller_is_counted() -> None:
    named = {route.name for route in ROUTES if route.access is Access.CALLER}
    assert named == set(REQUESTS)
