"""The base data and inputs of the contract's worked examples (section 9)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from policies import engine, inputs
from policies.documents import Compiled

INVOICES, METRICS = "resource://invoices", "resource://metrics"
READ, ISSUE, LIFECYCLE = "invoices:read", "invoices:issue", "agent:lifecycle"
BILLING, REPORTS = "app-7f3", "app-9c1"

DATA: Mapping[str, Any] = {
    "app_ids": {"billing": BILLING, "reports": REPORTS},
    "grants": {
        INVOICES: {
            "application": "billing",
            "roles": {"clerk": [READ, ISSUE], "viewer": [READ]},
        },
        METRICS: {"application": "reports", "roles": {"analyst": ["metrics:read"]}},
    },
}
RISK: Mapping[str, Any] = {
    "risk": [{"scope": ISSUE, "tier": "money"}, {"scope": READ, "tier": "low"}],
    "approval_tiers": ["money"],
}
CONFINED: Mapping[str, Any] = {
    "confinement": [
        {"label_prefix": "tenant:", "scopes": [READ]},
        {"label_prefix": "tenant:eu", "scopes": [READ, ISSUE]},
    ]
}


def edge(scopes: Sequence[str] | None = (READ, ISSUE)) -> dict[str, Any]:
    """The edge of the examples; None leaves its scopes out."""
    members = {
        "id": "edge-1",
        "source_session_id": "as-0",
        "target_session_id": "as-1",
        "issuer_application_id": BILLING,
        "receiver_application_id": BILLING,
        "scopes": None if scopes is None else list(scopes),
        "edge_version": 1,
        "path": ["edge-1"],
        "graph_epoch": 4,
    }
    return {name: value for name, value in members.items() if value is not None}


def request(
    requested: Sequence[str] | None,
    *,
    application: str = BILLING,
    labels: Sequence[str] | None = None,
    **members: Any,
) -> dict[str, Any]:
    """An input document as somebody writes it; ``context`` adds to its context."""
    raw: dict[str, Any] = {
        "schema_version": "2026-05-20",
        "principal": {
            "type": "Application",
            "id": application,
            "zone_id": "zone-a",
            "registration_method": "managed",
            "labels": labels,
        },
        "resource": {
            "type": "Resource",
            "id": "res-1",
            "identifier": members.pop("resource", INVOICES),
            "scopes": [LIFECYCLE, READ, ISSUE],
        },
        "action": members.pop("action", {"id": "TokenExchange"}),
        "context": {
            "actor_claims": {"caracal_client_id": application},
            "challenge_resolved": False,
            "requested_scopes": requested,
            "trace_id": "req-1",
            **members.pop("context", {}),
        },
    }
    return {**raw, **members}


def bootstrap(**members: Any) -> dict[str, Any]:
    return request(members.pop("requested", [LIFECYCLE]), **members)


def mint(
    requested: Sequence[str] | None = (ISSUE,),
    labels: Sequence[str] | None = ("clerk",),
    **members: Any,
) -> dict[str, Any]:
    context = {"agent_session_id": "as-1", "delegation_edge_id": "edge-1"}
    members["context"] = {**context, **members.get("context", {})}
    members.setdefault("delegation_edge", edge())
    return request(
        None if requested is None else list(requested),
        labels=None if labels is None else list(labels),
        **members,
    )


def use(
    requested: Sequence[str] = (),
    labels: Sequence[str] = ("viewer",),
    **claims: Any,
) -> dict[str, Any]:
    subject = {
        "sub": "someone",
        "scope": ISSUE,
        "target": [INVOICES],
        "delegation_edge_id": "edge-1",
        **claims,
    }
    action = {"id": "TokenExchange", "method": "POST", "path": "/invoices"}
    return request(
        list(requested),
        labels=list(labels),
        action=action,
        context={"subject_claims": subject},
    )


def decided(data: Mapping[str, Any] | None, raw: Mapping[str, Any]) -> engine.Result:
    """The decision on ``raw`` over merged documents, or over no active set."""
    compiled = None if data is None else Compiled(data)
    return engine.evaluate(compiled, inputs.normalised(raw))
