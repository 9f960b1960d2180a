"""The kernel's own tables: idempotency receipts and job runs."""

from __future__ import annotations

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from caracal_site.ids import PrimaryIdField


class Receipt(models.Model):
    """The first answer to a request that carried an Idempotency-Key (D7).

    Invariant: one receipt per caller, route and key, written in the transaction of
    the change; kept ``IDEMPOTENCY_RETENTION_HOURS``.
    """

    id = PrimaryIdField()
    caller = models.TextField()
    route = models.TextField()
    key = models.TextField()
    fingerprint = models.TextField()
    status = models.PositiveSmallIntegerField()
    body = models.TextField()
    created_at = models.DateTimeField(db_default=Now())

    class Meta:
        db_table = "idempotency_receipts"
        verbose_name = "idempotency receipt"
        constraints = [
            models.UniqueConstraint(
                fields=["caller", "route", "key"], name="idempotency_receipts_key"
            ),
        ]
        indexes = [models.Index(fields=["created_at"], name="idempotency_receipts_age")]

    def __str__(self) -> str:
        return f"{self.route} {self.key}"


class JobRun(models.Model):
    """When a background job last ran and how it went.

    Invariant: one row per job; ``backlog`` is what the last run left undone, and
    ``last_error`` what went wrong in it. ``completed_at`` is when a run last came to
    its end, whatever it met on the way; ``failure`` what went wrong in the last run
    that failed, at ``failed_at``. Since ``expected_from`` there was somebody to run it.
    ``counts`` are what it counted besides, by name, since the installation began.
    """

    name = models.TextField(primary_key=True)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    completed_at = models.DateTimeField(null=True)
    failed_at = models.DateTimeField(null=True)
    expected_from = models.DateTimeField(db_default=Now())
    runs = models.PositiveBigIntegerField(default=0)
    failures = models.PositiveBigIntegerField(default=0)
    handled = models.PositiveBigIntegerField(default=0)
    backlog = models.PositiveBigIntegerField(default=0)
    last_error = models.TextField(default="", blank=True)
    failure = models.TextField(default="", db_default="", blank=True)
    counts = models.JSONField(default=dict, db_default={})

    class Meta:
        db_table = "job_runs"
        verbose_name = "job"
        ordering = ("name",)
        constraints = [
            models.CheckConstraint(condition=~Q(name=""), name="job_runs_named"),
        ]

    def __str__(self) -> str:
        return self.name
