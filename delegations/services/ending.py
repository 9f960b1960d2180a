"""One way down: what ends with an edge or an agent, foreseen and carried out.

``foresee`` answers what would end; ``carry_out`` locks exactly that, looks again, and
ends it in one statement. Revocation, termination, expiry and archiving all come here,
and every preview is ``foresee`` without the write (D12, D13).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agents.events import AgentTerminated
from agents.invocations import events as call_events
from agents.invocations import machine
from agents.services import capacity
from audit import record
from audit.events import Event
from caracal_site import statements
from caracal_site.actors import Actor
from caracal_site.database import Changed
from delegations import rules
from delegations.events import EdgeEnded
from delegations.services.reaching import reach

ROUNDS = 8
REVOKED = "delegation_revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fall:
    """What ends together: a preview, or the record of what was done.

    ``agents`` and ``edges`` are ids in the order they fall; the rows, by id, hold these
    and what was looked at besides.
    """

    zone_id: str
    edges: tuple[str, ...] = ()
    agents: tuple[str, ...] = ()
    invocations: tuple[str, ...] = ()
    touched: frozenset[str] = frozenset()
    edge_rows: Mapping[str, rules.Edge] = field(default_factory=dict)
    agent_rows: Mapping[str, rules.Agent] = field(default_factory=dict)
    invocation_rows: Mapping[str, rules.Call] = field(default_factory=dict)
    epoch: int | None = None

    @property
    def subject_sessions(self) -> list[str]:
        """The distinct subject sessions of the agents that end."""
        return sorted({self.agent_rows[agent].subject_session for agent in self.agents})


def foresee(
    zone_id: str,
    *,
    edge_ids: Sequence[str] = (),
    agent_ids: Sequence[str] = (),
    first: Sequence[Any] | None = None,
) -> Fall:
    """What would end with these edges and agents, as things stand (see ``reach``)."""
    reached = reach(zone_id, edge_ids=edge_ids, agent_ids=agent_ids, first=first)
    fallen = rules.collapse(
        reached.edges.values(),
        reached.agents.values(),
        ended_edges=edge_ids,
        ended_agents=agent_ids,
    )
    gone = set(fallen.agents)
    return Fall(
        zone_id=zone_id,
        edges=tuple(fallen.edges),
        agents=tuple(fallen.agents),
        invocations=tuple(
            invocation
            for invocation, call in reached.invocations.items()
            if not gone.isdisjoint((call.source, call.target))
        ),
        touched=frozenset(fallen.touched),
        edge_rows=reached.edges,
        agent_rows=reached.agents,
        invocation_rows=reached.invocations,
    )


def carry_out(
    actor: Actor,
    zone_id: str,
    *,
    headline: Callable[[Fall], Event],
    reason: str,
    edge_ids: Sequence[str] = (),
    agent_ids: Sequence[str] = (),
    status: str = "terminated",
    locked: Sequence[str] = (),
) -> Fall:
    """Ends the given edges and agents with all that falls with them.

    ``headline`` makes the event the audit row is about; ``reason`` is stored on the
    given agents and told in every event; ``locked`` are agents the caller has locked
    already. Must run in a transaction. Returns an empty Fall, without evidence, when
    nothing was live.
    """
    fall = _settled(zone_id, edge_ids, agent_ids, frozenset(locked))
    if not fall.edges and not fall.agents:
        return fall
    events = [headline(fall), *announcements(fall, reason)]
    evidence = record.prepare(actor, events, reason=reason)
    _edges, _agents, epoch = statements.fetch_one(
        "delegations/end",
        {
            "zone_id": zone_id,
            "reason": reason,
            "edge_ids": list(fall.edges),
            "invocation_ids": list(fall.invocations),
            "canceled": machine.target_of(machine.END),
            **_agent_parameters(fall, frozenset(agent_ids), reason, status),
            **evidence.parameters(),
        },
    )
    record.written(evidence)
    return Fall(
        zone_id=zone_id,
        edges=fall.edges,
        agents=fall.agents,
        invocations=fall.invocations,
        edge_rows=fall.edge_rows,
        agent_rows=fall.agent_rows,
        invocation_rows=fall.invocation_rows,
        epoch=int(str(epoch)) if epoch is not None else None,
    )


def _settled(
    zone_id: str,
    edge_ids: Sequence[str],
    agent_ids: Sequence[str],
    locked: frozenset[str],
) -> Fall:
    """What falls, with a lock on all of it: looked at again after every new lock,
    because what is waited for may have grown."""
    held = set(locked)
    for _round in range(ROUNDS):
        fall = foresee(zone_id, edge_ids=edge_ids, agent_ids=agent_ids)
        gone = set(fall.agents)
        parents = {
            parent for agent in gone if (parent := fall.agent_rows[agent].parent)
        }
        agents = (fall.touched | gone | (parents - gone)) - held
        edges = set(fall.edges) - held
        calls = set(fall.invocations) - held
        if not (agents or edges or calls):
            return fall
        if agents:
            statements.execute("agents/hold", {"ids": list(agents)})
        if edges:
            statements.execute("delegations/hold_edges", {"ids": list(edges)})
        if calls:
            statements.execute("agents/invocations/hold", {"ids": list(calls)})
        held |= agents | edges | calls
    raise Changed


def announcements(fall: Fall, reason: str) -> Iterator[Event]:
    """One message for each edge, which revokes its target too when that ended."""
    gone, announced = set(fall.agents), set()
    for edge in fall.edges:
        target = fall.edge_rows[edge].target
        ended_too = target in gone and target not in announced
        announced.add(target)
        yield EdgeEnded(
            zone_id=fall.zone_id,
            entity_id=edge,
            reason=REVOKED,
            agent_session_id=target if ended_too else None,
        )
    for agent in fall.agents:
        row = fall.agent_rows[agent]
        yield AgentTerminated(
            zone_id=fall.zone_id,
            entity_id=agent,
            parent_id=row.parent,
            transition=row.transition + 1,
            reason=reason,
            is_announced=agent in announced,
        )
    for invocation in fall.invocations:
        call = fall.invocation_rows[invocation]
        yield from call_events.told(
            machine.the(machine.END, call.status),
            zone_id=fall.zone_id,
            invocation_id=call.id,
            service_id=call.service,
            transition=call.transition + 1,
        )


def _agent_parameters(
    fall: Fall, given: frozenset[str], reason: str, status: str
) -> dict[str, object]:
    gone = set(fall.agents)
    statuses, reasons = [], []
    surviving_parents: Counter[str] = Counter()
    per_application: Counter[str] = Counter()
    for agent in fall.agents:
        row = fall.agent_rows[agent]
        per_application[row.application] += 1
        if agent in given:
            statuses.append(status)
            reasons.append(reason)
        else:
            statuses.append("terminated")
            reasons.append("parent_terminated" if row.parent in gone else REVOKED)
        if row.parent is not None and row.parent not in gone:
            surviving_parents[row.parent] += 1
    parents = sorted(surviving_parents)
    return {
        "agent_ids": list(fall.agents),
        "statuses": statuses,
        "reasons": reasons,
        "parent_ids": parents,
        "parent_counts": [surviving_parents[parent] for parent in parents],
        "ended_in_zone": len(fall.agents),
        **capacity.released(per_application),
    }
