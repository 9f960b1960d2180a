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
from agents.services.heartbeats import Report, heartbeat
from agents.services.leases import (
    end_unseen_services,
    suspend_lapsed,
    suspend_lapsed_services,
)
from agents.services.pruning import prune_agents
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
    "Report",
    "SpawnRequest",
    "SpawnedAgent",
    "end_agents_of",
    "end_agents_on",
    "end_stranded_agents",
    "end_unseen_services",
    "expire_due_agents",
    "heartbeat",
    "preview_end_of",
    "preview_end_on",
    "preview_resumption",
    "preview_suspension",
    "preview_termination",
    "prune_agents",
    "resume_agent",
    "spawn_agent",
    "suspend_agent",
    "suspend_lapsed",
    "suspend_lapsed_services",
    "terminate_agent",
]
