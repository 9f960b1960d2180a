"""Questions about the delegation graph, on sets of edges, never on paths (D16)."""

from __future__ import annotations

from typing import Any

import orjson

from caracal_site import cursors, statements
from caracal_site.actors import Actor
from caracal_site.coordinator.listing import PageQuery, Question, page
from delegations import rules
from delegations.errors import DelegationNotFound
from delegations.services.revoking import Revocation, preview_revocation
from tokens.bearer import caller_parameters, refuse_dead_caller


def list_active(actor: Actor, *, zone_id: str, query: PageQuery) -> bytes:
    """A page of the zone's edges in force."""
    return _page(
        actor, Question("delegations/active", f"{zone_id}/active", {}), zone_id, query
    )


def list_inbound(
    actor: Actor, *, zone_id: str, agent_id: str, query: PageQuery
) -> bytes:
    """A page of the edges into an agent, whatever their status."""
    return _of_agent(actor, zone_id, agent_id, "target_session_id", query)


def list_outbound(
    actor: Actor, *, zone_id: str, agent_id: str, query: PageQuery
) -> bytes:
    """A page of the edges from an agent, whatever their status."""
    return _of_agent(actor, zone_id, agent_id, "source_session_id", query)


def _of_agent(
    actor: Actor, zone_id: str, agent_id: str, column: str, query: PageQuery
) -> bytes:
    question = Question(
        "delegations/list",
        f"{zone_id}/{column}/{agent_id}",
        {"agent_id": agent_id},
        [f"a.{column} = %(agent_id)s"],
    )
    return _page(actor, question, zone_id, query)


def _page(actor: Actor, question: Question, zone_id: str, query: PageQuery) -> bytes:
    question.parameters |= {"zone_id": zone_id, "sees_all": actor.sees_whole_zone}
    return page(
        actor,
        question,
        query,
        refuse_dead=refuse_dead_caller,
        caller=caller_parameters(actor),
    )


def traverse(
    actor: Actor, *, zone_id: str, edge_id: str, limit: int, cursor: str | None
) -> tuple[list[dict[str, Any]], str | None]:
    """A page of the edges reachable from an edge, nearest first, and the next cursor.

    The edge itself has depth 1. Empty for an edge that is unknown or not in force.
    """
    zone_live, identity_live, agent_live, links = statements.fetch_one(
        "delegations/walk", _edge_parameters(actor, zone_id, edge_id)
    )
    refuse_dead_caller(
        actor, zone_live=zone_live, identity_live=identity_live, agent_live=agent_live
    )
    walked = rules.breadth_first(edge_id, orjson.loads(links))
    bound_to = cursors.fingerprint(f"{zone_id}/{edge_id}/traverse", {})
    start = 0
    if cursor is not None:
        last = cursors.decode(cursor, bound_to, timed=False).id
        start = next(
            (i + 1 for i, edge in enumerate(walked) if edge[0] == last), len(walked)
        )
    shown = walked[start : start + limit]
    following = None
    if start + limit < len(walked):
        following = cursors.encode(cursors.Position(shown[-1][0]), bound_to)
    return [as_link(edge) for edge in shown], following


def as_link(edge: tuple[str, str, str, int]) -> dict[str, Any]:
    return {
        "id": edge[0],
        "source_session_id": edge[1],
        "target_session_id": edge[2],
        "depth": edge[3],
    }


def impact(actor: Actor, *, zone_id: str, edge_id: str) -> dict[str, Any]:
    """Everything a revocation of the edge would end. Raises DelegationNotFound."""
    zone_live, identity_live, agent_live, seen, *first = statements.fetch_one(
        "delegations/impact",
        {
            **_edge_parameters(actor, zone_id, edge_id),
            "edge_ids": [edge_id],
            "agent_ids": [],
        },
    )
    refuse_dead_caller(
        actor, zone_live=zone_live, identity_live=identity_live, agent_live=agent_live
    )
    if not seen:
        raise DelegationNotFound
    return impact_json(
        preview_revocation(zone_id=zone_id, edge_id=edge_id, first=first)
    )


def impact_json(revocation: Revocation) -> dict[str, Any]:
    """A preview as the wire has it. ``affected_agents`` end; the targets in
    ``narrowed_agents`` go on with less or no authority."""
    fall = revocation.fall
    rows = [fall.edge_rows[edge] for edge in fall.edges]
    links = rules.breadth_first(
        revocation.edge_id, [(edge.id, edge.source, edge.target) for edge in rows]
    )
    placed = {link[0] for link in links}
    # What falls with an ended agent need not be reachable from the edge.
    links += [(e.id, e.source, e.target, 0) for e in rows if e.id not in placed]
    ended = set(fall.agents)
    return {
        "edge_id": revocation.edge_id,
        "affected_edges": [as_link(link) for link in links],
        "affected_agents": list(fall.agents),
        "narrowed_agents": sorted({edge.target for edge in rows} - ended),
        "affected_subject_sessions": fall.subject_sessions,
        "affected_invocations": list(fall.invocations),
    }


def effective_authority(actor: Actor, *, zone_id: str, agent_id: str) -> dict[str, Any]:
    """What an agent may do by its live inbound edges."""
    zone_live, identity_live, agent_live, narrowed, edges = statements.fetch_one(
        "delegations/authority",
        {
            **caller_parameters(actor),
            "zone_id": zone_id,
            "id": agent_id,
            "sees_all": actor.sees_whole_zone,
        },
    )
    refuse_dead_caller(
        actor, zone_live=zone_live, identity_live=identity_live, agent_live=agent_live
    )
    exists = narrowed is not None
    return rules.effective_authority(
        agent_id,
        orjson.loads(edges) if exists else [],
        exists=exists,
        narrowed=bool(narrowed),
    )


def _edge_parameters(actor: Actor, zone_id: str, edge_id: str) -> dict[str, object]:
    return {
        **caller_parameters(actor),
        "zone_id": zone_id,
        "id": edge_id,
        "sees_all": actor.sees_whole_zone,
    }
