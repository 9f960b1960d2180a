"""Delegation edges: authority passed from one agent session to another."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from caracal_site.ids import PrimaryIdField
from delegations.querysets import DelegationEdgeQuerySet


class EdgeStatus(models.TextChoices):
    ACTIVE = "active"
    REVOKED = "revoked"
    EXPIRED = "expired"


class DelegationEdge(models.Model):
    """Authority of the source session, narrowed and passed to the target session.

    Invariants: an edge below another (``parent_edge``) is nowhere wider than it and
    expires no later; ``depth`` is its distance from ``root_edge_id`` in that lineage
    and ``max_hops`` how many further links, this one included, may follow;
    ``edge_version`` grows with every change of ``status``. Revocation follows lineage
    (D12). The statements that write an edge lock both its ends and its parent edge, and
    neither is removed before it, so no constraint of the database looks for them again.
    """

    id = PrimaryIdField()
    zone = models.ForeignKey(
        "zones.Zone",
        models.PROTECT,
        related_name="delegations",
        db_constraint=False,
        db_index=False,
    )
    source_session = models.ForeignKey(
        "agents.AgentSession",
        models.PROTECT,
        related_name="outbound_edges",
        db_constraint=False,
        db_index=False,
    )
    target_session = models.ForeignKey(
        "agents.AgentSession",
        models.PROTECT,
        related_name="inbound_edges",
        db_constraint=False,
        db_index=False,
    )
    issuer_application = models.ForeignKey(
        "zones.Application",
        models.PROTECT,
        related_name="issued_edges",
        db_constraint=False,
        db_index=False,
    )
    receiver_application = models.ForeignKey(
        "zones.Application",
        models.PROTECT,
        related_name="received_edges",
        db_constraint=False,
        db_index=False,
    )
    parent_edge = models.ForeignKey(
        "self",
        models.PROTECT,
        null=True,
        related_name="child_edges",
        db_constraint=False,
        db_index=False,
    )
    root_edge_id = models.CharField(max_length=128, db_collation="C")
    depth = models.SmallIntegerField(default=0)
    max_hops = models.SmallIntegerField(default=1)
    resource = models.ForeignKey(
        "zones.Resource",
        models.PROTECT,
        null=True,
        related_name="delegations",
        db_constraint=False,
        db_index=False,
    )
    scopes = ArrayField(models.TextField(), default=list)
    constraints_json = models.JSONField(default=dict)
    status = models.TextField(choices=EdgeStatus.choices, default=EdgeStatus.ACTIVE)
    expires_at = models.DateTimeField()
    edge_version = models.IntegerField(default=0)
    revoked_at = models.DateTimeField(null=True)
    revoked_reason = models.TextField(null=True)
    created_at = models.DateTimeField(db_default=Now())
    updated_at = models.DateTimeField(db_default=Now())

    objects = DelegationEdgeQuerySet.as_manager()

    class Meta:
        db_table = "delegation_edges"
        verbose_name = "delegation"
        ordering = ("-id",)
        constraints = [
            models.CheckConstraint(
                condition=~Q(source_session=F("target_session")),
                name="delegation_edges_not_to_itself",
            ),
            models.CheckConstraint(
                condition=Q(status__in=EdgeStatus.values),
                name="delegation_edges_status_known",
            ),
            models.CheckConstraint(
                condition=Q(parent_edge=None, depth=0)
                | Q(parent_edge__isnull=False, depth__gt=0),
                name="delegation_edges_depth_follows_parent",
            ),
        ]
        indexes = [
            models.Index(
                fields=["target_session", "-id"], name="delegation_edges_inbound"
            ),
            models.Index(
                fields=["source_session", "-id"], name="delegation_edges_outbound"
            ),
            models.Index(
                fields=["parent_edge"],
                condition=Q(parent_edge__isnull=False),
                name="delegation_edges_lineage",
            ),
            models.Index(
                fields=["zone", "-id"],
                condition=Q(status="active"),
                name="delegation_edges_active",
            ),
            models.Index(
                fields=["expires_at"],
                condition=Q(status="active"),
                name="delegation_edges_expiring",
            ),
            models.Index(
                fields=["id"],
                condition=~Q(status="active"),
                name="delegation_edges_ended",
            ),
            models.Index(
                fields=["zone", "issuer_application", "receiver_application"],
                condition=~Q(issuer_application=F("receiver_application")),
                name="delegation_edges_cross_app",
            ),
        ]

    def __str__(self) -> str:
        return self.id


class GraphEpoch(models.Model):
    """A zone's counter of delegation changes; grows in the transaction of each."""

    zone = models.OneToOneField(
        "zones.Zone", models.PROTECT, primary_key=True, related_name="graph_epoch"
    )
    epoch = models.BigIntegerField(default=0)
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "delegation_graph_epochs"

    def __str__(self) -> str:
        return f"{self.zone_id} at {self.epoch}"
