"""What happens to agents."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

from audit.events import Event, News

LIFECYCLE = "caracal.agents.lifecycle"
REVOKE = "caracal.sessions.revoke"


@dataclass(frozen=True, kw_only=True)
class AgentEvent(Event):
    """Something about one agent. ``transition`` is the row's counter after it."""

    entity_type: ClassVar[str] = "agents"
    verb: ClassVar[str]

    parent_id: str | None
    transition: int = 0

    def _lifecycle(self, key: str, **more: Any) -> News:
        payload = {
            "event": self.verb,
            "zone_id": self.zone_id,
            "agent_session_id": self.entity_id,
            "parent_id": self.parent_id,
            **more,
        }
        return News(LIFECYCLE, payload, "coordinator", key)


@dataclass(frozen=True, kw_only=True)
class AgentSpawned(AgentEvent):
    """An agent began."""

    name: ClassVar[str] = "agent.spawned"
    verb: ClassVar[str] = "spawn"
    sentence: ClassVar[str] = "An agent was spawned."

    application_id: str
    subject_session_id: str
    lifecycle: str
    depth: int

    def summary(self) -> dict[str, Any]:
        return {
            "application_id": self.application_id,
            "parent_id": self.parent_id,
            "lifecycle": self.lifecycle,
            "depth": self.depth,
        }

    def news(self) -> list[News]:
        key = f"spawn:{self.entity_id}"
        return [self._lifecycle(key, application_id=self.application_id)]


@dataclass(frozen=True, kw_only=True)
class AgentTurned(Event):
    """One gesture moved the agent ``entity_id`` and ``agents`` of its subtree from one
    live status to the other. Each of them is announced: the statement that moves them
    says which they are, under keys that end with their id and transition."""

    entity_type: ClassVar[str] = "agents"
    verb: ClassVar[str]

    agents: int

    def summary(self) -> dict[str, Any]:
        return {"agents": self.agents}

    def news(self) -> list[News]:
        payload = {"event": self.verb, "zone_id": self.zone_id}
        return [News(LIFECYCLE, payload, "coordinator", self.verb)]


@dataclass(frozen=True, kw_only=True)
class AgentSuspended(AgentTurned):
    """An agent was suspended; its authority rests until it is resumed."""

    name: ClassVar[str] = "agent.suspended"
    verb: ClassVar[str] = "suspend"
    sentence: ClassVar[str] = "An agent was suspended."

    reason: str

    def news(self) -> list[News]:
        (each,) = super().news()
        return [replace(each, payload={**each.payload, "reason": self.reason})]


@dataclass(frozen=True, kw_only=True)
class AgentKeptSuspended(Event):
    """An agent that rested because its lease ran out rests until it is resumed. Nothing
    is announced: it rests as before."""

    name: ClassVar[str] = "agent.kept_suspended"
    entity_type: ClassVar[str] = "agents"
    sentence: ClassVar[str] = "An agent that had lost its lease was suspended."


@dataclass(frozen=True, kw_only=True)
class AgentResumed(AgentTurned):
    """A suspended agent is active again."""

    name: ClassVar[str] = "agent.resumed"
    verb: ClassVar[str] = "resume"
    sentence: ClassVar[str] = "An agent was resumed."


@dataclass(frozen=True, kw_only=True)
class AgentTerminated(AgentEvent):
    """An agent ended for good: its lifecycle, and the revocation of what it holds.

    The revocation names the agent and never its subject session, which others may
    share (D14). ``is_announced`` when the end of an edge into it revokes it already.
    """

    name: ClassVar[str] = "agent.terminated"
    verb: ClassVar[str] = "terminate"
    sentence: ClassVar[str] = "An agent was terminated."

    reason: str
    is_announced: bool = False

    def news(self) -> list[News]:
        ended = self._lifecycle(f"terminate:{self.entity_id}", reason=self.reason)
        if self.is_announced:
            return [ended]
        revoke = {
            "zone_id": self.zone_id,
            "agent_session_id": self.entity_id,
            "reason": self.reason,
        }
        key = f"agent_terminate:{self.entity_id}"
        return [ended, News(REVOKE, revoke, "coordinator", key)]


@dataclass(frozen=True, kw_only=True)
class AgentsEnded(Event):
    """One gesture ended these agents, with their subtrees and edges.

    What the audit row is about; each agent and edge announces itself.
    """

    name: ClassVar[str] = "agent.terminated"
    entity_type: ClassVar[str] = "agents"
    sentence: ClassVar[str] = "An agent and what depended on it was ended."

    agents: int
    edges: int
    invocations: int

    def summary(self) -> dict[str, Any]:
        return {
            "agents": self.agents,
            "edges": self.edges,
            "invocations": self.invocations,
        }
