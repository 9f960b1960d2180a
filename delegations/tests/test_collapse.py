"""What ends with an edge or an agent, and how an edge is walked from."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from delegations.rules import (
    Agent,
    Edge,
    breadth_first,
    collapse,
    effective_authority,
)
from delegations.tests.graphs import Graph, fallen, graphs, reachable


@given(graph=graphs(), data=st.data())
def test_a_collapse_ends_exactly_what_has_nothing_left_to_stand_on(
    graph: Graph, data: st.DataObject
) -> None:
    some = st.lists(st.sampled_from([edge.id for edge in graph.edges]), unique=True)
    ended_edges = data.draw(some if graph.edges else st.just([]))
    ids = [agent.id for agent in graph.agents]
    ended_agents = data.draw(st.lists(st.sampled_from(ids), unique=True, max_size=2))
    found = collapse(
        graph.edges, graph.agents, ended_edges=ended_edges, ended_agents=ended_agents
    )
    edges, agents = fallen(graph, ended_edges, ended_agents)
    assert sorted(found.edges) == sorted(edges)
    assert sorted(found.agents) == sorted(agents)
    targets = {edge.target for edge in graph.edges if edge.id in edges}
    assert found.touched == agents | targets


@given(graph=graphs(), data=st.data())
def test_what_is_unknown_takes_nothing_with_it(
    graph: Graph, data: st.DataObject
) -> None:
    nothing = collapse(
        graph.edges, graph.agents, ended_edges=["unknown"], ended_agents=["unknown"]
    )
    assert (nothing.edges, nothing.agents, nothing.touched) == ([], [], set())


@given(graph=graphs(), data=st.data())
def test_ending_more_never_saves_anything(graph: Graph, data: st.DataObject) -> None:
    ids = [agent.id for agent in graph.agents]
    first, second = data.draw(st.tuples(st.sampled_from(ids), st.sampled_from(ids)))
    one = collapse(graph.edges, graph.agents, ended_agents=[first])
    both = collapse(graph.edges, graph.agents, ended_agents=[first, second])
    assert set(one.edges) <= set(both.edges)
    assert set(one.agents) <= set(both.agents)


@given(graph=graphs(), data=st.data())
def test_a_walk_finds_each_reachable_edge_once_at_its_smallest_depth(
    graph: Graph, data: st.DataObject
) -> None:
    root = data.draw(st.sampled_from([edge.id for edge in graph.edges] or ["none"]))
    links = [(edge.id, edge.source, edge.target) for edge in graph.edges]
    walked = breadth_first(root, links)
    assert {edge: depth for edge, _, _, depth in walked} == reachable(graph, root)
    assert len(walked) == len({edge for edge, *_ in walked})
    assert walked == sorted(walked, key=lambda edge: (edge[3], edge[0]))


def edge(
    id_: str, source: str, target: str, parent: str | None = None, **more: object
) -> Edge:
    return Edge(id_, source, target, parent, str(more.pop("issuer", "app")), **more)  # type: ignore[arg-type]


def test_a_diamond_stands_while_one_side_does() -> None:
    agents = [Agent(id_, None, "app") for id_ in "abcd"]
    edges = [
        edge("ab", "a", "b"),
        edge("ac", "a", "c"),
        edge("bd", "b", "d", "ab"),
        edge("cd", "c", "d", "ac"),
    ]
    left = collapse(edges, agents, ended_edges=["ab"])
    assert (left.edges, left.agents) == (["ab", "bd"], ["b"])
    assert left.touched == {"b", "d"}
    both = collapse(edges, agents, ended_edges=["ab", "ac"])
    assert both.agents == ["b", "c", "d"]


def test_an_expired_edge_justifies_nobody() -> None:
    agents = [Agent("a", None, "app"), Agent("b", None, "app")]
    edges = [edge("live", "a", "b"), edge("past", "a", "b", justifies=False)]
    assert collapse(edges, agents, ended_edges=["live"]).agents == ["b"]


def test_another_application_s_agent_loses_authority_but_not_its_life() -> None:
    agents = [Agent("a", None, "app"), Agent("b", None, "other")]
    found = collapse([edge("ab", "a", "b")], agents, ended_edges=["ab"])
    assert found.agents == []
    assert found.touched == {"b"}


def test_a_child_of_the_issuer_falls_whatever_its_application() -> None:
    agents = [Agent("a", None, "app"), Agent("b", "a", "other", ("a",))]
    found = collapse([edge("ab", "a", "b")], agents, ended_edges=["ab"])
    assert found.agents == ["b"]


def test_revocation_follows_lineage_and_not_neighbourhood() -> None:
    agents = [Agent(id_, None, id_) for id_ in "xybc"]
    edges = [
        edge("xb", "x", "b", issuer="x"),
        edge("yb", "y", "b", issuer="y"),
        edge("bc", "b", "c", "yb", issuer="b"),
    ]
    found = collapse(edges, agents, ended_edges=["xb"])
    assert (found.edges, found.agents) == (["xb"], [])


def test_a_collapse_has_no_depth_limit() -> None:
    count = 5_000
    agents = [Agent(f"{n:05}", None, "app") for n in range(count + 1)]
    edges = [
        edge(f"e{n}", f"{n:05}", f"{n + 1:05}", f"e{n - 1}" if n else None)
        for n in range(count)
    ]
    found = collapse(edges, agents, ended_edges=["e0"])
    assert len(found.edges) == count
    assert len(found.agents) == count


def test_a_walk_of_doubled_layers_is_as_long_as_its_edges() -> None:
    links = [
        (
            f"{layer}-{source}-{target}-{twin}",
            f"{layer}/{source}",
            f"{layer + 1}/{target}",
        )
        for layer in range(10)
        for source in range(5)
        for target in range(5)
        for twin in range(2)
    ]
    walked = breadth_first("0-0-0-0", links)
    assert len(walked) == 1 + 10 + 8 * 50


INBOUND = {
    "id": "e1",
    "scopes": ["a", "b"],
    "resource_id": "r1",
    "resource_identifiers": ["res://1"],
    "max_hops": 3,
    "ttl_seconds": None,
    "expires_at": "2026-01-02T00:00:00.000Z",
}


def test_effective_authority_intersects_scopes_and_unites_resources() -> None:
    other = INBOUND | {
        "id": "e2",
        "scopes": ["b", "c"],
        "resource_id": None,
        "resource_identifiers": ["res://2"],
        "max_hops": 2,
        "ttl_seconds": 60,
        "expires_at": "2026-01-01T00:00:00.000Z",
    }
    found = effective_authority("x", [INBOUND, other], exists=True, narrowed=True)
    assert found == {
        "agent_session_id": "x",
        "exists": True,
        "root": False,
        "inbound_edges": ["e1", "e2"],
        "effective_scopes": ["b"],
        "effective_resources": ["res://1", "res://2"],
        "effective_resource_ids": ["r1"],
        "effective_resource_constrained": True,
        "effective_max_hops": 2,
        "effective_ttl_seconds": 60,
        "earliest_expires_at": "2026-01-01T00:00:00.000Z",
    }


@pytest.mark.parametrize(
    ("exists", "narrowed", "is_root"),
    [(True, False, True), (True, True, False), (False, False, False)],
)
def test_no_inbound_edge_is_root_only_for_who_was_never_narrowed(
    exists: bool, narrowed: bool, is_root: bool
) -> None:
    found = effective_authority("x", [], exists=exists, narrowed=narrowed)
    assert found["root"] is is_root
    assert found["exists"] is exists
    assert found["effective_scopes"] == found["inbound_edges"] == []
    assert found["effective_max_hops"] == 0
