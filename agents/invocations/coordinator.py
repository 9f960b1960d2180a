"""The coordinator's routes of invocations (coordinator.md 6)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from django.conf import settings
from django.http import HttpResponse
from msgspec import UNSET, Meta, UnsetType

from agents.invocations import queries, services
from agents.invocations.queries import InvocationsQuery, Status
from caracal_site.coordinator.answers import answer
from caracal_site.coordinator.bodies import or_none
from caracal_site.coordinator.keyed import Otherwise, once
from caracal_site.coordinator.routes import Call, Route
from caracal_site.coordinator.threads import in_db

Id = Annotated[str, Meta(min_length=1, max_length=128)]
Name = Annotated[str, Meta(min_length=1, max_length=255)]
Reason = Annotated[
    str, Meta(min_length=1, max_length=256, pattern=r"^[^\x00-\x1f\x7f]*\Z")
]


class RetryPolicy(msgspec.Struct, forbid_unknown_fields=True):
    """How often to try, and how long to wait in between."""

    max_attempts: Annotated[int, Meta(ge=1, le=10)] = 3
    backoff_ms: Annotated[int, Meta(ge=0, le=300_000)] = 1000


class CreateBody(msgspec.Struct, forbid_unknown_fields=True):
    """A call of a service. ``idempotency_key`` names one call of the caller."""

    service_id: Id
    idempotency_key: Name
    method: Name
    source_session_id: Id | None = None
    target_session_id: Id | None = None
    params: Any = msgspec.field(default_factory=dict)
    metadata: dict[str, Any] = {}
    timeout_ms: Annotated[int, Meta(ge=1, le=900_000)] = 30_000
    retry_policy: RetryPolicy = msgspec.field(default_factory=RetryPolicy)


class CancelBody(msgspec.Struct, forbid_unknown_fields=True):
    """Why the call is to end."""

    reason: Reason | UnsetType = UNSET


class CompleteBody(msgspec.Struct, forbid_unknown_fields=True):
    """How the attempt ended. With ``attempt``, the number that start answered, only if
    that attempt still runs."""

    status: Literal["succeeded", "failed", "canceled"]
    error: dict[str, Any] | None = None
    metadata: dict[str, Any] = {}
    attempt: Annotated[int, Meta(ge=1, le=10)] | UnsetType = UNSET


class InvocationItem(msgspec.Struct):
    """A call without its contents."""

    id: str
    zone_id: str
    service_id: str
    source_session_id: str | None
    target_session_id: str | None
    method: str
    status: Status
    attempts: int
    max_attempts: int
    timeout_ms: int
    deadline_at: str | None
    started_at: str | None
    completed_at: str | None
    created_at: str


class Invocation(InvocationItem):
    """A call. ``attempts`` is the number of the attempt that runs or ran last;
    ``deadline_at`` is when that is over, ``queue_deadline_at`` when waiting is, and
    ``not_before_at`` when the next attempt may start."""

    idempotency_key: str
    params_json: Any
    metadata_json: dict[str, Any]
    retry_policy_json: RetryPolicy
    error_json: dict[str, Any] | None
    queue_deadline_at: str | None
    not_before_at: str | None
    cancel_requested_at: str | None


class InvocationPage(msgspec.Struct):
    items: list[InvocationItem]
    next_cursor: str | None


async def create(call: Call) -> HttpResponse:
    body: CreateBody = call.body
    request = services.CallRequest(
        service_id=body.service_id,
        idempotency_key=body.idempotency_key,
        method=body.method,
        source_session_id=body.source_session_id,
        target_session_id=body.target_session_id,
        params=body.params,
        metadata=body.metadata,
        timeout_ms=body.timeout_ms,
        retry_policy=msgspec.structs.asdict(body.retry_policy),
    )

    def perform() -> Otherwise:
        created = services.create_invocation(
            call.actor, zone_id=call.zone_id, request=request
        )
        status = 201 if created.is_new else 200
        return Otherwise(status, created.invocation.encode())

    return await once(call, perform)


async def get_invocation(call: Call) -> HttpResponse:
    return answer(
        await in_db(
            queries.get_invocation,
            call.actor,
            zone_id=call.zone_id,
            invocation_id=call.params["id"],
        )
    )


async def list_invocations(call: Call) -> HttpResponse:
    return answer(
        await in_db(
            queries.list_invocations, call.actor, zone_id=call.zone_id, query=call.query
        )
    )


async def start(call: Call) -> HttpResponse:
    return answer(
        await in_db(
            services.start_invocation,
            call.actor,
            zone_id=call.zone_id,
            invocation_id=call.params["id"],
        )
    )


async def cancel(call: Call) -> HttpResponse:
    body: CancelBody | None = call.body
    return answer(
        await in_db(
            services.cancel_invocation,
            call.actor,
            zone_id=call.zone_id,
            invocation_id=call.params["id"],
            reason=or_none(body.reason) if body else None,
        )
    )


async def complete(call: Call) -> HttpResponse:
    body: CompleteBody = call.body
    return answer(
        await in_db(
            services.complete_invocation,
            call.actor,
            zone_id=call.zone_id,
            invocation_id=call.params["id"],
            status=body.status,
            attempt=or_none(body.attempt),
            error=body.error,
            metadata=body.metadata,
        )
    )


INVOCATIONS = "/zones/{zone_id}/invocations"
MOVE_ERRORS = (
    "invocation_not_found",
    "invoker_ownership_required",
    "outside_agent_subtree",
)
_limited: dict[str, Any] = {
    "limit": lambda: int(settings.INVOCATION_RATE_LIMIT_PER_MIN),
    "bucket": "invocations",
    "tags": ("invocations",),
}

routes = [
    Route(
        "GET",
        INVOCATIONS,
        "agents:invocation-list",
        list_invocations,
        "List invocations, newest first.",
        query=InvocationsQuery,
        answer=InvocationPage,
        operator=True,
        tags=("invocations",),
    ),
    Route(
        "POST",
        INVOCATIONS,
        "agents:invocation-create",
        create,
        "Call a service; 200 with the call that the caller's key names already.",
        body=CreateBody,
        status=201,
        also=200,
        answer=Invocation,
        errors=(
            "agent_service_not_found",
            "agent_session_not_found",
            "invoker_ownership_required",
            "outside_agent_subtree",
        ),
        **_limited,
    ),
    Route(
        "GET",
        INVOCATIONS + "/{id}",
        "agents:invocation-detail",
        get_invocation,
        "Get one invocation.",
        answer=Invocation,
        errors=("invocation_not_found",),
        tags=("invocations",),
    ),
    Route(
        "PATCH",
        INVOCATIONS + "/{id}/start",
        "agents:invocation-start",
        start,
        "Start the next attempt of an invocation.",
        answer=Invocation,
        errors=(*MOVE_ERRORS, "invocation_not_startable"),
        **_limited,
    ),
    Route(
        "PATCH",
        INVOCATIONS + "/{id}/cancel",
        "agents:invocation-cancel",
        cancel,
        "Cancel an invocation that waits, or ask for the end of one that runs.",
        body=CancelBody,
        body_optional=True,
        answer=Invocation,
        errors=(*MOVE_ERRORS, "invocation_not_cancelable"),
        **_limited,
    ),
    Route(
        "PATCH",
        INVOCATIONS + "/{id}/complete",
        "agents:invocation-complete",
        complete,
        "Complete the attempt of an invocation that runs.",
        body=CompleteBody,
        answer=Invocation,
        errors=(
            *MOVE_ERRORS,
            "invocation_not_completable",
            "invocation_attempt_superseded",
        ),
        **_limited,
    ),
]
