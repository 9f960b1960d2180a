"""What a token is bound to: an agent session, and an edge into it.

Contract: tokens.md 9.

A binding is looked up unlocked. The statement that writes the token's session locks it
and looks again, so that it cannot end before the token that carries it is on record.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import floor
from typing import Any

import orjson

from caracal_site import statements
from policies.decision import Principal
from tokens.forms import TokenRequest
from tokens.services.outcomes import Refusal
from zones.models import Application


@dataclass(frozen=True, slots=True)
class Edge:
    """A live edge and its lineage, root first, as ``binding.sql`` tells them."""

    row: Mapping[str, Any]

    @property
    def id(self) -> str:
        return str(self.row["id"])

    @property
    def path(self) -> list[str]:
        return [link["id"] for link in self.row["path"]]

    @property
    def chain(self) -> list[dict[str, str]]:
        """Who passed the authority on, by which edge, and who has it now."""
        passed = [
            {
                "application_id": link["issuer_application_id"],
                "agent_session_id": link["source_session_id"],
                "delegation_edge_id": link["id"],
            }
            for link in self.row["path"]
        ]
        holder = {
            "application_id": self.row["receiver_application_id"],
            "agent_session_id": self.row["target_session_id"],
        }
        return [*passed, holder]

    @property
    def constraints(self) -> Mapping[str, Any]:
        constraints: Mapping[str, Any] = self.row["constraints_json"]
        return constraints

    @property
    def for_policies(self) -> dict[str, Any]:
        """The edge as the decision contract has it (tokens.md 11)."""
        facts = {key: self.row[key] for key in self.row if key != "ends_at"}
        return {**facts, "path": self.path}

    def covers(self, resource_id: str, identifier: str) -> bool:
        """Whether the edge is about the resource, among others or alone."""
        own, listed = self.row["resource_id"], self.constraints.get("resources")
        return own in (None, resource_id) and (not listed or identifier in listed)

    def forbids(self, scopes: Sequence[str], ttl_seconds: int | None) -> str | None:
        """Why no token with these scopes and that life can rest on the edge, if so."""
        budget = self.constraints.get("budget")
        longest = self.constraints.get("ttl_seconds")
        if not set(scopes) <= set(self.row["scopes"]):
            return "scopes_outside_delegation"
        if budget is not None and len(scopes) > budget:
            return "delegation_budget_exceeded"
        if ttl_seconds and longest is not None and ttl_seconds > longest:
            return "delegation_ttl_exceeded"
        return None


@dataclass(frozen=True, slots=True)
class Binding:
    """The agent session a token is for, and the edge it rests on, if any."""

    agent: Mapping[str, Any]
    edge: Edge | None = None

    def seconds_left(self, now: int) -> int | None:
        """How long what it rests on lasts, None for as long as one likes."""
        ends = [self.agent["ends_at"]]
        longest = None
        if self.edge is not None:
            ends.append(self.edge.row["ends_at"])
            longest = self.edge.constraints.get("ttl_seconds")
        left = [floor(end) - now for end in ends if end is not None]
        return min([*left, *([longest] if longest is not None else [])], default=None)

    def claims(self) -> dict[str, Any]:
        """What a token says about it (tokens.md 13)."""
        claims: dict[str, Any] = {"agent_session_id": self.agent["id"]}
        if self.edge is None:
            return claims
        claims |= {
            "delegation_edge_id": self.edge.id,
            "source_session_id": self.edge.row["source_session_id"],
            "target_session_id": self.edge.row["target_session_id"],
            "delegation_path": self.edge.path,
            "delegation_chain": self.edge.chain,
            "hop_count": len(self.edge.path),
        }
        epoch = self.edge.row["graph_epoch"]
        return {**claims, "delegation_graph_epoch": epoch} if epoch else claims

    def metadata(self) -> dict[str, Any]:
        """What the ledger says about it (tokens.md 18)."""
        metadata: dict[str, Any] = {
            "agent_lifecycle": self.agent["lifecycle"],
            "agent_labels": self.agent["labels"],
            "agent_depth": self.agent["depth"],
            "agent_parent_id": self.agent["parent_id"],
        }
        if self.edge is not None:
            metadata |= {
                "delegation_chain": self.edge.chain,
                "delegation_hop_count": len(self.edge.path),
                "delegation_graph_epoch": self.edge.row["graph_epoch"],
            }
        return metadata


def look_up(request: TokenRequest, application: Application) -> tuple[Any, Any]:
    """What ``find`` needs to be told, for a request whose agent was learnt late."""
    agent, edge = statements.fetch_one(
        "tokens/binding",
        {
            "zone_id": application.zone_id,
            "application_id": application.id,
            "agent_session_id": request.agent_session_id,
            "delegation_edge_id": request.delegation_edge_id,
        },
    )
    return agent, edge


def find(
    request: TokenRequest,
    agent: str | None,
    edge: str | None,
    copied: Sequence[str] = (),
) -> Binding | Refusal | None:
    """What the request wants to be bound to, None when to nothing. ``copied`` are the
    scopes it gets when it asks for none."""
    if request.agent_session_id is None:
        wants_edge = request.delegation_edge_id is not None
        return Refusal("delegation_edge_not_usable") if wants_edge else None
    if agent is None:
        return Refusal("agent_session_not_usable")
    if request.delegation_edge_id is None:
        return Binding(orjson.loads(agent))
    if edge is None:
        return Refusal("delegation_edge_not_usable")
    found = Edge(orjson.loads(edge))
    forbidden = found.forbids(request.scopes or copied, request.asked_ttl_seconds)
    return Refusal(forbidden) if forbidden else Binding(orjson.loads(agent), found)


def principal(application: Application, binding: Binding | None) -> Principal:
    """Who asks, as the policies see it."""
    if binding is None:
        return Principal(
            id=application.id,
            zone_id=application.zone_id,
            registration_method=application.registration_method,
        )
    return Principal(
        id=application.id,
        zone_id=application.zone_id,
        registration_method=application.registration_method,
        agent_session_id=binding.agent["id"],
        lifecycle=binding.agent["lifecycle"],
        labels=tuple(binding.agent["labels"]),
    )
