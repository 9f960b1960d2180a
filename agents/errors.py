"""Facts about agents, as refusals."""

from __future__ import annotations

from caracal_site.errors import CaracalError, RetryLater


class SubjectSessionRequired(CaracalError):
    """Name a subject_session_id: the token carries no session of its own."""

    code = "subject_session_id_required"
    status = 400


class ApplicationOwnershipRequired(CaracalError):
    """The caller neither is this application nor holds coordinator.spawn_for: it."""

    code = "application_ownership_required"
    status = 403


class OutsideAgentSubtree(CaracalError):
    """A token bound to an agent acts only as that agent and on its subtree."""

    code = "outside_agent_subtree"
    status = 403


class ApplicationNotFound(CaracalError):
    """There is no such application in this zone, or it is archived or expired."""

    code = "application_not_found"
    status = 404


class SessionNotFound(CaracalError):
    """The subject session must be a live session of the caller in this zone."""

    code = "session_not_found"
    status = 404

    def __init__(self) -> None:
        super().__init__(
            extra={
                "detail": "subject_session_id must name a live session of the caller."
            }
        )


class DcrCannotHostService(CaracalError):
    """A self-registered application runs task agents only."""

    code = "dcr_application_cannot_host_service"
    status = 409


class DcrCannotBeChild(CaracalError):
    """An agent of a self-registered application has no parent."""

    code = "dcr_application_cannot_be_child"
    status = 409


class DcrAlreadyBound(CaracalError):
    """A self-registered application runs one agent at a time."""

    code = "dcr_application_already_bound"
    status = 409


class DcrCannotSpawn(CaracalError):
    """An agent of a self-registered application spawns no children."""

    code = "dcr_application_cannot_spawn"
    status = 409


class TaskCannotSpawnService(CaracalError):
    """A task agent cannot be the parent of a service agent."""

    code = "task_agent_cannot_spawn_service"
    status = 409


class ParentNotFound(CaracalError):
    """The parent is not an active agent of this zone."""

    code = "parent_not_found"
    status = 404


class ParentOwnershipRequired(CaracalError):
    """Spawning under another application's agent needs coordinator.spawn_under: it."""

    code = "parent_ownership_required"
    status = 403


class ZoneLimitExceeded(RetryLater):
    """The zone has as many live agents as it may have."""

    code = "agent_zone_limit_exceeded"
    status = 429
    retry_after_seconds = 5


class ApplicationLimitExceeded(RetryLater):
    """The application has as many live agents as it may have."""

    code = "agent_limit_exceeded"
    status = 429
    retry_after_seconds = 5


class ChildrenLimitExceeded(RetryLater):
    """The parent has as many live children as it may have."""

    code = "agent_children_limit_exceeded"
    status = 429
    retry_after_seconds = 5


class DepthLimitExceeded(CaracalError):
    """The agent tree may not grow deeper than this."""

    code = "agent_depth_limit_exceeded"
    status = 429


class InheritedEdgeNotActive(CaracalError):
    """inherit_parent_edge_id does not name a live edge into the parent."""

    code = "inherit_parent_edge_not_active"
    status = 409


class AgentNotFound(CaracalError):
    """There is no such agent in this zone."""

    code = "agent_not_found"
    status = 404


class NothingToSuspend(CaracalError):
    """Neither the agent nor anything below it is active."""

    code = "agent_not_found_or_not_active"
    status = 409


class NothingToResume(CaracalError):
    """The agent is not suspended."""

    code = "agent_not_found_or_not_suspended"
    status = 409


class AncestorNotActive(CaracalError):
    """An agent above this one is suspended or ended; resume from there."""

    code = "agent_ancestor_not_active"
    status = 409


class AgentNotLive(CaracalError):
    """The agent has ended, or its time is over."""

    code = "agent_not_live"
    status = 409


class LeaseExpired(CaracalError):
    """The lease ran out and the service rests now; its next heartbeat resumes it."""

    code = "agent_lease_expired"
    status = 409


class LeaseSuperseded(CaracalError):
    """The service holds a later lease than this generation: somebody else runs it."""

    code = "agent_lease_superseded"
    status = 409


class ServiceNotFound(CaracalError):
    """There is no such agent service in this zone, or it is deregistered."""

    code = "agent_service_not_found"
    status = 404
