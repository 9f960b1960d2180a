"""Agent sessions as a tree, their services and invocations, and the room for them."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.utils import timezone

from agents.querysets import (
    AgentServiceQuerySet,
    AgentSessionQuerySet,
    InvocationQuerySet,
)
from caracal_site.ids import IdField, PrimaryIdField


class AgentStatus(models.TextChoices):
    ACTIVE = "active"
    SUSPENDED = "suspended"
    TERMINATED = "terminated"
    EXPIRED = "expired"


class Lifecycle(models.TextChoices):
    TASK = "task"
    SERVICE = "service"


class AgentSession(models.Model):
    """One run of an agent; a node of its zone's agent tree.

    Invariants: ``ancestor_ids`` is the path from the root down to the parent, so its
    length is ``depth``; ``child_count`` counts live children; ``narrowed`` is set by
    the first inbound delegation edge and never cleared (D10); ``transition`` grows
    with every change of ``status`` and makes event keys unique. No index knows the
    status, so that to suspend and to resume change rows in place. Numbers here are
    plain integers: each CHECK is read and compiled anew by every insert. Rows of zones
    and applications are never deleted, authority sessions not while an agent names
    them, so those references carry no database constraint: checking them would lock
    the same few rows in every spawn.
    """

    id = PrimaryIdField()
    zone = models.ForeignKey(
        "zones.Zone",
        models.PROTECT,
        related_name="agents",
        db_constraint=False,
        db_index=False,
    )
    application = models.ForeignKey(
        "zones.Application",
        models.PROTECT,
        related_name="agents",
        db_constraint=False,
        db_index=False,
    )
    parent = models.ForeignKey(
        "self", models.PROTECT, null=True, related_name="children", db_index=False
    )
    ancestor_ids = ArrayField(IdField(), default=list, db_default=[])
    subject_session = models.ForeignKey(
        "tokens.Session",
        models.PROTECT,
        related_name="agents",
        db_constraint=False,
        db_index=False,
    )
    status = models.TextField(
        choices=AgentStatus.choices, default=AgentStatus.ACTIVE, db_default="active"
    )
    lifecycle = models.TextField(
        choices=Lifecycle.choices, default=Lifecycle.TASK, db_default="task"
    )
    depth = models.SmallIntegerField(default=0, db_default=0)
    labels = ArrayField(models.TextField(), default=list, db_default=[])
    child_count = models.IntegerField(default=0, db_default=0)
    narrowed = models.BooleanField(default=False, db_default=False)
    transition = models.IntegerField(default=0, db_default=0)
    ttl_seconds = models.IntegerField(null=True)
    expires_at = models.DateTimeField(null=True)
    metadata_json = models.JSONField(default=dict, db_default={})
    spawned_at = models.DateTimeField(db_default=Now())
    last_active_at = models.DateTimeField(db_default=Now())
    last_heartbeat_at = models.DateTimeField(null=True)
    heartbeat_deadline_at = models.DateTimeField(null=True)
    terminated_at = models.DateTimeField(null=True)
    termination_reason = models.TextField(null=True)
    suspend_reason = models.TextField(null=True)
    updated_at = models.DateTimeField(db_default=Now())

    objects = AgentSessionQuerySet.as_manager()

    class Meta:
        db_table = "agent_sessions"
        verbose_name = "agent"
        ordering = ("-id",)
        constraints = [
            models.CheckConstraint(
                condition=Q(lifecycle__in=Lifecycle.values),
                name="agent_sessions_lifecycle_known",
            ),
            # Which makes the four statuses the only ones, too.
            models.CheckConstraint(
                condition=Q(status__in=["active", "suspended"], terminated_at=None)
                | Q(status__in=["terminated", "expired"], terminated_at__isnull=False),
                name="agent_sessions_ended_has_time",
            ),
        ]
        indexes = [
            models.Index(fields=["zone", "-id"], name="agent_sessions_listing"),
            models.Index(
                fields=["zone", "application", "-id"], name="agent_sessions_by_app"
            ),
            models.Index(
                fields=["parent", "-id"],
                condition=Q(parent__isnull=False),
                name="agent_sessions_children",
            ),
            models.Index(
                fields=["expires_at"],
                condition=Q(terminated_at=None, expires_at__isnull=False),
                name="agent_sessions_expiring",
            ),
            models.Index(
                fields=["application", "subject_session"],
                condition=Q(terminated_at=None),
                name="agent_sessions_standing",
            ),
            GinIndex(
                fields=["labels"],
                name="agent_sessions_labels",
                condition=~Q(labels=[]),
            ),
            # Of no column that a heartbeat changes, so that it is written in place.
            models.Index(
                fields=["zone", "id"],
                condition=Q(lifecycle="service", terminated_at=None),
                name="agent_sessions_leased",
            ),
        ]

    def __str__(self) -> str:
        return self.id


class Capacity(models.Model):
    """A slot of the room for live agents of a zone or an application.

    A zone's or application's cap is shared out over ``CAPACITY_SLOTS`` rows so that
    concurrent spawns do not queue for one row. Invariant: ``live <= quota`` in every
    slot and the quotas of a scope add up to ``cap``; so the number of live agents, the
    sum of ``live``, can never pass the cap. Ending an agent lowers any one slot.
    """

    scope_id = IdField()
    slot = models.SmallIntegerField()
    live = models.IntegerField(default=0)
    quota = models.IntegerField(default=0)
    cap = models.IntegerField(default=0)

    class Meta:
        db_table = "agent_capacity"
        verbose_name = "slot of capacity"
        verbose_name_plural = "slots of capacity"
        constraints = [
            models.UniqueConstraint(
                fields=["scope_id", "slot"], name="agent_capacity_slot_key"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.scope_id}/{self.slot}"


class ServiceHealth(models.TextChoices):
    STARTING = "starting"
    HEALTHY = "healthy"
    DEGRADED = "degraded"
    UNHEALTHY = "unhealthy"


class AgentService(models.Model):
    """A callable endpoint of an application.

    Invariants: an endpoint is registered once per application at a time;
    ``deregistered_at`` is final, and what is registered after it is another service.
    ``health`` holds until ``lease_expires_at``: past it nothing was heard from the
    service, and it counts as unhealthy whether or not that was written down already.
    """

    id = PrimaryIdField()
    zone = models.ForeignKey(
        "zones.Zone", models.PROTECT, related_name="agent_services"
    )
    application = models.ForeignKey(
        "zones.Application", models.PROTECT, related_name="agent_services"
    )
    endpoint_url = models.TextField()
    protocol_versions = ArrayField(models.TextField(), default=list)
    framework_name = models.TextField(null=True)
    framework_version = models.TextField(null=True)
    capabilities = ArrayField(models.TextField(), default=list)
    health = models.TextField(
        choices=ServiceHealth.choices, default=ServiceHealth.STARTING
    )
    active_invocations = models.IntegerField(default=0, db_default=0)
    metadata_json = models.JSONField(default=dict)
    last_heartbeat_at = models.DateTimeField(null=True)
    lease_expires_at = models.DateTimeField(db_default=Now())
    deregistered_at = models.DateTimeField(null=True)
    deregistration_reason = models.TextField(null=True)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    objects = AgentServiceQuerySet.as_manager()

    class Meta:
        db_table = "agent_services"
        ordering = ("-id",)
        constraints = [
            models.UniqueConstraint(
                fields=["zone", "application", "endpoint_url"],
                condition=Q(deregistered_at=None),
                name="agent_services_endpoint_key",
            ),
        ]
        indexes = [models.Index(fields=["zone", "-id"], name="agent_services_listing")]

    def __str__(self) -> str:
        return self.endpoint_url

    @property
    def standing(self) -> str:
        """``health``, or what is true of it now."""
        if self.deregistered_at is not None:
            return "deregistered"
        if self.lease_expires_at <= timezone.now():
            return ServiceHealth.UNHEALTHY.value
        return self.health


class InvocationStatus(models.TextChoices):
    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCEL_REQUESTED = "cancel_requested"
    CANCELED = "canceled"
    TIMED_OUT = "timed_out"
    DEAD = "dead"


class Invocation(models.Model):
    """A call of a service's method, from one agent session to another.

    Invariants: ``status`` moves as ``agents/invocations/machine.py`` says and not
    otherwise; ``transition`` grows with every move and makes event keys unique;
    ``attempts`` is the number of the attempt that runs or ran last, and what a worker
    shows to be the one. A call is open while ``due_at`` is set, the time at which the
    platform moves it on. A key names one call of its caller (``application``). Zones
    and applications are never deleted, services and sessions not before the calls that
    name them: no database constraint.
    """

    id = PrimaryIdField()
    zone = models.ForeignKey(
        "zones.Zone",
        models.PROTECT,
        related_name="invocations",
        db_constraint=False,
        db_index=False,
    )
    application = models.ForeignKey(
        "zones.Application",
        models.PROTECT,
        related_name="invocations",
        db_constraint=False,
        db_index=False,
    )
    service = models.ForeignKey(
        AgentService,
        models.PROTECT,
        related_name="invocations",
        db_constraint=False,
        db_index=False,
    )
    source_session = models.ForeignKey(
        AgentSession,
        models.PROTECT,
        null=True,
        related_name="outgoing_invocations",
        db_constraint=False,
        db_index=False,
    )
    target_session = models.ForeignKey(
        AgentSession,
        models.PROTECT,
        null=True,
        related_name="incoming_invocations",
        db_constraint=False,
        db_index=False,
    )
    idempotency_key = models.TextField()
    fingerprint = models.TextField(default="", db_default="")
    method = models.TextField()
    params_json = models.JSONField(default=dict)
    metadata_json = models.JSONField(default=dict)
    status = models.TextField(
        choices=InvocationStatus.choices, default=InvocationStatus.PENDING
    )
    transition = models.IntegerField(default=0, db_default=0)
    attempts = models.IntegerField(default=0, db_default=0)
    max_attempts = models.IntegerField(default=3)
    timeout_ms = models.IntegerField(default=30_000)
    retry_policy_json = models.JSONField(default=dict)
    error_json = models.JSONField(null=True)
    due_at = models.DateTimeField(null=True)
    deadline_at = models.DateTimeField(null=True)
    not_before_at = models.DateTimeField(null=True)
    cancel_requested_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    completed_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    objects = InvocationQuerySet.as_manager()

    class Meta:
        db_table = "agent_invocations"
        ordering = ("-id",)
        constraints = [
            models.UniqueConstraint(
                fields=["service", "application", "idempotency_key"],
                name="agent_invocations_idempotency_key",
            ),
            # Which makes the eight statuses the only ones, too.
            models.CheckConstraint(
                condition=Q(
                    status__in=["pending", "running", "cancel_requested"],
                    due_at__isnull=False,
                )
                | Q(
                    status__in=["succeeded", "failed", "canceled", "timed_out", "dead"],
                    due_at=None,
                ),
                name="agent_invocations_open_is_due",
            ),
        ]
        indexes = [
            models.Index(fields=["zone", "-id"], name="agent_invocations_listing"),
            models.Index(
                fields=["due_at"],
                condition=Q(due_at__isnull=False),
                name="agent_invocations_due",
            ),
            models.Index(
                fields=["service", "-id"], name="agent_invocations_by_service"
            ),
            models.Index(
                fields=["source_session", "due_at"],
                condition=Q(source_session__isnull=False),
                name="agent_invocations_by_source",
            ),
            models.Index(
                fields=["target_session", "due_at"],
                condition=Q(target_session__isnull=False),
                name="agent_invocations_by_target",
            ),
        ]

    def __str__(self) -> str:
        return self.id

    @property
    def cancel_reason(self) -> str | None:
        """Why its end was asked for, as far as somebody said."""
        reason = self.metadata_json.get("cancel_reason")
        return reason if isinstance(reason, str) else None
