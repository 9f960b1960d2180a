"""Is what a verified token stands for still in force?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from caracal_site import statements
from tokens.verifying import Verified

ACTIVE = "active"


@dataclass(frozen=True, slots=True)
class Liveness:
    """The state of each thing the token names, by kind; ``unknown`` for what is not in
    the zone. Edges are told by id."""

    states: dict[str, str]
    edges: dict[str, str]

    @property
    def is_live(self) -> bool:
        """Whether all of it is in force."""
        return {*self.states.values(), *self.edges.values()} == {ACTIVE}

    def as_json(self) -> dict[str, Any]:
        return {**self.states, "delegation_edges": self.edges}


def liveness(verified: Verified) -> Liveness:
    """One statement that asks for everything ``verified`` names."""
    mandate = verified.mandate
    named = {mandate.delegation_edge_id, *(mandate.delegation_path or ())}
    named |= {link.delegation_edge_id for link in mandate.delegation_chain}
    edges = sorted(edge for edge in named if edge and "\0" not in edge)
    states, edge_states = statements.fetch_one(
        "tokens/liveness",
        {
            "zone_id": mandate.zone_id,
            "key_id": verified.key_id,
            "client_id": _text(mandate.client_id),
            "sid": _text(mandate.sid),
            "root_sid": _text(mandate.root_sid),
            "agent_id": _text(mandate.agent_session_id) or None,
            "edges": edges,
        },
    )
    found: dict[str, str | None] = orjson.loads(states)
    return Liveness(
        {kind: state for kind, state in found.items() if state is not None},
        orjson.loads(edge_states),
    )


def _text(value: str) -> str:
    # PostgreSQL holds no NUL, so nothing is called by one.
    return value.replace("\0", "\N{REPLACEMENT CHARACTER}")
