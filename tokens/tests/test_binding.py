"""Tokens bound to agents and edges: what they say, how long they last, when there is
none (contract: tokens.md 9)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agents.models import AgentSession
from audit.models import AuditEvent
from caracal_site.coordinator.errors import MissingScope
from caracal_site.testing.races import Threads, held
from caracal_site.testing.world import READ, WRITE, World
from delegations.models import DelegationEdge
from policies.tests.factories import activate, document, make_version
from tokens import bearer
from tokens.errors import ExchangeDenied
from tokens.models import Session
from tokens.services.issue import TokenAnswer, issue_session_token
from tokens.tests.factories import LIFECYCLE, make_session, request_of
from tokens.tests.test_issue import claims_in

Made = dict[str, Any]


class Fleet:
    """A lead that has passed authority on to a clerk, under policies that let clerks
    mint it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.resource = world.resource.identifier
        roles = {"clerk": [READ, WRITE]}
        view = {"application": "main", "roles": roles}
        data = document(
            app_ids={"main": world.application.id}, grants={self.resource: view}
        )
        activate(make_version(world.zone, data))
        self.lead = world.spawn(labels=["lead"])
        self.clerk = world.spawn(labels=["clerk"])
        self.edge = self.pass_on(self.lead, self.clerk)

    def pass_on(self, source: Made, target: Made, **given: Any) -> Made:
        given.setdefault("constraints", {"max_hops": 5})
        return self.world.delegate(source, target, **given)

    def ask(
        self, agent: Made | None = None, edge: Made | None = None, **changes: Any
    ) -> TokenAnswer:
        asked: dict[str, Any] = {
            "scope": READ,
            "agent_session_id": (agent or self.clerk)["agent_session_id"],
            "delegation_edge_id": (edge or self.edge)["delegation_edge_id"],
        }
        return issue_session_token(
            request_of(self.world.application, self.resource, **asked | changes)
        )

    def why_not(self, *given: Any, **changes: Any) -> str:
        """The reason on record for a refusal that left no session."""
        before = Session.objects.filter(zone=self.world.zone).count()
        with pytest.raises(ExchangeDenied):
            self.ask(*given, **changes)
        assert Session.objects.filter(zone=self.world.zone).count() == before
        events = AuditEvent.objects.filter(zone_id=self.world.zone.id).order_by("id")
        last, summary = ([None, *events])[-2:]
        assert summary is not None
        assert summary.evaluation_status == "exchange_denied"
        reason: str = summary.metadata_json["reason"]
        if reason == "nothing_granted":
            assert last is not None
            reason = last.diagnostics_json[0]["reason"]
        return reason


@pytest.fixture
def fleet(world: World) -> Fleet:
    return Fleet(world)


def test_a_narrowed_token_names_its_agent_its_edge_and_the_way_to_it(
    fleet: Fleet,
) -> None:
    claims = claims_in(fleet.ask())
    lead, clerk = fleet.lead["agent_session_id"], fleet.clerk["agent_session_id"]
    edge, client = fleet.edge["delegation_edge_id"], fleet.world.application.id
    told = ("jti", "sid", "root_sid", "iat", "exp", "iss", "aud", "zone_id", "sub",
            "client_id", "use", "sub_type")  # fmt: skip
    assert {key: claims[key] for key in claims if key not in told} == {
        "scope": READ,
        "target": [fleet.resource],
        "agent_session_id": clerk,
        "delegation_edge_id": edge,
        "source_session_id": lead,
        "target_session_id": clerk,
        "delegation_path": [edge],
        "delegation_chain": [
            {
                "application_id": client,
                "agent_session_id": lead,
                "delegation_edge_id": edge,
            },
            {"application_id": client, "agent_session_id": clerk},
        ],
        "hop_count": 1,
        "delegation_graph_epoch": fleet.world.epoch(),
    }
    session = Session.objects.get(id=claims["sid"])
    assert (session.agent_session_id, session.delegation_edge_id) == (clerk, edge)


def test_the_whole_lineage_is_in_the_token_and_in_the_ledger(fleet: Fleet) -> None:
    """W-12: not just the last hop."""
    agents, edges = [fleet.lead, fleet.clerk], [fleet.edge]
    for _ in range(4):
        agents.append(fleet.world.spawn(labels=["clerk"]))
        hops = 5 - len(edges)
        given = {"parent_edge_id": edges[-1]["delegation_edge_id"]}
        edges.append(
            fleet.pass_on(*agents[-2:], constraints={"max_hops": hops}, **given)
        )
    claims = claims_in(fleet.ask(agents[-1], edges[-1]))
    path = [edge["delegation_edge_id"] for edge in edges]
    assert (claims["delegation_path"], claims["hop_count"]) == (path, 5)
    chain = claims["delegation_chain"]
    assert [link["agent_session_id"] for link in chain] == [
        agent["agent_session_id"] for agent in agents
    ]
    [event] = AuditEvent.objects.filter(zone_id=fleet.world.zone.id)
    metadata = event.metadata_json
    assert metadata["delegation_chain"] == chain
    assert metadata["delegation_hop_count"] == 5
    assert (metadata["agent_labels"], metadata["agent_depth"]) == (["clerk"], 0)
    assert metadata["policy_input"]["delegation_edge"]["path"] == path
    # Any link that ends takes what was passed on below it along.
    fleet.world.revoke(edges[1])
    assert fleet.why_not(agents[-1], edges[-1]) == "agent_session_not_usable"


def test_two_edges_between_the_same_agents_are_both_usable(fleet: Fleet) -> None:
    """W-12: neither stands in for the other."""
    other = fleet.pass_on(fleet.lead, fleet.clerk, scopes=[READ, WRITE])
    for edge in (fleet.edge, other):
        claims = claims_in(fleet.ask(edge=edge))
        assert claims["delegation_path"] == [edge["delegation_edge_id"]]


def test_only_the_receiver_uses_an_edge_and_only_as_its_target(fleet: Fleet) -> None:
    stranger = fleet.world.spawn(labels=["clerk"])
    assert fleet.why_not(fleet.lead) == "delegation_edge_not_usable"
    assert fleet.why_not(stranger) == "delegation_edge_not_usable"
    alone = {"agent_session_id": None}
    assert fleet.why_not(**alone) == "delegation_edge_not_usable"
    assert fleet.why_not(delegation_edge_id="none") == "delegation_edge_not_usable"
    other = fleet.world.make_application()
    foreign = fleet.world.spawn(by=other, labels=["clerk"])
    assert fleet.why_not(foreign) == "agent_session_not_usable"


def test_an_agent_without_an_edge_gets_nothing(fleet: Fleet) -> None:
    assert fleet.why_not(delegation_edge_id=None) == "no_rule_matched"


def over(fleet: Fleet, agent: Made, **changes: Any) -> None:
    AgentSession.objects.filter(id=agent["agent_session_id"]).update(**changes)


ENDS: dict[str, tuple[Callable[[Fleet], object], str]] = {
    "revoked edge": (
        lambda f: DelegationEdge.objects.filter(id=f.edge["delegation_edge_id"]).update(
            status="revoked"
        ),
        "delegation_edge_not_usable",
    ),
    "edge past its time": (
        lambda f: DelegationEdge.objects.filter(id=f.edge["delegation_edge_id"]).update(
            expires_at=timezone.now()
        ),
        "delegation_edge_not_usable",
    ),
    "suspended agent": (
        lambda f: f.world.suspend(f.clerk),
        "agent_session_not_usable",
    ),
    "agent past its time": (
        lambda f: over(f, f.clerk, expires_at=timezone.now()),
        "agent_session_not_usable",
    ),
    "silent service": (
        lambda f: over(
            f, f.clerk, lifecycle="service", heartbeat_deadline_at=timezone.now()
        ),
        "agent_session_not_usable",
    ),
    "suspended source": (
        lambda f: f.world.suspend(f.lead),
        "delegation_edge_not_usable",
    ),
    "source past its time": (
        lambda f: over(f, f.lead, expires_at=timezone.now()),
        "delegation_edge_not_usable",
    ),
}


@pytest.mark.parametrize("end", ENDS)
def test_what_is_not_in_force_binds_nothing(fleet: Fleet, end: str) -> None:
    fleet.ask()
    happen, reason = ENDS[end]
    happen(fleet)
    assert fleet.why_not() == reason


def test_an_edge_bounds_what_is_asked_under_it(fleet: Fleet) -> None:
    assert fleet.why_not(scope=WRITE) == "scopes_outside_delegation"
    tight = fleet.pass_on(
        fleet.lead,
        fleet.clerk,
        scopes=[READ, WRITE],
        constraints={"budget": 1, "ttl_seconds": 60},
    )
    assert fleet.why_not(edge=tight, scope=f"{READ} {WRITE}") == (
        "delegation_budget_exceeded"
    )
    assert fleet.why_not(edge=tight, ttl_seconds=61) == "delegation_ttl_exceeded"
    assert fleet.ask(edge=tight, ttl_seconds=60).expires_in <= 60
    assert fleet.ask(edge=tight).expires_in <= 60


def test_an_edge_about_another_resource_gives_nothing_on_this_one(
    fleet: Fleet,
) -> None:
    other = fleet.world.make_resource(fleet.world.application)
    away = fleet.pass_on(fleet.lead, fleet.clerk, resource_id=other.id)
    assert fleet.why_not(edge=away) == "resource_outside_delegation"


@pytest.mark.parametrize(
    "shorten",
    [
        lambda f, at: over(f, f.clerk, expires_at=at),
        lambda f, at: over(f, f.lead, expires_at=at),
        lambda f, at: DelegationEdge.objects.filter(
            id=f.edge["delegation_edge_id"]
        ).update(expires_at=at),
    ],
    ids=["agent", "source", "edge"],
)
def test_a_token_ends_with_the_first_thing_it_rests_on(
    fleet: Fleet, shorten: Callable[[Fleet, Any], object]
) -> None:
    """W-7."""
    shorten(fleet, timezone.now() + timedelta(seconds=90))
    assert 80 <= fleet.ask(ttl_seconds=900).expires_in <= 90


def test_a_token_ends_with_the_session_it_names(fleet: Fleet) -> None:
    """W-7."""
    soon = make_session(fleet.world.application)
    Session.objects.filter(id=soon.id).update(
        expires_at=timezone.now() + timedelta(seconds=90)
    )
    assert 80 <= fleet.ask(session_id=soon.id, ttl_seconds=900).expires_in <= 90


def test_a_narrowed_token_does_not_open_the_coordinator(fleet: Fleet) -> None:
    assert fleet.why_not(scope=f"{READ} {LIFECYCLE}") == "scopes_outside_delegation"
    with pytest.raises(MissingScope):
        bearer.authenticate(fleet.ask().access_token)


def test_a_revocation_waits_for_the_token_being_issued(fleet: Fleet) -> None:
    """Nothing is issued on an edge whose end has been acknowledged."""
    row = DelegationEdge.objects.filter(id=fleet.edge["delegation_edge_id"])
    with Threads(1) as threads:
        with held(row) as waits:
            asked = threads.start(fleet.why_not)
            waits(1)
            row.update(status="revoked", edge_version=F("edge_version") + 1)
        assert asked.result() == "delegation_edge_not_usable"


def test_a_bound_token_takes_no_statement_more(fleet: Fleet) -> None:
    fleet.ask()
    with CaptureQueriesContext(connection) as queries:
        fleet.ask()
    assert len(queries) == 2, list(queries)
