"""What happens to delegation edges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from audit.events import Event, News

INVALIDATE = "caracal.delegations.invalidate"
REVOKE = "caracal.sessions.revoke"
# The statement that writes the event puts the zone's new epoch in its place.
EPOCH = 0


@dataclass(frozen=True, kw_only=True)
class DelegationCreated(Event):
    """Authority was passed on."""

    name: ClassVar[str] = "delegation.created"
    entity_type: ClassVar[str] = "delegations"
    sentence: ClassVar[str] = "Authority was delegated."

    source_session_id: str
    target_session_id: str
    parent_edge_id: str | None
    scopes: tuple[str, ...]

    def summary(self) -> dict[str, Any]:
        return {
            "source_session_id": self.source_session_id,
            "target_session_id": self.target_session_id,
            "parent_edge_id": self.parent_edge_id,
            "scopes": list(self.scopes),
        }

    def news(self) -> list[News]:
        payload = {
            "event": "edge_create",
            "zone_id": self.zone_id,
            "edge_id": self.entity_id,
            "source_session_id": self.source_session_id,
            "target_session_id": self.target_session_id,
            "epoch": EPOCH,
        }
        return [
            News(INVALIDATE, payload, "coordinator", f"edge_create:{self.entity_id}")
        ]


@dataclass(frozen=True, kw_only=True)
class DelegationRevoked(Event):
    """An edge was revoked with everything that rested on it.

    What the audit row is about, and the invalidation of the graph: one a gesture.
    """

    name: ClassVar[str] = "delegation.revoked"
    entity_type: ClassVar[str] = "delegations"
    sentence: ClassVar[str] = "Delegated authority was revoked."

    edges: int
    agents: int
    invocations: int

    def summary(self) -> dict[str, Any]:
        return {
            "edges": self.edges,
            "agents": self.agents,
            "invocations": self.invocations,
        }

    def news(self) -> list[News]:
        payload = {
            "event": "edge_revoke",
            "zone_id": self.zone_id,
            "edge_id": self.entity_id,
            "affected_edges": self.edges,
            "epoch": EPOCH,
        }
        return [
            News(INVALIDATE, payload, "coordinator", f"edge_revoke:{self.entity_id}")
        ]


@dataclass(frozen=True, kw_only=True)
class EdgeEnded(Event):
    """One edge is no longer in force: said to everybody who may have cached it.

    ``agent_session_id`` is its target when that ended with it, so that one message
    revokes both.
    """

    name: ClassVar[str] = "delegation.edge_ended"
    entity_type: ClassVar[str] = "delegations"
    sentence: ClassVar[str] = "A delegation edge ended."

    reason: str
    agent_session_id: str | None = None

    def news(self) -> list[News]:
        payload = {
            "zone_id": self.zone_id,
            "delegation_edge_id": self.entity_id,
            "reason": self.reason,
        }
        if self.agent_session_id is not None:
            payload["agent_session_id"] = self.agent_session_id
        return [News(REVOKE, payload, "coordinator", f"delegation:{self.entity_id}")]


@dataclass(frozen=True, kw_only=True)
class EdgesExpired(Event):
    """Edges of a zone reached their expiry."""

    name: ClassVar[str] = "delegation.expired"
    entity_type: ClassVar[str] = "delegations"
    sentence: ClassVar[str] = "Delegations expired."

    edge_ids: tuple[str, ...]
    epoch: int

    def summary(self) -> dict[str, Any]:
        return {"edges": len(self.edge_ids)}

    def news(self) -> list[News]:
        payload = {
            "event": "edge_expire",
            "zone_id": self.zone_id,
            "affected_edges": len(self.edge_ids),
            "edge_ids": list(self.edge_ids),
            "epoch": self.epoch,
        }
        key = f"edge_expire:{self.zone_id}:{self.epoch}"
        return [News(INVALIDATE, payload, "coordinator", key)]
