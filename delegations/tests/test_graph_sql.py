"""The graph's statements against slow and obvious answers, on random graphs."""

from __future__ import annotations

from itertools import pairwise

from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.models import AgentSession
from caracal_site import actors, statements
from caracal_site.testing.world import World
from delegations import queries
from delegations.models import DelegationEdge
from delegations.rules import Agent, Edge
from delegations.services.ending import foresee
from delegations.tests.graphs import Graph, fallen, graphs, reachable, stored
from tokens.tests.factories import LIFECYCLE

quick = settings(max_examples=40)


@quick
@given(graph=graphs(), data=st.data())
def test_what_is_foreseen_is_what_has_nothing_left_to_stand_on(
    world: World, graph: Graph, data: st.DataObject
) -> None:
    graph = stored(graph, world.session())
    edge_ids = [edge.id for edge in graph.edges]
    agent_ids = [agent.id for agent in graph.agents]
    ended_edges = data.draw(
        st.lists(st.sampled_from(edge_ids), unique=True, max_size=3)
        if edge_ids
        else st.just([])
    )
    ended_agents = data.draw(
        st.lists(st.sampled_from(agent_ids), unique=True, max_size=2)
    )
    found = foresee(world.zone.id, edge_ids=ended_edges, agent_ids=ended_agents)
    edges, agents = fallen(graph, ended_edges, ended_agents)
    assert sorted(found.edges) == sorted(edges)
    assert sorted(found.agents) == sorted(agents)
    sessions = {world.session().id} if agents else set()
    assert set(found.subject_sessions) == sessions


@quick
@given(graph=graphs(), data=st.data())
def test_what_has_ended_before_is_in_nobody_s_way(
    world: World, graph: Graph, data: st.DataObject
) -> None:
    graph = stored(graph, world.session())
    dead = data.draw(st.sets(st.sampled_from(graph.edges))) if graph.edges else set()
    DelegationEdge.objects.filter(id__in=[edge.id for edge in dead]).update(
        status="revoked"
    )
    alive = Graph(graph.agents, tuple(edge for edge in graph.edges if edge not in dead))
    chosen = data.draw(st.sampled_from(graph.agents)).id
    found = foresee(world.zone.id, agent_ids=[chosen])
    assert (set(found.edges), set(found.agents)) == fallen(alive, [], [chosen])


@quick
@given(graph=graphs(), data=st.data())
def test_a_traversal_lists_each_reachable_live_edge_once(
    world: World, graph: Graph, data: st.DataObject
) -> None:
    graph = stored(graph, world.session())
    live = Graph(graph.agents, tuple(edge for edge in graph.edges if edge.justifies))
    root = data.draw(st.sampled_from([edge.id for edge in graph.edges] or ["none"]))
    operator = actors.operator(world.zone.id, LIFECYCLE)
    walked, following = queries.traverse(
        operator, zone_id=world.zone.id, edge_id=root, limit=1_000, cursor=None
    )
    expected = reachable(live, root) if root in {e.id for e in live.edges} else {}
    assert {link["id"]: link["depth"] for link in walked} == expected
    assert len(walked) == len(expected)
    assert following is None


@quick
@given(graph=graphs(), data=st.data())
def test_reaching_is_walking_over_live_edges(
    world: World, graph: Graph, data: st.DataObject
) -> None:
    graph = stored(graph, world.session())
    ends = st.sampled_from([agent.id for agent in graph.agents])
    start, goal = data.draw(st.tuples(ends, ends))
    reached = {start}
    for _ in graph.edges:
        reached |= {
            e.target for e in graph.edges if e.justifies and e.source in reached
        }
    reaches, leads_anywhere = statements.fetch_one(
        "delegations/reaches", {"from_id": start, "to_id": goal}
    )
    assert reaches is (goal in reached)
    assert leads_anywhere is (len(reached) > 1)


def layered(layers: int, width: int, twins: int) -> Graph:
    """Every agent of a layer delegates to every agent of the next, ``twins`` times."""
    agents = [
        [Agent(f"{layer}/{place}", None, "app") for place in range(width)]
        for layer in range(layers)
    ]
    edges: list[Edge] = []
    first_into: dict[str, str] = {}
    for upper, lower in pairwise(agents):
        for source in upper:
            for target in lower:
                for twin in range(twins):
                    name = f"{source.id}>{target.id}#{twin}"
                    parent = first_into.get(source.id)
                    edges.append(Edge(name, source.id, target.id, parent, "app"))
        for target in lower:
            first_into[target.id] = f"{upper[0].id}>{target.id}#0"
    return Graph(tuple(a for layer in agents for a in layer), tuple(edges))


def test_ten_full_layers_are_their_edges_and_not_their_paths(world: World) -> None:
    graph = stored(layered(10, 5, 2), world.session())
    root = graph.edges[0].id
    operator = actors.operator(world.zone.id, LIFECYCLE)
    walked, _ = queries.traverse(
        operator, zone_id=world.zone.id, edge_id=root, limit=1_000, cursor=None
    )
    assert len(walked) == 1 + 10 + 7 * 50
    assert [link["depth"] for link in walked].count(9) == 50
    reaches, _ = statements.fetch_one(
        "delegations/reaches",
        {"from_id": graph.agents[0].id, "to_id": graph.agents[-1].id},
    )
    assert reaches is True
    answer = world.revoke(root, scopes=("coordinator.admin",))
    edges, agents = fallen(graph, [root], [])
    assert answer.json() == {
        "revoked_edges": len(edges),
        "affected_sessions": 1 if agents else 0,
        "terminated_agents": len(agents),
    }


def test_a_long_traversal_is_read_in_pages(world: World) -> None:
    graph = stored(layered(6, 4, 1), world.session())
    root = graph.edges[0].id
    token = world.token(None, "coordinator.admin")
    path = f"/delegations/{root}/traverse?limit=10"
    read: list[dict[str, object]] = []
    while path:
        page = world.get(path, token=token)
        assert len(page.json()) <= 10
        read += page.json()
        following = page.links.get("next", {}).get("url", "")
        path = following.removeprefix(f"/zones/{world.zone.id}")
    assert len(read) == 1 + 4 + 3 * 16
    assert read == sorted(read, key=lambda link: (link["depth"], link["id"]))


def test_ending_thousands_of_agents_is_one_gesture(world: World) -> None:
    root = world.spawn()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO agent_sessions (id, zone_id, application_id, parent_id,"
            " ancestor_ids, depth, subject_session_id)"
            " SELECT parent.id || '.' || n, zone_id, application_id, id, ARRAY[id], 1,"
            " subject_session_id FROM agent_sessions parent, generate_series(1, 9000) n"
            " WHERE id = %s",
            [root["agent_session_id"]],
        )
    assert world.terminate(root).status_code == 204
    assert not AgentSession.objects.in_zone(world.zone.id).live().exists()
