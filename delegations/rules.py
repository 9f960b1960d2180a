"""The rules of delegation: pure functions on plain values.

No ORM, clock or settings: whoever calls brings the facts and the time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple

DEFAULT_HOPS = 1


@dataclass(frozen=True, slots=True)
class Authority:
    """What an edge grants, as far as narrowing compares it.

    ``resource_ids`` None means every resource of the issuer (a broad edge). It is
    empty when all of an edge's resources are gone, which grants nothing.
    """

    scopes: frozenset[str]
    resource_ids: frozenset[str] | None
    max_hops: int
    expires_at: datetime
    ttl_seconds: int | None = None
    budget: int | None = None


def earliest_expiry(
    now: datetime,
    *,
    expires_at: datetime | None,
    constraint_expires_at: datetime | None,
    ttl_seconds: int | None,
    parent_expires_at: datetime | None = None,
) -> datetime | None:
    """The minimum of all bounds (D15); None when there is no bound of its own."""
    own = [moment for moment in (expires_at, constraint_expires_at) if moment]
    if ttl_seconds is not None:
        own.append(now + timedelta(seconds=ttl_seconds))
    if not own:
        return None
    return min([*own, parent_expires_at] if parent_expires_at else own)


def widening(
    child: Authority, parent: Authority, *, explicit_expiry: datetime | None
) -> str:
    """In what the child would be wider than its parent; empty when in nothing."""
    if not child.scopes <= parent.scopes:
        return "scopes"
    if explicit_expiry is not None and explicit_expiry > parent.expires_at:
        return "expires_at"
    if parent.resource_ids is not None and (
        child.resource_ids is None or not child.resource_ids <= parent.resource_ids
    ):
        return "resources"
    if parent.max_hops <= 1 or child.max_hops > parent.max_hops - 1:
        return "max_hops"
    if parent.ttl_seconds is not None and (
        child.ttl_seconds is None or child.ttl_seconds > parent.ttl_seconds
    ):
        return "ttl_seconds"
    spent = child.budget if child.budget is not None else len(child.scopes)
    if parent.budget is not None and spent > parent.budget:
        return "budget"
    return ""


def mirrored_hops(parent_hops: int) -> int:
    """The hops of an edge that repeats its parent one generation down."""
    return parent_hops - 1


# --- what ends when something ends ---------------------------------------------------


class Edge(NamedTuple):
    """A live edge as the collapse sees it."""

    id: str
    source: str
    target: str
    parent: str | None
    issuer: str
    justifies: bool = True  # False once past its expiry: in the way of nothing


class Agent(NamedTuple):
    """A live agent session as the collapse sees it, and what its end has to tell."""

    id: str
    parent: str | None
    application: str
    ancestors: tuple[str, ...] = ()
    subject_session: str = ""
    transition: int = 0


class Call(NamedTuple):
    """An open invocation that ends with either of its sessions."""

    id: str
    source: str | None
    target: str | None
    service: str
    status: str
    transition: int


@dataclass(slots=True)
class Collapse:
    """What ends: edges and agents in the order they fall, and the agents that were
    asked whether they still stand (``touched``, the ended ones included)."""

    edges: list[str] = field(default_factory=list)
    agents: list[str] = field(default_factory=list)
    touched: set[str] = field(default_factory=set)


def collapse(
    edges: Iterable[Edge],
    agents: Iterable[Agent],
    *,
    ended_edges: Sequence[str] = (),
    ended_agents: Sequence[str] = (),
) -> Collapse:
    """Everything that falls with the given edges and agents (D12, D13).

    An ended edge takes the edges made below it. Its target ends when no live edge
    leads into it any more and the issuer could have ended it itself: it runs the
    issuer's application or lives below the edge's source. Any other target merely
    loses the authority. An ended agent takes its subtree and every edge from and to
    it. Each edge and agent is looked at once, so this is linear.
    """
    graph = _Graph(edges, agents)
    result = Collapse()
    fallen: set[str] = set()
    queue: deque[Edge | Agent] = deque()
    queue.extend(graph.edges[id_] for id_ in ended_edges if id_ in graph.edges)
    queue.extend(graph.agents[id_] for id_ in ended_agents if id_ in graph.agents)
    while queue:
        item = queue.popleft()
        id_ = item.id
        if id_ in fallen:
            continue
        fallen.add(id_)
        if isinstance(item, Edge):
            result.edges.append(id_)
            result.touched.add(item.target)
            queue.extend(graph.below.get(id_, ()))
            if graph.falls(item.target, fallen):
                queue.append(graph.agents[item.target])
        else:
            result.agents.append(id_)
            result.touched.add(id_)
            queue.extend(graph.outbound.get(id_, ()))
            queue.extend(graph.inbound.get(id_, ()))
            queue.extend(graph.children.get(id_, ()))
    return result


class _Graph:
    def __init__(self, edges: Iterable[Edge], agents: Iterable[Agent]) -> None:
        self.edges = {edge.id: edge for edge in edges}
        self.agents = {agent.id: agent for agent in agents}
        self.below: dict[str, list[Edge]] = {}
        self.inbound: dict[str, list[Edge]] = {}
        self.outbound: dict[str, list[Edge]] = {}
        self.children: dict[str, list[Agent]] = {}
        for edge in self.edges.values():
            self.inbound.setdefault(edge.target, []).append(edge)
            self.outbound.setdefault(edge.source, []).append(edge)
            if edge.parent:
                self.below.setdefault(edge.parent, []).append(edge)
        for agent in self.agents.values():
            if agent.parent:
                self.children.setdefault(agent.parent, []).append(agent)

    def falls(self, agent_id: str, fallen: set[str]) -> bool:
        agent = self.agents.get(agent_id)
        if agent is None:
            return False
        may_end = False
        for edge in self.inbound.get(agent_id, ()):
            if edge.id not in fallen:
                if edge.justifies:
                    return False
            elif edge.issuer == agent.application or edge.source in agent.ancestors:
                may_end = True
        return may_end


# --- walks and sums over edges -------------------------------------------------------


def breadth_first(
    root: str, links: Iterable[tuple[str, str, str]]
) -> list[tuple[str, str, str, int]]:
    """(edge, source, target, depth) of every edge reachable from edge ``root``.

    ``links`` are (edge, source, target); the root edge has depth 1, an edge leaving
    its target depth 2, and so on, each edge at its smallest depth. Ordered by depth,
    then id. Linear in the number of edges.
    """
    links = list(links)
    leaving: dict[str, list[tuple[str, str, str]]] = {}
    found: dict[str, int] = {}
    for link in links:
        leaving.setdefault(link[1], []).append(link)
    queue = deque((link, 1) for link in links if link[0] == root)
    walked = []
    while queue:
        link, depth = queue.popleft()
        if link[0] in found:
            continue
        found[link[0]] = depth
        walked.append((*link, depth))
        queue.extend((following, depth + 1) for following in leaving.get(link[2], ()))
    return sorted(walked, key=lambda edge: (edge[3], edge[0]))


def effective_authority(
    agent_id: str, edges: Sequence[Mapping[str, Any]], *, exists: bool, narrowed: bool
) -> dict[str, Any]:
    """What the live inbound ``edges`` of an agent add up to (contract: 7.2).

    Scopes intersect, resources unite, limits take their minimum. ``exists`` tells an
    unknown agent from one without edges; ``root`` that it acts on its application's
    own authority, which an agent that was ever narrowed never does again (D10).
    """
    summary: dict[str, Any] = {
        "agent_session_id": agent_id,
        "exists": exists,
        "root": exists and not narrowed,
        "inbound_edges": [edge["id"] for edge in edges],
        "effective_scopes": [],
        "effective_resources": [],
        "effective_max_hops": 0,
        "effective_ttl_seconds": None,
        "earliest_expires_at": None,
    }
    if not edges:
        return summary
    ids = {edge["resource_id"] for edge in edges if edge["resource_id"]}
    identifiers = {item for edge in edges for item in edge["resource_identifiers"]}
    ttls = [edge["ttl_seconds"] for edge in edges if edge["ttl_seconds"] is not None]
    scopes = frozenset.intersection(*(frozenset(edge["scopes"]) for edge in edges))
    return summary | {
        "effective_scopes": sorted(scopes),
        "effective_resource_ids": sorted(ids),
        "effective_resources": sorted(identifiers),
        "effective_resource_constrained": all(
            edge["resource_identifiers"] for edge in edges
        ),
        "effective_max_hops": min(edge["max_hops"] for edge in edges),
        "effective_ttl_seconds": min(ttls) if ttls else None,
        "earliest_expires_at": min(edge["expires_at"] for edge in edges),
    }
