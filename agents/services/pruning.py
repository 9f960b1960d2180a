"""The end of what agents leave: agent sessions that ended long ago (W45).

An agent goes after its children, its delegations and its invocations, so what is there
names nothing that is not, and not while a token session or a request for approval that
can still be used names it. Ended agents gain no new references: whatever would name one
asks whether it is live. Their evidence stays; it names them by id alone.
"""

from __future__ import annotations

from caracal_site import statements
from caracal_site.jobs import Outcome, from_youngest


def prune_agents(days: int) -> Outcome:
    """Deletes agents that ended more than ``days`` ago; with 0 days none."""
    if days <= 0:
        return Outcome()
    named = statements.fetch_all("tokens/still_named", {"days": days})
    return from_youngest(
        "agents/ended_long_ago",
        "agents/remove",
        {"named": [agent_id for agent_id, _ in named if agent_id]},
        days=days,
    )
