"""What is around an agent, read once for its page: edges, ancestors, children."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from agents.models import AgentSession
from caracal_site.console import display, drawing
from caracal_site.console.drawing import Arrow, Drawing, Node
from delegations.models import DelegationEdge

SHOWN = 50
DRAWN = 5
DRAWN_ANCESTORS = 3
DRAWN_SIBLINGS = 2
LIVE = ("active", "suspended")


@dataclass(frozen=True, slots=True)
class Surroundings:
    """Rows around ``agent``, live ones first, at most ``SHOWN`` + 1 of a kind."""

    agent: AgentSession
    inbound: Sequence[DelegationEdge]
    outbound: Sequence[DelegationEdge]
    ancestors: Sequence[AgentSession]
    siblings: Sequence[AgentSession]
    children: Sequence[AgentSession]
    # What delegations there are between those that the picture of the tree shows.
    kinship: Sequence[DelegationEdge]


def surroundings(agent: AgentSession) -> Surroundings:
    edges = DelegationEdge.objects.select_related(
        "source_session__application", "target_session__application", "resource"
    ).order_by("status", "-id")
    agents = AgentSession.objects.select_related("application")
    found = agents.in_bulk(agent.ancestor_ids)
    above = [found[id_] for id_ in agent.ancestor_ids if id_ in found]
    below = list(agents.filter(parent=agent).order_by("status", "-id")[: SHOWN + 1])
    beside = agents.filter(parent=agent.parent_id).exclude(pk=agent.pk)
    siblings = (
        list(beside.order_by("status", "-id")[: DRAWN_SIBLINGS + 1])
        if agent.parent_id
        else []
    )
    drawn = [one.pk for one in (agent, *above, *siblings, *below[:DRAWN])]
    return Surroundings(
        agent,
        list(edges.inbound_to(agent.pk)[: SHOWN + 1]),
        list(edges.outbound_from(agent.pk)[: SHOWN + 1]),
        above,
        siblings,
        below,
        list(edges.filter(source_session__in=drawn, target_session__in=drawn)[:SHOWN]),
    )


def delegation_picture(around: Surroundings) -> Drawing:
    """Whom the agent has its authority from, and whom it has given some."""
    here = around.agent
    sources = _distinct(edge.source_session for edge in around.inbound)
    targets = _distinct(edge.target_session for edge in around.outbound)
    shown = {agent.pk for agent in (*sources[:DRAWN], *targets[:DRAWN], here)}
    rows = [
        _row(sources, f"?target={here.pk}"),
        [_node(here, tone="self")],
        _row(targets, f"?source={here.pk}"),
    ]
    drawn = [
        edge
        for edge in (*around.inbound, *around.outbound)
        if {edge.source_session_id, edge.target_session_id} <= shown
    ]
    return drawing.layered("Delegations to and from this agent", rows, _arrows(drawn))


def tree_picture(around: Surroundings) -> Drawing:
    """The agent between its ancestors and its children, beside its siblings. An arrow
    leads to a child, and says what was delegated to it on the way."""
    here = around.agent
    above = list(around.ancestors)
    rows: list[list[Node]] = []
    if len(above) > DRAWN_ANCESTORS:
        left_out = len(above) - 2
        gap = Node(key="gap", title=f"{left_out} levels", tone="more")
        rows = [[_node(above[0])], [gap], [_node(above[-1])]]
    else:
        rows = [[_node(agent)] for agent in above]
    chain = [row[0].key for row in rows] + [here.pk]
    siblings = list(around.siblings[:DRAWN_SIBLINGS])
    children = list(around.children[:DRAWN])
    lines = [
        *pairwise(chain),
        *((here.parent_id or "", sibling.pk) for sibling in siblings),
        *((here.pk, child.pk) for child in children),
    ]
    delegated = {(one.source, one.target): one for one in _arrows(around.kinship)}
    arrows = [
        delegated.get(line, Arrow(source=line[0], target=line[1])) for line in lines
    ]
    rows += [_beside(around), _row(around.children, f"?parent={here.pk}")]
    return drawing.layered("The agent tree around this agent", rows, arrows)


def _beside(around: Surroundings) -> list[Node]:
    """The agent's own row: itself between its siblings."""
    here = _node(around.agent, tone="self")
    siblings = [_node(agent) for agent in around.siblings[:DRAWN_SIBLINGS]]
    if len(around.siblings) > DRAWN_SIBLINGS:
        siblings.append(Node(key="siblings", title="and more siblings", tone="more"))
    return [*siblings[:1], here, *siblings[1:]]


def _distinct(agents: Iterable[AgentSession]) -> list[AgentSession]:
    return list({agent.pk: agent for agent in agents}.values())


def _row(agents: Sequence[AgentSession], query: str) -> list[Node]:
    row = [_node(agent) for agent in agents[:DRAWN]]
    more = len(agents) - DRAWN
    if more > 0:
        row.append(Node(key=f"more{query}", title=f"and {more} more", tone="more"))
    return row


def _node(agent: AgentSession, tone: str = "") -> Node:
    ended = "" if agent.status in LIVE else "ended"
    resting = "resting" if agent.status == "suspended" else ""
    return Node(
        key=agent.pk,
        title=drawing.clipped(agent.application.name),
        detail=_brief(agent.pk),
        url="" if tone == "self" else display.change_url(AgentSession, agent.pk),
        tone=" ".join(filter(None, (tone, ended, resting))),
    )


def _brief(pk: str) -> str:
    return f"\N{HORIZONTAL ELLIPSIS}{pk[-12:]}"


def _arrows(edges: Sequence[DelegationEdge]) -> list[Arrow]:
    pairs = Counter((edge.source_session_id, edge.target_session_id) for edge in edges)
    arrows: dict[tuple[str, str], Arrow] = {}
    for edge in edges:
        pair = (edge.source_session_id, edge.target_session_id)
        arrows.setdefault(pair, _arrow(edge, pairs[pair]))
    return list(arrows.values())


def _arrow(edge: Any, number: int) -> Arrow:
    scopes = ", ".join(edge.scopes) or "no scopes"
    label = drawing.clipped(scopes, 22)
    return Arrow(
        source=edge.source_session_id,
        target=edge.target_session_id,
        label=f"{number} delegations" if number > 1 else label,
        hint=f"{edge.status}: {scopes}",
        url=display.change_url(DelegationEdge, edge.pk),
        tone="" if edge.status == "active" else "ended",
    )
