"""Calling a service (coordinator.md 6.1)."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import orjson
from django.conf import settings
from django.db import connection, transaction

from agents.invocations import machine, rules
from agents.invocations.events import InvocationCreated
from audit import record
from caracal_site import receipts, statements
from caracal_site.actors import Actor
from caracal_site.database import Changed
from caracal_site.errors import IdempotencyKeyConflict
from caracal_site.ids import new_id
from tokens.bearer import caller_parameters, refuse_dead_caller

DEFAULT_RETRIES = {"max_attempts": 3, "backoff_ms": 1000}


@dataclass(frozen=True, kw_only=True)
class CallRequest:
    """What a caller asks for. ``idempotency_key`` names one call of its application."""

    service_id: str
    idempotency_key: str
    method: str
    source_session_id: str | None = None
    target_session_id: str | None = None
    params: Any = field(default_factory=dict)
    metadata: dict[str, Any] = field(default_factory=dict)
    timeout_ms: int = 30_000
    retry_policy: dict[str, int] = field(default_factory=lambda: dict(DEFAULT_RETRIES))

    @property
    def session_ids(self) -> list[str]:
        """The distinct sessions of the call."""
        named = {self.source_session_id, self.target_session_id}
        return sorted(id_ for id_ in named if id_ is not None)

    @cached_property
    def fingerprint(self) -> str:
        """What makes two requests with one key the same."""
        return receipts.fingerprint_of(
            [
                self.method,
                self.source_session_id,
                self.target_session_id,
                self.params,
                self.metadata,
                self.timeout_ms,
                self.retry_policy,
            ]
        )


@dataclass(frozen=True, slots=True)
class Created:
    """The call as JSON text; ``is_new`` unless the caller's key named it before."""

    invocation: str
    is_new: bool


def create_invocation(actor: Actor, *, zone_id: str, request: CallRequest) -> Created:
    """Makes a call, or finds the one the caller's key names. A token bound to an agent
    calls as that agent unless told otherwise.

    Raises the refusals of ``rules.creation_refusal``, or IdempotencyKeyConflict.
    """
    named = _columns(actor, zone_id, request)
    # Mostly the only round trip: the statement does nothing unless all is in order.
    if not connection.in_atomic_block:
        made = _insert(actor, named)
        if made is not None:
            return made
    return _create(actor, request, named)


@transaction.atomic
def _create(actor: Actor, request: CallRequest, named: dict[str, Any]) -> Created:
    zone_live, identity_live, agent_live, application_id, sessions, known, existing = (
        statements.fetch_one("agents/invocations/create_facts", named)
    )
    refuse_dead_caller(
        actor, zone_live=zone_live, identity_live=identity_live, agent_live=agent_live
    )
    if existing is not None and known == request.fingerprint:
        return Created(existing, is_new=False)
    refusal = rules.creation_refusal(
        actor,
        session_ids=named["session_ids"],
        source_id=named["source_session_id"],
        service_application_id=application_id,
        sessions=orjson.loads(sessions),
    )
    if refusal:
        raise refusal
    if existing is not None:
        raise IdempotencyKeyConflict
    made = _insert(actor, named)
    if made is None:
        raise Changed
    return made


def _insert(actor: Actor, named: dict[str, Any]) -> Created | None:
    event = InvocationCreated(
        zone_id=named["zone_id"],
        entity_id=named["id"],
        service_id=named["service_id"],
        method=named["method"],
    )
    evidence = record.prepare(actor, event, is_one_statement=True)
    (made,) = statements.fetch_one(
        "agents/invocations/create", named | evidence.parameters()
    )
    if made is None:
        return None
    record.written(evidence)
    return Created(made, is_new=True)


def _columns(actor: Actor, zone_id: str, request: CallRequest) -> dict[str, Any]:
    source = request.source_session_id or actor.agent_session_id
    session_ids = {*request.session_ids, source} - {None}
    return {
        **caller_parameters(actor),
        "id": new_id(),
        "zone_id": zone_id,
        "application_id": actor.client_id,
        "service_id": request.service_id,
        "source_session_id": source,
        "target_session_id": request.target_session_id,
        "session_ids": sorted(str(id_) for id_ in session_ids),
        "idempotency_key": request.idempotency_key,
        "fingerprint": request.fingerprint,
        "method": request.method,
        "params": orjson.dumps(request.params).decode(),
        "metadata": orjson.dumps(request.metadata).decode(),
        "timeout_ms": request.timeout_ms,
        "retry_policy": orjson.dumps(request.retry_policy).decode(),
        "status": machine.target_of("create"),
        "queue_seconds": settings.INVOCATION_QUEUE_TIMEOUT_SECONDS,
        "applications": rules.applications_of(actor),
        "reaches_all": rules.reaches_all(actor),
    }
