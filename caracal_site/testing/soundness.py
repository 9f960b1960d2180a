"""What must hold in a zone at rest, whatever was done to it and in what order."""

from __future__ import annotations

from collections import Counter

from agents.models import AgentSession, Capacity, Invocation
from delegations.models import DelegationEdge

LIVE = ("active", "suspended")


def assert_sound(zone_id: str) -> None:
    agents = {row.id: row for row in AgentSession.objects.in_zone(zone_id)}
    edges = {row.id: row for row in DelegationEdge.objects.in_zone(zone_id)}
    _assert_tree(agents)
    _assert_room(zone_id, agents)
    for edge in edges.values():
        _assert_edge(edge, edges, agents)
    for call in Invocation.objects.in_zone(zone_id).select_related("service"):
        _assert_call(call, agents)


def _assert_tree(agents: dict[str, AgentSession]) -> None:
    children = Counter(row.parent_id for row in agents.values() if row.status in LIVE)
    for row in agents.values():
        assert row.depth == len(row.ancestor_ids)
        assert row.ancestor_ids[-1:] == ([row.parent_id] if row.parent_id else [])
        above = [agents[ancestor].status for ancestor in row.ancestor_ids]
        if row.status == "active":
            assert set(above) <= {"active"}, f"active below {above}"
        if row.status in LIVE:
            assert set(above) <= set(LIVE), f"live below {above}"
            assert row.child_count == children[row.id]
            assert row.terminated_at is None
        else:
            assert row.terminated_at is not None


def _assert_room(zone_id: str, agents: dict[str, AgentSession]) -> None:
    live = [row for row in agents.values() if row.status in LIVE]
    assert _taken(zone_id) == len(live)
    per_application = Counter(row.application_id for row in live)
    for application_id in {row.application_id for row in agents.values()}:
        assert _taken(application_id) == per_application[application_id]


def _taken(scope_id: str) -> int:
    slots = Capacity.objects.filter(scope_id=scope_id)
    if any(slot.cap >= 0 and slot.live > slot.quota for slot in slots):
        raise AssertionError("a slot holds more than its quota")
    return sum(slot.live for slot in slots)


def _assert_edge(
    edge: DelegationEdge,
    edges: dict[str, DelegationEdge],
    agents: dict[str, AgentSession],
) -> None:
    source, target = agents[edge.source_session_id], agents[edge.target_session_id]
    assert target.narrowed
    if edge.status == "active":
        assert source.status in LIVE, "an edge from what has ended"
        assert target.status in LIVE, "an edge to what has ended"
    if edge.parent_edge_id is None:
        assert (edge.depth, edge.root_edge_id) == (0, edge.id)
        return
    above = edges[edge.parent_edge_id]
    assert above.target_session_id == edge.source_session_id
    assert (edge.depth, edge.root_edge_id) == (above.depth + 1, above.root_edge_id)
    assert edge.max_hops < above.max_hops
    assert edge.expires_at <= above.expires_at
    assert set(edge.scopes) <= set(above.scopes)
    if edge.status == "active":
        assert above.status != "revoked", "an edge below a revoked one"


def _assert_call(call: Invocation, agents: dict[str, AgentSession]) -> None:
    assert call.attempts <= call.max_attempts
    if call.due_at is None:
        assert call.completed_at is not None
        return
    assert call.service.deregistered_at is None, "a call of a service that has ended"
    for id_ in {call.source_session_id, call.target_session_id} - {None}:
        assert agents[str(id_)].status in LIVE, "a call of a session that has ended"
