"""Agent sessions as a tree, their services and invocations, and the room for them."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from agents.querysets import AgentSessionQuerySet
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
    plain integers: each CHECK is read and compiled anew by every insert. Rows of zones,
    applications and authority sessions are never deleted, so those references carry
    no database constraint: checking them would lock the same few rows in every spawn.
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

    Invariant: an endpoint is registered once per application.
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
    metadata_json = models.JSONField(default=dict)
    last_heartbeat_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "agent_services"
        ordering = ("-id",)
        constraints = [
            models.UniqueConstraint(
                fields=["zone", "application", "endpoint_url"],
                name="agent_services_endpoint_key",
            ),
        ]
        indexes = [models.Index(fields=["zone", "-id"], name="agent_services_listing")]

    def __str__(self) -> str:
        return self.endpoint_url


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
    """A call of a service's method, from one agent session to another."""

    id = PrimaryIdField()
    zone = models.ForeignKey("zones.Zone", models.PROTECT, related_name="invocations")
    service = models.ForeignKey(
        AgentService, models.PROTECT, related_name="invocations"
    )
    source_session = models.ForeignKey(
        AgentSession, models.PROTECT, null=True, related_name="outgoing_invocations"
    )
    target_session = models.ForeignKey(
        AgentSession, models.PROTECT, null=True, related_name="incoming_invocations"
    )
    idempotency_key = models.TextField()
    method = models.TextField()
    params_json = models.JSONField(default=dict)
    metadata_json = models.JSONField(default=dict)
    status = models.TextField(
        choices=InvocationStatus.choices, default=InvocationStatus.PENDING
    )
    attempts = models.IntegerField(default=0)
    max_attempts = models.IntegerField(default=3)
    timeout_ms = models.IntegerField(default=30_000)
    retry_policy_json = models.JSONField(default=dict)
    error_json = models.JSONField(null=True)
    deadline_at = models.DateTimeField(null=True)
    cancel_requested_at = models.DateTimeField(null=True)
    started_at = models.DateTimeField(null=True)
    completed_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "agent_invocations"
        ordering = ("-id",)
        constraints = [
            models.UniqueConstraint(
                fields=["zone", "service", "idempotency_key"],
                name="agent_invocations_idempotency_key",
            ),
            models.CheckConstraint(
                condition=Q(status__in=InvocationStatus.values),
                name="agent_invocations_status_known",
            ),
        ]
        indexes = [
            models.Index(fields=["zone", "-id"], name="agent_invocations_listing"),
            models.Index(
                F("zone"),
                F("id").desc(),
                condition=Q(status__in=["pending", "running", "cancel_requested"]),
                name="agent_invocations_open",
            ),
        ]

    def __str__(self) -> str:
        return self.id
