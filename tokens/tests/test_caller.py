"""Whether a caller is still in force: asked live, by every statement."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from agents.models import AgentSession
from caracal_site import actors
from caracal_site.actors import Actor
from caracal_site.coordinator.errors import IdentityRevoked
from caracal_site.errors import ZoneNotFound
from caracal_site.ids import new_id
from delegations.models import DelegationEdge
from tokens import bearer
from tokens.models import Session, SigningKey
from tokens.tests.factories import (
    LIFECYCLE,
    Client,
    claims_of,
    make_agent,
    make_client,
    make_edge,
    make_session,
    sign,
)
from zones.models import Application, Zone

PAST = timedelta(seconds=-5)


@pytest.fixture
def caller(zone: Zone, client: Client) -> Actor:
    """A caller with everything: session, agent and edge."""
    agent = make_agent(client)
    claims = claims_of(
        client,
        sid=make_session(client).id,
        agent_session_id=agent.id,
        delegation_edge_id=make_edge(client, agent).id,
    )
    return bearer.authenticate(sign(zone, claims))


def test_a_caller_in_force_passes(caller: Actor) -> None:
    bearer.check_alive(caller)


def test_asking_takes_one_statement(caller: Actor) -> None:
    with CaptureQueriesContext(connection) as queries:
        bearer.check_alive(caller)
    assert len(queries) == 1


ENDINGS: dict[str, Callable[[Actor], object]] = {
    "zone archived": lambda a: Zone.objects.filter(id=a.zone_id).update(
        archived_at=timezone.now()
    ),
    "application archived": lambda a: Application.objects.filter(id=a.client_id).update(
        archived_at=timezone.now()
    ),
    "application expired": lambda a: Application.objects.filter(id=a.client_id).update(
        expires_at=timezone.now() + PAST
    ),
    "session revoked": lambda a: Session.objects.filter(id=a.session_id).update(
        status="revoked"
    ),
    "session over": lambda a: Session.objects.filter(id=a.session_id).update(
        expires_at=timezone.now() + PAST
    ),
    "key withdrawn": lambda a: SigningKey.objects.filter(id=a.key_id).update(
        state="withdrawn"
    ),
    "agent suspended": lambda a: AgentSession.objects.filter(
        id=a.agent_session_id
    ).update(status="suspended"),
    "agent over": lambda a: AgentSession.objects.filter(id=a.agent_session_id).update(
        expires_at=timezone.now() + PAST
    ),
    "service without a heartbeat": lambda a: AgentSession.objects.filter(
        id=a.agent_session_id
    ).update(lifecycle="service", heartbeat_deadline_at=timezone.now() + PAST),
    "edge revoked": lambda a: DelegationEdge.objects.filter(
        id=a.delegation_edge_id
    ).update(status="revoked"),
    "edge over": lambda a: DelegationEdge.objects.filter(
        id=a.delegation_edge_id
    ).update(expires_at=timezone.now() + PAST),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_caller_falls_with_each_thing_it_stands_on(
    caller: Actor, ending: str
) -> None:
    """W-27: a revoked session was accepted until a stream was read."""
    assert ENDINGS[ending](caller) == 1
    with pytest.raises(IdentityRevoked):
        bearer.check_alive(caller)


def test_a_service_with_a_heartbeat_is_in_force(caller: Actor) -> None:
    AgentSession.objects.filter(id=caller.agent_session_id).update(
        lifecycle="service",
        expires_at=None,
        heartbeat_deadline_at=timezone.now() + timedelta(minutes=1),
    )
    bearer.check_alive(caller)


@pytest.mark.parametrize(
    "changes",
    [
        {"client_id": "nobody"},
        {"session_id": "nothing"},
        {"key_id": "nothing"},
        {"agent_session_id": "nothing"},
        {"delegation_edge_id": "nothing"},
        {"agent_session_id": None},
    ],
    ids=str,
)
def test_a_caller_standing_on_nothing_is_refused(
    caller: Actor, changes: dict[str, str | None]
) -> None:
    with pytest.raises(IdentityRevoked):
        bearer.check_alive(replace(caller, **changes))


def test_another_application_s_session_agent_and_edge_serve_nobody_else(
    zone: Zone, client: Client, caller: Actor
) -> None:
    other = make_client(zone)
    agent = make_agent(other)
    for changes in (
        {"session_id": make_session(other).id},
        {"agent_session_id": agent.id},
        {"delegation_edge_id": make_edge(client, agent).id},
    ):
        with pytest.raises(IdentityRevoked):
            bearer.check_alive(replace(caller, **changes))


def test_an_operator_only_needs_its_zone(zone: Zone) -> None:
    bearer.check_alive(actors.operator(zone.id, LIFECYCLE))
    with pytest.raises(ZoneNotFound):
        bearer.check_alive(actors.operator(new_id(), LIFECYCLE))


def test_the_platform_itself_is_asked_for_the_zone_it_works_in(zone: Zone) -> None:
    bearer.check_alive(actors.system("job"), zone.id)
    with pytest.raises(ZoneNotFound):
        bearer.check_alive(actors.system("job"))
