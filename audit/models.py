"""Evidence: what was done, what was decided, and the news of it on its way out."""

from __future__ import annotations

from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import F, Func, Q, Value
from django.db.models.fields.json import KeyTextTransform, KeyTransform
from django.db.models.functions import Now

from audit.querysets import REASON_WORDS, AdminAuditQuerySet, OutboxQuerySet
from caracal_site.ids import IdField, PrimaryIdField


def next_position(sequence: str) -> Func:
    """The database's own insertion order: a later cause always gets a larger value."""
    return Func(
        Value(sequence), function="nextval", output_field=models.BigIntegerField()
    )


def newest_first(name: str, what: Any, **more: Any) -> models.Index:
    """An index of what a zone's rows can be filtered by, in the order of their list."""
    return models.Index(
        F("zone_id"),
        what,
        F("occurred_at").desc(),
        F("id").desc(),
        name=name,
        **more,
    )


# What decisions can be filtered by in their metadata, by the name of its index.
METADATA_INDEXES = {
    "application": "application_id",
    "agent": "agent_session_id",
    "session": "session_id",
}


class AdminAuditEvent(models.Model):
    """Who changed or tried what, written in the transaction of the change.

    Append-only: a database trigger refuses everything but filling the four chain
    columns once. A sealing job gives rows their place in the chain of their zone, or
    of the platform when ``zone_id`` is null (contract: audit-and-events.md 3.3).
    """

    id = PrimaryIdField()
    position = models.BigIntegerField(
        db_default=next_position("admin_audit_position"), editable=False
    )
    request_id = models.TextField()
    actor_id = models.TextField(null=True)
    actor_name = models.TextField(null=True)
    actor_scope = models.TextField(null=True)
    action = models.TextField()
    method = models.TextField()
    path = models.TextField()
    zone_id = IdField(null=True)
    entity_type = models.TextField(null=True)
    entity_id = models.TextField(null=True)
    status_code = models.IntegerField()
    payload_json = models.JSONField(null=True)
    occurred_at = models.DateTimeField(db_default=Now())
    content_sha256 = models.TextField(null=True)
    prev_content_sha256 = models.TextField(null=True)
    chain_hmac = models.TextField(null=True)
    chain_seq = models.BigIntegerField(null=True)

    objects = AdminAuditQuerySet.as_manager()

    class Meta:
        db_table = "admin_audit_events"
        verbose_name = "audit entry"
        verbose_name_plural = "audit entries"
        ordering = ("-occurred_at", "-id")
        constraints = [
            models.UniqueConstraint(
                fields=["zone_id", "chain_seq"],
                nulls_distinct=False,
                condition=Q(chain_seq__isnull=False),
                name="admin_audit_chain_key",
            ),
        ]
        indexes = [
            models.Index(
                F("zone_id"),
                F("occurred_at").desc(),
                F("id").desc(),
                name="admin_audit_listing",
            ),
            models.Index(
                fields=["zone_id", "position"],
                condition=Q(chain_seq=None),
                name="admin_audit_unsealed",
            ),
            models.Index(fields=["request_id"], name="admin_audit_request"),
            models.Index(
                fields=["entity_id", "position"],
                condition=Q(entity_id__isnull=False),
                name="admin_audit_entity",
            ),
            newest_first("admin_audit_actor", F("actor_id")),
            newest_first("admin_audit_type", F("entity_type")),
            models.Index(
                fields=["zone_id", "id"],
                condition=Q(status_code__gte=400),
                name="admin_audit_refused",
            ),
            GinIndex(
                REASON_WORDS,
                condition=Q(payload_json__has_key="reason"),
                name="admin_audit_reason",
            ),
            # Where almost everything is a POST, the list itself is its index.
            newest_first(
                "admin_audit_method",
                F("method"),
                condition=Q(method__in=["PUT", "PATCH", "DELETE"]),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.action} by {self.actor_name}"


class AuditEvent(models.Model):
    """A decision about authority: the ledger of what was allowed or denied, and why.

    Append-only like the admin audit trail (contract: audit-and-events.md 4.1).
    """

    id = PrimaryIdField()
    zone_id = IdField()
    event_type = models.TextField()
    request_id = models.TextField(null=True)
    decision = models.TextField(null=True)
    policy_set_id = IdField(null=True)
    policy_set_version_id = IdField(null=True)
    manifest_sha = models.TextField(null=True)
    evaluation_status = models.TextField(null=True)
    determining_policies_json = models.JSONField(null=True)
    diagnostics_json = models.JSONField(null=True)
    metadata_json = models.JSONField(null=True)
    occurred_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "audit_events"
        verbose_name = "decision"
        ordering = ("-occurred_at", "-id")
        indexes = [
            models.Index(
                F("zone_id"),
                F("occurred_at").desc(),
                F("id").desc(),
                name="audit_events_listing",
            ),
            models.Index(
                fields=["zone_id", "request_id", "occurred_at"],
                name="audit_events_request",
            ),
            newest_first("audit_events_decision", F("decision")),
            newest_first("audit_events_type", F("event_type")),
            *(
                newest_first(
                    f"audit_events_{name}",
                    KeyTextTransform(key, "metadata_json"),
                )
                for name, key in METADATA_INDEXES.items()
            ),
            GinIndex(
                KeyTransform("agent_labels", "metadata_json"),
                name="audit_events_labels",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event_type} {self.decision}"


class AuditChain(models.Model):
    """The end of a zone's chain of decisions.

    ``peaks`` are the roots of the whole subtrees its Merkle tree is made of, so that it
    grows without being read. ``head_json`` is the newest signed head. Rows that
    happened before ``removed_before`` may be gone with their retention; ``removed_mac``
    says that the platform removed them. The links and the kept nodes of the tree are
    in ``audit_links`` and ``audit_tree_nodes`` (``sql/ledger_chain.sql``).
    ``verification_json`` is what the last verification found.
    """

    zone_id = IdField(primary_key=True)
    seq = models.BigIntegerField()
    content = models.BinaryField()
    peaks = models.BinaryField()
    sealed_at = models.DateTimeField(db_default=Now())
    head_json = models.JSONField(null=True)
    removed_before = models.DateTimeField(null=True)
    removed_mac = models.BinaryField(null=True)
    verified_at = models.DateTimeField(null=True)
    verification_json = models.JSONField(null=True)

    class Meta:
        db_table = "audit_chains"
        verbose_name = "ledger"

    def __str__(self) -> str:
        return f"{self.zone_id} at {self.seq}"


class AuditRetention(models.Model):
    """How long decisions are kept in a zone, or by default (``PLATFORM``).

    A zone without a row, or with no days of its own, has the platform's. Under a
    ``legal_hold`` nothing is removed. A shorter time only counts from
    ``shortens_at`` on; until then it is ``former_days``.
    """

    scope = IdField(primary_key=True)
    retention_days = models.IntegerField(null=True)
    former_days = models.IntegerField(null=True)
    shortens_at = models.DateTimeField(null=True)
    legal_hold = models.BooleanField(default=False, db_default=False)
    updated_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "audit_retention"
        verbose_name = "retention of decisions"
        verbose_name_plural = "retentions of decisions"
        constraints = [
            models.CheckConstraint(
                condition=Q(retention_days__gte=1), name="audit_retention_days_positive"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.scope}: {self.retention_days} days"


class AuditQuarantine(models.Model):
    """What another producer sent as a decision and the ledger did not take, and why.

    ``source_id`` is its place in the stream, so that what is read twice is here once.
    It is open until somebody has settled it: taken in after all, or dismissed.
    """

    id = PrimaryIdField()
    source_id = models.TextField(unique=True)
    reason = models.TextField()
    detail = models.TextField(default="")
    event_id = models.TextField(null=True)
    zone_id = models.TextField(null=True)
    data = models.TextField(default="")
    signature = models.TextField(default="")
    received_at = models.DateTimeField(db_default=Now())
    settled_at = models.DateTimeField(null=True)
    is_taken = models.BooleanField(default=False, db_default=False)

    class Meta:
        db_table = "audit_quarantine"
        verbose_name = "quarantined decision"
        ordering = ("-id",)
        indexes = [
            models.Index(
                "id", condition=Q(settled_at=None), name="audit_quarantine_open"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.reason} {self.source_id}"


class OutboxEvent(models.Model):
    """News waiting to be, or already, published to its Redis stream.

    Written in the transaction of the change it announces. Invariants: published in
    ``position`` order within a zone; ``zone_seq`` is dense per zone, given once, kept
    through every retry (see ``EventHead``) and written here when the row is published;
    an outage only delays, never parks (D25). A parked row is one the publisher cannot
    encode; it waits for a person.
    """

    id = PrimaryIdField()
    position = models.BigIntegerField(
        db_default=next_position("outbox_position"), editable=False
    )
    producer = models.TextField()
    zone_id = IdField()
    topic = models.TextField()
    dedupe_key = models.TextField(null=True)
    payload_json = models.JSONField()
    request_id = models.TextField(default="")
    zone_seq = models.BigIntegerField(null=True)
    attempts = models.IntegerField(default=0, db_default=0)
    created_at = models.DateTimeField(db_default=Now())
    published_at = models.DateTimeField(null=True)
    parked_at = models.DateTimeField(null=True)
    last_error = models.TextField(null=True)

    objects = OutboxQuerySet.as_manager()

    class Meta:
        db_table = "event_outbox"
        verbose_name = "event"
        ordering = ("-position",)
        constraints = [
            models.UniqueConstraint(
                fields=["zone_id", "zone_seq"],
                condition=Q(zone_seq__isnull=False),
                name="event_outbox_zone_seq_key",
            ),
            models.CheckConstraint(
                condition=Q(producer__in=["api", "coordinator"]),
                name="event_outbox_producer_known",
            ),
        ]
        indexes = [
            models.Index(
                fields=["zone_id", "position"],
                condition=Q(published_at=None, parked_at=None),
                name="event_outbox_pending",
            ),
            models.Index(
                fields=["parked_at"],
                condition=Q(parked_at__isnull=False),
                name="event_outbox_parked",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.topic} {self.dedupe_key or self.id}"


class EventHead(models.Model):
    """The last event sequence number given in a zone, and to what.

    ``sending`` holds the positions of the rows that are on their way, in order: the
    last of them has ``last_seq``, the one before it the number before. It is empty once
    all have arrived. Before ``retry_at`` the zone is left alone.
    """

    zone_id = IdField(primary_key=True)
    last_seq = models.BigIntegerField(default=0)
    sending = ArrayField(models.BigIntegerField(), default=list, db_default=[])
    retry_at = models.DateTimeField(null=True)

    class Meta:
        db_table = "event_heads"

    def __str__(self) -> str:
        return f"{self.zone_id} at {self.last_seq}"
