"""Ending, suspending and resuming agents from the console."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from django.db import transaction

from agents import errors, services
from agents.models import AgentSession, AgentStatus
from agents.rules import LEASE_LOST
from caracal_site.actors import Actor
from caracal_site.console import display
from caracal_site.console.gestures import Affected, Done, Gesture, Impact, examples
from caracal_site.console.panels import Cell

SHOWN = 12


def named(ids: Sequence[str]) -> list[Cell]:
    """The first of these agents as links by their application's name."""
    rows = AgentSession.objects.select_related("application").in_bulk(ids[:SHOWN])
    return [link_of(rows[id_]) for id_ in ids[:SHOWN] if id_ in rows]


def link_of(agent: AgentSession) -> Cell:
    """A link to an agent by its application's name."""
    label = display.with_id(agent.application.name, agent.pk)
    return display.object_link(agent, label)


def within(actor: Actor, agent: AgentSession) -> Actor:
    """The actor confined to the agent's zone, as the verbs of agents want it."""
    return replace(actor, zone_id=agent.zone_id)


class Terminate(Gesture):
    name = "terminate"
    button = "Terminate"
    question = "Terminate this agent?"
    explanation = (
        "The agent ends for good, with every agent below it, the authority delegated"
        " through them and their open invocations. This cannot be undone."
    )
    is_bulk = True

    def offered_for(self, row: AgentSession) -> bool:
        return row.status in (AgentStatus.ACTIVE, AgentStatus.SUSPENDED)

    def preview(self, rows: Sequence[AgentSession]) -> Impact:
        chosen: dict[str, list[str]] = {}
        for row in rows:
            chosen.setdefault(row.zone_id, []).append(row.id)
        falls = [
            services.preview_termination(zone_id=zone_id, agent_ids=ids)
            for zone_id, ids in chosen.items()
        ]
        agents = [id_ for fall in falls for id_ in fall.agents]
        edges = [id_ for fall in falls for id_ in fall.edges]
        calls = [id_ for fall in falls for id_ in fall.invocations]
        return Impact(
            [
                Affected("Agents that end", len(agents), named(agents)),
                Affected(
                    "Delegations revoked",
                    len(edges),
                    examples("delegations.DelegationEdge", edges),
                ),
                Affected(
                    "Invocations canceled",
                    len(calls),
                    examples("agents.Invocation", calls),
                ),
            ]
        )

    @transaction.atomic
    def perform(
        self, actor: Actor, rows: Sequence[AgentSession], answers: dict[str, Any]
    ) -> Done:
        ended = 0
        for row in rows:
            fall = services.terminate_agent(
                within(actor, row),
                zone_id=row.zone_id,
                agent_id=row.id,
                reason=answers["reason"],
            )
            ended += len(fall.agents)
        return Done(f"{display.counted(ended, 'agent')} ended.")


class Suspend(Gesture):
    name = "suspend"
    button = "Suspend"
    question = "Suspend this agent?"
    explanation = (
        "The agent and the active agents below it rest: they can do nothing until they"
        " are resumed. Nothing is revoked, and it can be undone. A service that rests"
        " because its lease ran out is kept at rest, whatever it is heard to say."
    )
    is_bulk = True

    def offered_for(self, row: AgentSession) -> bool:
        if row.status == AgentStatus.SUSPENDED:
            return row.suspend_reason == LEASE_LOST
        return row.status == AgentStatus.ACTIVE

    def preview(self, rows: Sequence[AgentSession]) -> Impact:
        found = (
            services.preview_suspension(zone_id=row.zone_id, agent_id=row.id)
            for row in rows
        )
        ids = list(dict.fromkeys(id_ for below in found for id_ in below))
        return Impact([Affected("Agents suspended", len(ids), named(ids))])

    @transaction.atomic
    def perform(
        self, actor: Actor, rows: Sequence[AgentSession], answers: dict[str, Any]
    ) -> Done:
        suspended = 0
        for row in rows:
            # It may rest already, with another one of those chosen.
            with suppress(errors.NothingToSuspend):
                suspended += services.suspend_agent(
                    within(actor, row),
                    zone_id=row.zone_id,
                    agent_id=row.id,
                    reason=answers["reason"],
                )
        return Done(f"{display.counted(suspended, 'agent')} suspended.")


class Resume(Gesture):
    name = "resume"
    button = "Resume"
    question = "Resume this agent?"
    explanation = (
        "The agent and the suspended agents below it go on where they were. It is"
        " refused while an agent above is suspended."
    )
    is_harmful = False

    def offered_for(self, row: AgentSession) -> bool:
        return row.status == AgentStatus.SUSPENDED

    def preview(self, rows: Sequence[AgentSession]) -> Impact:
        row = rows[0]
        ids = services.preview_resumption(zone_id=row.zone_id, agent_id=row.id)
        return Impact([Affected("Agents resumed", len(ids), named(ids))])

    def perform(
        self, actor: Actor, rows: Sequence[AgentSession], answers: dict[str, Any]
    ) -> Done:
        row = rows[0]
        resumed = services.resume_agent(
            within(actor, row),
            zone_id=row.zone_id,
            agent_id=row.id,
            reason=answers["reason"],
        )
        return Done(f"{display.counted(resumed, 'agent')} resumed.")
