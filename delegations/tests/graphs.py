"""Random agent trees with delegations, and slow answers to what falls with what."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from django.utils import timezone
from hypothesis import strategies as st

from agents.models import AgentSession
from caracal_site.ids import new_id
from delegations.models import DelegationEdge
from delegations.rules import Agent, Edge
from tokens.models import Session

APPLICATIONS = ("app1", "app2", "app3")


@dataclass(frozen=True)
class Graph:
    agents: tuple[Agent, ...]
    edges: tuple[Edge, ...]


@st.composite
def graphs(draw: st.DrawFn, *, most_agents: int = 8, most_edges: int = 14) -> Graph:
    """Agents as a forest; edges anywhere, each below an edge into its source or none.
    Diamonds, chains, parallel and expired edges all occur."""
    agents: list[Agent] = []
    for number in range(draw(st.integers(1, most_agents))):
        parent = draw(st.sampled_from([None, *agents]))
        agents.append(
            Agent(
                id=f"a{number:02}",
                parent=parent.id if parent else None,
                application=draw(st.sampled_from(APPLICATIONS)),
                ancestors=(*parent.ancestors, parent.id) if parent else (),
            )
        )
    edges: list[Edge] = []
    pairs = [(s, t) for s in agents for t in agents if s.id != t.id]
    for number in range(draw(st.integers(0, most_edges)) if pairs else 0):
        source, target = draw(st.sampled_from(pairs))
        above = [edge.id for edge in edges if edge.target == source.id]
        edges.append(
            Edge(
                id=f"e{number:02}",
                source=source.id,
                target=target.id,
                parent=draw(st.sampled_from([None, *above])),
                issuer=source.application,
                justifies=draw(st.sampled_from([True, True, True, False])),
            )
        )
    return Graph(tuple(agents), tuple(edges))


def fallen(
    graph: Graph, ended_edges: Collection[str], ended_agents: Collection[str]
) -> tuple[set[str], set[str]]:
    """What ends, by asking everything again until nothing changes any more."""
    edges, agents = set(ended_edges), set(ended_agents)
    while True:
        before = len(edges) + len(agents)
        for edge in graph.edges:
            if edge.parent in edges or {edge.source, edge.target} & agents:
                edges.add(edge.id)
        for agent in graph.agents:
            into = [edge for edge in graph.edges if edge.target == agent.id]
            lost = [edge for edge in into if edge.id in edges]
            kept = [edge for edge in into if edge.id not in edges and edge.justifies]
            depended = any(
                edge.issuer == agent.application or edge.source in agent.ancestors
                for edge in lost
            )
            if agent.parent in agents or (depended and not kept):
                agents.add(agent.id)
        if len(edges) + len(agents) == before:
            return edges, agents


def reachable(graph: Graph, root: str) -> dict[str, int]:
    """Every edge that can be walked to from ``root``, with the fewest steps to it."""
    by_id = {edge.id: edge for edge in graph.edges}
    found = {root: 1} if root in by_id else {}
    for depth in range(2, len(by_id) + 2):
        ends = {by_id[id_].target for id_, at in found.items() if at == depth - 1}
        for edge in graph.edges:
            if edge.source in ends:
                found.setdefault(edge.id, depth)
    return found


def stored(graph: Graph, session: Session) -> Graph:
    """The graph as rows of the session's zone, under ids of the database's kind."""
    ids = {item.id: new_id() for item in (*graph.agents, *graph.edges)}
    agents = tuple(
        agent._replace(
            id=ids[agent.id],
            parent=ids[agent.parent] if agent.parent else None,
            ancestors=tuple(ids[ancestor] for ancestor in agent.ancestors),
        )
        for agent in graph.agents
    )
    edges = tuple(
        edge._replace(
            id=ids[edge.id],
            source=ids[edge.source],
            target=ids[edge.target],
            parent=ids[edge.parent] if edge.parent else None,
        )
        for edge in graph.edges
    )
    _insert_agents(agents, session)
    _insert_edges(edges, {agent.id: agent for agent in agents}, session)
    return Graph(agents, edges)


def _insert_agents(agents: tuple[Agent, ...], session: Session) -> None:
    expires_at = timezone.now() + timedelta(hours=1)
    AgentSession.objects.bulk_create(
        AgentSession(
            id=agent.id,
            zone_id=session.zone_id,
            application_id=agent.application,
            parent_id=agent.parent,
            ancestor_ids=list(agent.ancestors),
            depth=len(agent.ancestors),
            subject_session=session,
            expires_at=expires_at,
        )
        for agent in agents
    )


def _insert_edges(
    edges: tuple[Edge, ...], agents: dict[str, Agent], session: Session
) -> None:
    now = timezone.now()
    depths: dict[str | None, int] = {None: -1}
    roots: dict[str, str] = {}
    for edge in edges:
        depths[edge.id] = depths[edge.parent] + 1
        roots[edge.id] = roots[edge.parent] if edge.parent else edge.id
    DelegationEdge.objects.bulk_create(
        DelegationEdge(
            id=edge.id,
            zone_id=session.zone_id,
            source_session_id=edge.source,
            target_session_id=edge.target,
            issuer_application_id=edge.issuer,
            receiver_application_id=agents[edge.target].application,
            parent_edge_id=edge.parent,
            root_edge_id=roots[edge.id],
            depth=depths[edge.id],
            expires_at=now + timedelta(hours=1 if edge.justifies else -1),
        )
        for edge in edges
    )
