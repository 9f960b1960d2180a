"""Decisions made for trial: what is accepted must not fail when it is needed.

The full decision contract is evaluated over the documents, by the engine and in the
form of the run time, with requests that reach every kind of rule of every view, up to
a number.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from policies import engine, inputs
from policies.documents import Compiled

MAX_TRIALS = 64
STRANGER = "an application in no document"


def failure(data: Mapping[str, Any]) -> str | None:
    """Why a decision over ``data`` fails, or None if none does."""
    compiled = Compiled(data)
    for request in islice(_requests(data), MAX_TRIALS):
        result = engine.evaluate(compiled, request)
        if result.evaluation_status != engine.COMPLETE:
            return str(result.diagnostics[0]["message"])
    return None


def _requests(data: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    yield _bootstrap(STRANGER, "resource in no document")
    yield _mint(STRANGER, "resource in no document", "label", _risky(data))
    applications: Mapping[str, str] = data.get("app_ids", {})
    for application_id in applications.values():
        yield _bootstrap(application_id, "resource in no document")
    for identifier, view in data.get("grants", {}).items():
        application_id = applications.get(view["application"], STRANGER)
        yield _bootstrap(application_id, identifier)
        for role, scopes in view.get("roles", {}).items():
            yield _mint(application_id, identifier, role, list(scopes))
            yield _use(application_id, identifier, role)


def _risky(data: Mapping[str, Any]) -> list[str]:
    rules = data.get("risk", [])
    given = rules.values() if isinstance(rules, dict) else rules
    return [rule["scope"] for rule in given]


def _request(application_id: str, identifier: str, **members: Any) -> dict[str, Any]:
    principal = {"type": "Application", "id": application_id, "zone_id": "zone"}
    resource = {"type": "Resource", "id": "resource", "identifier": identifier}
    return inputs.normalised(
        {
            "principal": {**principal, **members.get("principal", {})},
            "resource": resource,
            "action": {"id": "TokenExchange"},
            "delegation_edge": members.get("edge"),
            "context": members["context"],
        }
    )


def _bootstrap(application_id: str, identifier: str) -> dict[str, Any]:
    context = {"requested_scopes": [engine.LIFECYCLE_SCOPE]}
    return _request(application_id, identifier, context=context)


def _mint(
    application_id: str, identifier: str, role: str, scopes: list[str]
) -> dict[str, Any]:
    return _request(
        application_id,
        identifier,
        principal={"labels": [role]},
        edge={"id": "edge", "scopes": scopes},
        context={"agent_session_id": "agent", "requested_scopes": scopes},
    )


def _use(application_id: str, identifier: str, role: str) -> dict[str, Any]:
    claims = {"delegation_edge_id": "edge", "target": [identifier]}
    return _request(
        application_id,
        identifier,
        principal={"labels": [role]},
        context={"subject_claims": claims, "requested_scopes": []},
    )
