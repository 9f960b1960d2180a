"""How many statements the pages cost, however many rows they show."""

from __future__ import annotations

import pytest
from django.db import connection
from django.db.models import Model
from django.test import Client
from django.test.utils import CaptureQueriesContext

from agents.models import AgentSession
from audit.models import AdminAuditEvent, OutboxEvent
from caracal_site.console.tests import asking
from caracal_site.console.tests.populating import inhabit
from caracal_site.testing.world import World
from delegations.models import DelegationEdge
from tokens.models import Session
from zones.models import Application, Resource, Zone

# The session, its person, the choices of the zone filter, the count and the rows.
GOLDEN = {
    Zone: 4,
    Application: 5,
    Resource: 5,
    AgentSession: 5,
    DelegationEdge: 5,
    Session: 5,
    AdminAuditEvent: 5,
    OutboxEvent: 5,
}
AGENT_PAGE = 14


def statements(console: Client, page: str) -> int:
    """The statements of a request after one that filled Django's own caches."""
    assert console.get(page).status_code == 200
    with CaptureQueriesContext(connection) as captured:
        assert console.get(page).status_code == 200
    return len(captured)


@pytest.mark.parametrize("model", GOLDEN, ids=lambda model: model._meta.label)
def test_a_list_costs_the_same_for_any_number_of_rows(
    console: Client, world: World, model: type[Model]
) -> None:
    page = asking.changelist(model)
    if model is not Zone:
        page += f"?zone={world.zone.pk}"
    inhabit(world)
    assert statements(console, page) == GOLDEN[model]
    inhabit(world)
    world.make_resource(world.make_application())
    assert statements(console, page) == GOLDEN[model]


def test_the_page_of_an_agent_costs_the_same_for_any_number_around_it(
    console: Client, world: World
) -> None:
    agent, _edge = inhabit(world)
    page = asking.change(agent)
    before = statements(console, page)
    assert before == AGENT_PAGE
    for _ in range(3):
        world.spawn({"agent_session_id": agent.pk})
    assert statements(console, page) == before
