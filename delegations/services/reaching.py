"""Everything that could fall with edges and agents, gathered in few rounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

import orjson

from caracal_site import statements
from delegations import rules

AGENT_COLUMNS = slice(0, 6)
EDGE_COLUMNS = slice(6, 12)


@dataclass(slots=True)
class Reached:
    """Live edges, agents and open invocations, by id.

    ``expanded`` are the edges whose targets and lineage are among them.
    """

    edges: dict[str, rules.Edge] = field(default_factory=dict)
    agents: dict[str, rules.Agent] = field(default_factory=dict)
    invocations: dict[str, rules.Call] = field(default_factory=dict)
    expanded: set[str] = field(default_factory=set)

    def add(self, row: Sequence[Any]) -> tuple[list[str], list[str]]:
        """Takes in a round's answer. Returns the edges and agents the next one starts
        from; both empty when everything has been reached."""
        expanded, children, invocations = row[EDGE_COLUMNS.stop :]
        self.expanded.update(expanded)
        for id_, parent, application, path, *rest in _rows(row[AGENT_COLUMNS]):
            ancestors = tuple(path.split(",")) if path else ()
            self.agents[id_] = rules.Agent(id_, parent, application, ancestors, *rest)
        edges = [rules.Edge._make(columns) for columns in _rows(row[EDGE_COLUMNS])]
        self.edges.update((edge.id, edge) for edge in edges)
        for columns in orjson.loads(invocations):
            call = rules.Call._make(columns)
            self.invocations[call.id] = call
        leaving = [
            edge.id
            for edge in edges
            if edge.source in self.agents and edge.id not in self.expanded
        ]
        return leaving, [child for child in children if child not in self.agents]


def reach(
    zone_id: str,
    *,
    edge_ids: Sequence[str] = (),
    agent_ids: Sequence[str] = (),
    first: Sequence[Any] | None = None,
) -> Reached:
    """What could fall with these edges and agents, as things stand; ``first`` is the
    first round's answer when a statement of the caller's has included it.

    Lineages are walked within a round; further rounds are for the children of reached
    agents, and for edges that leave one without resting on a reached edge.
    """
    reached = Reached()
    edges, agents = list(edge_ids), list(agent_ids)
    if first is not None:
        edges, agents = reached.add(first)
    while edges or agents:
        asked = {"zone_id": zone_id, "edge_ids": edges, "agent_ids": agents}
        edges, agents = reached.add(statements.fetch_one("delegations/reach", asked))
    return reached


def _rows(columns: Sequence[Sequence[Any] | None]) -> list[tuple[Any, ...]]:
    """Rows given as columns, in order of id; no rows are null columns."""
    ids, *others = columns
    if ids is None:
        return []
    return sorted(zip(ids, *others, strict=True), key=itemgetter(0))
