"""The end of what delegation leaves: edges that ended long ago (W45).

An edge goes after the edges below it, so the path of what is there is whole, and not
while a token session or a request for approval that can still be used names it. Ended
edges gain no new references: whatever would name one asks whether it is in force.
Their evidence stays; it names them by id alone.
"""

from __future__ import annotations

from caracal_site import statements
from caracal_site.jobs import Outcome, from_youngest


def prune_edges(days: int) -> Outcome:
    """Deletes edges revoked or expired more than ``days`` ago; with 0 days none."""
    if days <= 0:
        return Outcome()
    named = statements.fetch_all("tokens/still_named", {"days": days})
    return from_youngest(
        "delegations/ended_long_ago",
        "delegations/remove",
        {"named": [edge_id for _, edge_id in named if edge_id]},
        days=days,
    )
