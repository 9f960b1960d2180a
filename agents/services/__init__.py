"""The verbs of agents: the only writers of agent sessions."""

from agents.services.ending import (
    Ended,
    end_agents_of,
    end_agents_on,
    preview_end_of,
    preview_end_on,
    preview_termination,
    terminate_agent,
)
from agents.services.spawning import SpawnedAgent, SpawnRequest, spawn_agent
from agents.services.suspension import (
    preview_resumption,
    preview_suspension,
    resume_agent,
    suspend_agent,
)
from agents.services.sweeping import end_stranded_agents, expire_due_agents

__all__ = [
    "Ended",
    "SpawnRequest",
    "SpawnedAgent",
    "end_agents_of",
    "end_agents_on",
    "end_stranded_agents",
    "expire_due_agents",
    "preview_end_of",
    "preview_end_on",
    "preview_resumption",
    "preview_suspension",
    "preview_termination",
    "resume_agent",
    "spawn_agent",
    "suspend_agent",
    "terminate_agent",
]
