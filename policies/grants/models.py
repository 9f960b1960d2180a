"""What users granted to applications, and the accounts they connected at providers."""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from caracal_site.ids import PrimaryIdField
from policies.grants.querysets import (
    GrantQuerySet,
    OAuthStateQuerySet,
    ProviderGrantQuerySet,
)
from zones.models import Application, Provider, Resource, Zone


class GrantStatus(models.TextChoices):
    ACTIVE = "active"
    REVOKED = "revoked"
    EXPIRED = "expired"


class Grant(models.Model):
    """The record that a user lets an application use scopes of a resource.

    It is a record: decisions are made by policies alone, and read none of it. Revoking
    it ends what the application does for the user.

    Invariants: a user has one active grant at most for an application and a resource;
    application and resource belong to the zone; what has ended stays so, and an active
    grant's application and resource are live.
    """

    id = PrimaryIdField()
    zone = models.ForeignKey(
        Zone, models.PROTECT, related_name="grants", db_index=False
    )
    application = models.ForeignKey(Application, models.PROTECT, related_name="grants")
    user_id = models.TextField()
    resource = models.ForeignKey(Resource, models.PROTECT, related_name="grants")
    scopes = ArrayField(models.TextField())
    status = models.TextField(
        choices=GrantStatus.choices, default=GrantStatus.ACTIVE, db_default="active"
    )
    expires_at = models.DateTimeField(null=True, blank=True)
    ended_at = models.DateTimeField(null=True, editable=False)
    ended_reason = models.TextField(null=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)
    version = models.BigIntegerField(db_default=1, editable=False)

    objects = GrantQuerySet.as_manager()

    class Meta:
        db_table = "delegated_grants"
        ordering = ("-created_at", "-id")
        constraints = [
            models.UniqueConstraint(
                fields=["zone", "application", "user_id", "resource"],
                condition=Q(status="active"),
                name="delegated_grants_active_key",
            ),
            models.CheckConstraint(
                condition=Q(status__in=GrantStatus.values),
                name="delegated_grants_status_known",
            ),
            models.CheckConstraint(
                condition=Q(status="active", ended_at=None)
                | (~Q(status="active") & Q(ended_at__isnull=False)),
                name="delegated_grants_ended_has_time",
            ),
        ]
        indexes = [
            models.Index(
                "zone",
                F("created_at").desc(),
                F("id").desc(),
                name="delegated_grants_listing",
            ),
            models.Index(
                fields=["zone", "user_id", "resource", "status"],
                name="delegated_grants_user",
            ),
            models.Index(
                fields=["expires_at"],
                condition=Q(status="active", expires_at__isnull=False),
                name="delegated_grants_expiring",
            ),
        ]

    def __str__(self) -> str:
        return self.user_id


class ProviderGrant(models.Model):
    """The tokens of a user's account at a provider, for one resource.

    Invariants: a user has one active grant at most for a resource and a provider; its
    tokens are sealed for this row, and erased when it ends; ``is_renewable`` says that
    there is a refresh token among them, and ``refresh_token_version`` grows whenever
    they are replaced, so that a renewal that took long replaces nothing newer.
    ``refreshing_until`` is the lease of who renews. ``upstream_scopes`` and
    ``upstream_account`` are what the provider said it granted, and to whom.
    """

    id = PrimaryIdField()
    zone = models.ForeignKey(
        Zone, models.PROTECT, related_name="provider_grants", db_index=False
    )
    user_id = models.TextField()
    resource = models.ForeignKey(
        Resource, models.PROTECT, related_name="provider_grants"
    )
    provider = models.ForeignKey(
        Provider, models.PROTECT, related_name="provider_grants"
    )
    scopes = ArrayField(models.TextField(), default=list)
    status = models.TextField(
        choices=GrantStatus.choices, default=GrantStatus.ACTIVE, db_default="active"
    )
    sealed_tokens = models.BinaryField(null=True, editable=False)
    is_renewable = models.BooleanField(default=False, db_default=False)
    upstream_scopes = ArrayField(models.TextField(), default=list, db_default=[])
    upstream_account = models.TextField(default="", db_default="", blank=True)
    expires_at = models.DateTimeField(null=True)
    refreshed_at = models.DateTimeField(null=True)
    refresh_token_version = models.IntegerField(default=0, db_default=0)
    refreshing_until = models.DateTimeField(null=True, editable=False)
    ended_at = models.DateTimeField(null=True, editable=False)
    ended_reason = models.TextField(null=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)
    version = models.BigIntegerField(db_default=1, editable=False)

    objects = ProviderGrantQuerySet.as_manager()

    class Meta:
        db_table = "provider_grants"
        ordering = ("-created_at", "-id")
        verbose_name = "connected account"
        constraints = [
            models.UniqueConstraint(
                fields=["zone", "user_id", "resource", "provider"],
                condition=Q(status="active"),
                name="provider_grants_active_key",
            ),
            models.CheckConstraint(
                condition=Q(status__in=GrantStatus.values),
                name="provider_grants_status_known",
            ),
            models.CheckConstraint(
                condition=Q(status="active", ended_at=None, sealed_tokens__isnull=False)
                | (
                    ~Q(status="active")
                    & Q(ended_at__isnull=False, sealed_tokens=None, is_renewable=False)
                ),
                name="provider_grants_ended_is_empty",
            ),
        ]
        indexes = [
            models.Index(
                "zone",
                F("created_at").desc(),
                F("id").desc(),
                name="provider_grants_listing",
            ),
            models.Index(
                fields=["expires_at"],
                condition=Q(status="active", expires_at__isnull=False),
                name="provider_grants_expiring",
            ),
        ]

    def __str__(self) -> str:
        return self.user_id


class OAuthState(models.Model):
    """An authorization that was begun and may be finished once, until ``expires_at``.

    Invariants: the state is kept as a keyed digest and the code verifier sealed; the
    row goes with the first answer of the provider that its own browser brings.
    ``claimed_at`` is when a browser took it on. Its id becomes that of the grant.
    """

    id = PrimaryIdField()
    digest = models.BinaryField(max_length=32)
    zone = models.ForeignKey(
        Zone, models.PROTECT, related_name="oauth_states", db_index=False
    )
    user_id = models.TextField()
    resource = models.ForeignKey(Resource, models.PROTECT, related_name="+")
    provider = models.ForeignKey(Provider, models.PROTECT, related_name="+")
    scopes = ArrayField(models.TextField())
    sealed_verifier = models.BinaryField()
    started_by = models.JSONField()
    claimed_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(db_default=Now())
    expires_at = models.DateTimeField()

    objects = OAuthStateQuerySet.as_manager()

    class Meta:
        db_table = "provider_oauth_states"
        verbose_name = "OAuth state"
        constraints = [
            models.UniqueConstraint(
                fields=["digest"], name="provider_oauth_states_digest_key"
            ),
        ]
        indexes = [
            models.Index(fields=["expires_at"], name="provider_oauth_states_over"),
        ]

    def __str__(self) -> str:
        return self.id
