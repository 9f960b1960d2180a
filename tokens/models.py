"""Signing keys of zones, the authority sessions tokens stand for, and the challenges
that people answer before there is a token."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from caracal_site.ids import IdField, PrimaryIdField
from tokens.querysets import (
    SessionQuerySet,
    SigningKeyQuerySet,
    StepUpChallengeQuerySet,
)


class SigningKeyState(models.TextChoices):
    PUBLISHED = "published", "published, does not sign yet"
    SIGNING = "signing"
    RETIRED = "retired", "retired, verifies only"
    WITHDRAWN = "withdrawn", "withdrawn, verifies nothing"


class SigningKey(models.Model):
    """An ES256 key of a zone; its id is the ``kid`` of the tokens it signs.

    Invariants: a zone's versions are unique, and at most one of its keys signs. The
    private key is sealed under ``ZONE_KEK`` with the row's identity as associated data.
    """

    id = PrimaryIdField()
    zone = models.ForeignKey("zones.Zone", models.PROTECT, related_name="signing_keys")
    version = models.PositiveIntegerField()
    state = models.TextField(
        choices=SigningKeyState.choices, default=SigningKeyState.SIGNING
    )
    public_jwk = models.JSONField()
    sealed_private_key = models.BinaryField()
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    signing_at = models.DateTimeField(null=True, editable=False)
    retired_at = models.DateTimeField(null=True, editable=False)
    withdrawn_at = models.DateTimeField(null=True, editable=False)

    objects = SigningKeyQuerySet.as_manager()

    class Meta:
        db_table = "signing_keys"
        ordering = ("zone", "-version")
        constraints = [
            models.UniqueConstraint(
                fields=["zone", "version"], name="signing_keys_zone_version_key"
            ),
            models.UniqueConstraint(
                fields=["zone"],
                condition=Q(state="signing"),
                name="signing_keys_one_signs",
            ),
            models.CheckConstraint(
                condition=Q(state__in=SigningKeyState.values),
                name="signing_keys_state_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.zone_id} v{self.version}"


class SessionType(models.TextChoices):
    USER = "user"
    APPLICATION = "application"


class SessionStatus(models.TextChoices):
    ACTIVE = "active"
    REVOKED = "revoked"
    EXPIRED = "expired"


class Session(models.Model):
    """An authority session: the row behind a token's ``sid``.

    Invariant: a session is usable only while ``active`` and before ``expires_at``,
    and only by the application ``client`` it was issued to.
    """

    id = PrimaryIdField()
    # Each insert pays for every index, and the listing's begins with the zone.
    zone = models.ForeignKey(
        "zones.Zone", models.PROTECT, related_name="sessions", db_index=False
    )
    session_type = models.TextField(choices=SessionType.choices)
    subject_id = models.TextField(null=True)
    client = models.ForeignKey(
        "zones.Application",
        models.PROTECT,
        related_name="sessions",
        db_column="client_id",
    )
    parent = models.ForeignKey(
        "self", models.PROTECT, null=True, related_name="children", db_index=False
    )
    jti = IdField(null=True)
    agent_session_id = IdField(null=True)
    delegation_edge_id = IdField(null=True)
    scope = models.TextField(default="", blank=True)
    status = models.TextField(
        choices=SessionStatus.choices, default=SessionStatus.ACTIVE
    )
    expires_at = models.DateTimeField()
    authenticated_at = models.DateTimeField(db_default=Now())
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    revoked_at = models.DateTimeField(null=True)
    revoked_reason = models.TextField(null=True)

    objects = SessionQuerySet.as_manager()

    class Meta:
        db_table = "sessions"
        verbose_name = "authority session"
        ordering = ("-created_at", "-id")
        constraints = [
            models.CheckConstraint(
                condition=Q(session_type__in=SessionType.values),
                name="sessions_type_known",
            ),
            models.CheckConstraint(
                condition=Q(status__in=SessionStatus.values),
                name="sessions_status_known",
            ),
        ]
        indexes = [
            models.Index(
                "zone", F("created_at").desc(), F("id").desc(), name="sessions_listing"
            ),
            models.Index(
                fields=["zone", "subject_id", "status"], name="sessions_subject"
            ),
            models.Index(
                fields=["zone", "client"],
                condition=Q(status="active"),
                name="sessions_live",
            ),
            models.Index(
                fields=["expires_at"],
                condition=Q(status="active"),
                name="sessions_expiring",
            ),
            models.Index(
                fields=["parent"],
                condition=Q(parent__isnull=False),
                name="sessions_children",
            ),
        ]

    def __str__(self) -> str:
        return self.id


class ChallengeType(models.TextChoices):
    HUMAN_APPROVAL = "human_approval"


class ChallengeState(models.TextChoices):
    PENDING = "pending"
    SATISFIED = "satisfied"
    REJECTED = "rejected"
    CONSUMED = "consumed"
    EXPIRED = "expired"


class StepUpChallenge(models.Model):
    """A token request that waits for a person, or one that a person has answered.

    Invariants: it is answered once, before ``expires_at``; an approval is good for one
    token of the same application, agent session, delegation edge, session, resources
    and scopes (``binding_hash``), with a life of at most ``ttl_seconds``.
    """

    id = PrimaryIdField()
    zone = models.ForeignKey(
        "zones.Zone", models.PROTECT, related_name="challenges", db_index=False
    )
    application = models.ForeignKey(
        "zones.Application", models.PROTECT, related_name="challenges", db_index=False
    )
    session_id = IdField(null=True)
    agent_session_id = IdField(null=True)
    delegation_edge_id = IdField(null=True)
    challenge_type = models.TextField(
        choices=ChallengeType.choices, default=ChallengeType.HUMAN_APPROVAL
    )
    metadata_json = models.JSONField(default=dict)
    ttl_seconds = models.PositiveIntegerField()
    binding_hash = models.BinaryField(max_length=32, editable=False)
    state = models.TextField(
        choices=ChallengeState.choices, default=ChallengeState.PENDING
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField()
    satisfied_at = models.DateTimeField(null=True)
    approver_subject_id = models.TextField(null=True)
    rejected_at = models.DateTimeField(null=True)
    rejected_by = models.TextField(null=True)
    reason = models.TextField(null=True)
    consumed_at = models.DateTimeField(null=True)
    consumed_session_id = IdField(null=True)
    version = models.BigIntegerField(db_default=1, editable=False)

    objects = StepUpChallengeQuerySet.as_manager()

    class Meta:
        db_table = "step_up_challenges"
        verbose_name = "request for approval"
        verbose_name_plural = "requests for approval"
        ordering = ("-created_at", "-id")
        constraints = [
            models.CheckConstraint(
                condition=Q(challenge_type__in=ChallengeType.values),
                name="step_up_challenges_type_known",
            ),
            models.CheckConstraint(
                condition=Q(state__in=ChallengeState.values),
                name="step_up_challenges_state_known",
            ),
            models.CheckConstraint(
                condition=Q(satisfied_at=None, approver_subject_id=None)
                | Q(satisfied_at__isnull=False, approver_subject_id__isnull=False),
                name="step_up_challenges_approver_named",
            ),
            models.CheckConstraint(
                condition=~Q(state__in=["satisfied", "consumed"])
                | Q(satisfied_at__isnull=False),
                name="step_up_challenges_answered_first",
            ),
            models.CheckConstraint(
                condition=Q(consumed_at=None) | Q(state="consumed"),
                name="step_up_challenges_consumed_once",
            ),
        ]
        indexes = [
            models.Index(
                "zone",
                F("created_at").desc(),
                F("id").desc(),
                name="step_up_challenges_listing",
            ),
            models.Index(
                fields=["application", "binding_hash"],
                condition=Q(state__in=["pending", "satisfied"]),
                name="step_up_challenges_open",
            ),
            models.Index(
                fields=["expires_at"],
                condition=Q(state__in=["pending", "satisfied"]),
                name="step_up_challenges_expiring",
            ),
        ]

    def __str__(self) -> str:
        return self.id

    @property
    def scopes(self) -> list[str]:
        return list(self.metadata_json.get("requested_scopes", ()))

    @property
    def resources(self) -> list[str]:
        return list(self.metadata_json.get("resources", ()))
