"""The input document of a decision (contract: policies-and-grants.md 8.2).

``document`` makes it from the facts of a token request, ``normalised`` from JSON that
somebody wrote for a simulation. Both give the same form, so a simulation evaluates
exactly what the token endpoint would: unknown members are dropped, and empty optional
ones are absent, which the contract's rules tell apart from present.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from policies.decision import DecisionRequest

SCHEMA_VERSION = "2026-05-20"


class InvalidInput(ValueError):
    """The input document has a member of the wrong type, or another schema."""


class PrincipalInput(msgspec.Struct):
    type: str | None = None
    id: str | None = None
    zone_id: str | None = None
    registration_method: str | None = None
    agent_session_id: str | None = None
    lifecycle: str | None = None
    labels: list[str] | None = None


class ResourceInput(msgspec.Struct):
    type: str | None = None
    id: str | None = None
    identifier: str | None = None
    scopes: list[str] | None = None


class ActionInput(msgspec.Struct):
    id: str | None = None
    method: str | None = None
    path: str | None = None


class SessionInput(msgspec.Struct):
    id: str | None = None


class EdgeInput(msgspec.Struct):
    id: str | None = None
    source_session_id: str | None = None
    target_session_id: str | None = None
    issuer_application_id: str | None = None
    receiver_application_id: str | None = None
    resource_id: str | None = None
    scopes: list[str] | None = None
    path: list[str] | None = None
    edge_version: int | None = None
    graph_epoch: int | None = None
    constraints_json: Any = None


class ContextInput(msgspec.Struct):
    actor_claims: dict[str, Any] | None = None
    subject_claims: dict[str, Any] | None = None
    trace_id: str | None = None
    session_id: str | None = None
    agent_session_id: str | None = None
    delegation_edge_id: str | None = None
    challenge_resolved: bool | None = None
    requested_scopes: list[str] | None = None


class Input(msgspec.Struct):
    schema_version: str | None = None
    principal: PrincipalInput | None = None
    resource: ResourceInput | None = None
    action: ActionInput | None = None
    session: SessionInput | None = None
    delegation_edge: EdgeInput | None = None
    context: ContextInput | None = None


# The members an object always has, in the order and with the value it then has.
ALWAYS: Mapping[type[msgspec.Struct], Mapping[str, Any]] = {
    PrincipalInput: {"type": "", "id": "", "zone_id": ""},
    ResourceInput: {"type": "", "id": "", "identifier": "", "scopes": None},
    ActionInput: {"id": ""},
    SessionInput: {"id": ""},
    EdgeInput: {"id": ""},
    ContextInput: {
        "actor_claims": None,
        "challenge_resolved": False,
        "requested_scopes": None,
    },
}


def normalised(raw: Any) -> dict[str, Any]:
    """The input document that ``raw`` JSON stands for. Raises InvalidInput."""
    try:
        given = msgspec.convert(raw, Input)
    except msgspec.ValidationError as error:
        raise InvalidInput(str(error)) from None
    version = given.schema_version or SCHEMA_VERSION
    if version != SCHEMA_VERSION:
        raise InvalidInput(f"schema_version must be {SCHEMA_VERSION}")
    return _assembled(given)


def document(request: DecisionRequest) -> dict[str, Any]:
    """The input document of a token request."""
    principal, resource = request.principal, request.resource
    edge = request.delegation_edge
    session = SessionInput(request.session_id) if request.session_id else None
    return _assembled(
        Input(
            principal=PrincipalInput(
                type="Application",
                id=principal.id,
                zone_id=principal.zone_id,
                registration_method=principal.registration_method,
                agent_session_id=principal.agent_session_id,
                lifecycle=principal.lifecycle,
                labels=list(principal.labels),
            ),
            resource=ResourceInput(
                "Resource", resource.id, resource.identifier, list(resource.scopes)
            ),
            action=ActionInput(
                "TokenExchange",
                request.method.upper() if request.method else None,
                request.path,
            ),
            session=session,
            delegation_edge=None if edge is None else _edge(edge),
            context=ContextInput(
                actor_claims={"caracal_client_id": principal.id},
                subject_claims=_plain(request.subject_claims),
                trace_id=request.trace_id,
                session_id=request.session_id,
                agent_session_id=principal.agent_session_id,
                delegation_edge_id=request.delegation_edge_id,
                challenge_resolved=request.challenge_resolved,
                requested_scopes=list(request.requested_scopes),
            ),
        )
    )


def _edge(edge: Mapping[str, Any]) -> EdgeInput:
    try:
        return msgspec.convert(dict(edge), EdgeInput)
    except msgspec.ValidationError as error:
        raise InvalidInput(f"delegation edge: {error}") from None


def _plain(claims: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if claims is None else dict(claims)


def _assembled(given: Input) -> dict[str, Any]:
    found: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "principal": _members(given.principal or PrincipalInput()),
        "resource": _members(given.resource or ResourceInput()),
        "action": _members(given.action or ActionInput()),
        "context": _members(given.context or ContextInput()),
    }
    if given.session is not None:
        found["session"] = _members(given.session)
    if given.delegation_edge is not None:
        found["delegation_edge"] = _members(given.delegation_edge)
    return found


def _members(given: msgspec.Struct) -> dict[str, Any]:
    """What ``given`` has: always what ALWAYS names, the rest unless empty."""
    always = ALWAYS[type(given)]
    found: dict[str, Any] = {}
    for name in given.__struct_fields__:
        value = getattr(given, name)
        if name in always:
            found[name] = always[name] if value is None else value
        elif _is_told(name, value):
            found[name] = value
    return found


def _is_told(name: str, value: Any) -> bool:
    """Constraints may be any JSON; everything else says nothing when empty or zero."""
    return value is not None if name == "constraints_json" else bool(value)
