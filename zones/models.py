"""Zones and what lives in them: applications, providers, resources, admin tokens.

What lives in a zone has an index that begins with it; the zone's foreign key has none
of its own, which planners would take in place of the better one.
"""

from __future__ import annotations

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower, Now

from caracal_site.ids import PrimaryIdField
from zones.querysets import (
    AdminTokenQuerySet,
    ApplicationQuerySet,
    ProviderQuerySet,
    ResourceQuerySet,
    ZoneQuerySet,
)


class Zone(models.Model):
    """A tenant boundary: nothing in one zone can refer to anything in another.

    Invariant: a slug is unique among the zones that are not archived.
    ``owner_account_id`` is the account of a web console that made the zone; it is set
    once and never answered.
    """

    id = PrimaryIdField()
    name = models.TextField()
    slug = models.TextField()
    dcr_enabled = models.BooleanField(
        "self-registration", default=False, db_default=False
    )
    operator_coauthor_badge = models.BooleanField(default=True, db_default=True)
    operator_governed = models.BooleanField(default=False, db_default=False)
    owner_account_id = models.TextField(null=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)
    version = models.BigIntegerField(db_default=1, editable=False)
    archived_at = models.DateTimeField(null=True, editable=False)

    objects = ZoneQuerySet.as_manager()

    class Meta:
        db_table = "zones"
        ordering = ("-created_at", "-id")
        constraints = [
            models.UniqueConstraint(
                fields=["slug"],
                condition=Q(archived_at=None),
                name="zones_slug_live_key",
            ),
        ]
        indexes = [
            models.Index(F("created_at").desc(), F("id").desc(), name="zones_listing"),
            models.Index(
                F("owner_account_id"),
                F("created_at").desc(),
                F("id").desc(),
                condition=Q(owner_account_id__isnull=False),
                name="zones_of_account",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class RegistrationMethod(models.TextChoices):
    MANAGED = "managed"
    DCR = "dcr", "self-registered"


class Application(models.Model):
    """A client identity with a secret.

    Invariants: the names of live managed applications are unique in a zone without
    regard to case; a self-registered application expires. The secret is stored as a
    keyed digest; after a rotation the previous one stays good until
    ``previous_secret_expires_at``.
    """

    id = PrimaryIdField()
    zone = models.ForeignKey(
        Zone, models.PROTECT, related_name="applications", db_index=False
    )
    name = models.TextField()
    registration_method = models.TextField(
        choices=RegistrationMethod.choices, default=RegistrationMethod.MANAGED
    )
    traits = ArrayField(models.TextField(), default=list, blank=True)
    secret_digest = models.BinaryField(max_length=32, editable=False)
    previous_secret_digest = models.BinaryField(
        max_length=32, null=True, editable=False
    )
    previous_secret_expires_at = models.DateTimeField(null=True, editable=False)
    secret_rotated_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)
    version = models.BigIntegerField(db_default=1, editable=False)
    archived_at = models.DateTimeField(null=True, editable=False)

    objects = ApplicationQuerySet.as_manager()

    class Meta:
        db_table = "applications"
        ordering = ("-created_at", "-id")
        constraints = [
            models.UniqueConstraint(
                "zone",
                Lower("name"),
                condition=Q(archived_at=None, registration_method="managed"),
                name="applications_name_live_key",
            ),
            models.CheckConstraint(
                condition=Q(registration_method="managed")
                | Q(expires_at__isnull=False),
                name="applications_dcr_expires",
            ),
            models.CheckConstraint(
                condition=Q(registration_method__in=RegistrationMethod.values),
                name="applications_registration_method_known",
            ),
        ]
        indexes = [
            models.Index(
                "zone",
                F("created_at").desc(),
                F("id").desc(),
                name="applications_listing",
            ),
            models.Index(
                fields=["expires_at"],
                condition=Q(archived_at=None, expires_at__isnull=False),
                name="applications_expiring",
            ),
            models.Index(
                fields=["zone", "expires_at"],
                condition=Q(archived_at=None, registration_method="dcr"),
                name="applications_self_registered",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def is_managed(self) -> bool:
        """Whether an operator made it; else it registered itself."""
        return self.registration_method == RegistrationMethod.MANAGED


class ProviderKind(models.TextChoices):
    NONE = "none", "no credential"
    CARACAL_MANDATE = "caracal_mandate", "Caracal mandate"
    OAUTH2_AUTHORIZATION_CODE = (
        "oauth2_authorization_code",
        "OAuth 2 authorization code",
    )
    OAUTH2_CLIENT_CREDENTIALS = (
        "oauth2_client_credentials",
        "OAuth 2 client credentials",
    )
    API_KEY = "api_key", "API key"
    BEARER_TOKEN = "bearer_token", "bearer token"


class Provider(models.Model):
    """Where the credential for an upstream comes from.

    Invariants: identifiers are unique among a zone's live providers; secrets are
    sealed for this row, and their names listed exactly when there are any.
    """

    id = PrimaryIdField()
    zone = models.ForeignKey(
        Zone, models.PROTECT, related_name="providers", db_index=False
    )
    name = models.TextField()
    identifier = models.TextField()
    kind = models.TextField(choices=ProviderKind.choices, db_column="provider_kind")
    config_json = models.JSONField(default=dict, blank=True)
    sealed_secrets = models.BinaryField(null=True, editable=False)
    secret_config_keys = ArrayField(
        models.TextField(), default=list, db_default=[], editable=False
    )
    secrets_changed_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)
    version = models.BigIntegerField(db_default=1, editable=False)
    archived_at = models.DateTimeField(null=True, editable=False)

    objects = ProviderQuerySet.as_manager()

    class Meta:
        db_table = "providers"
        ordering = ("-created_at", "-id")
        constraints = [
            models.UniqueConstraint(
                fields=["zone", "identifier"],
                condition=Q(archived_at=None),
                name="providers_identifier_live_key",
            ),
            models.CheckConstraint(
                condition=Q(kind__in=ProviderKind.values), name="providers_kind_known"
            ),
            models.CheckConstraint(
                condition=Q(sealed_secrets=None, secret_config_keys=[])
                | (Q(sealed_secrets__isnull=False) & ~Q(secret_config_keys=[])),
                name="providers_secrets_named",
            ),
        ]
        indexes = [
            models.Index(
                "zone", F("created_at").desc(), F("id").desc(), name="providers_listing"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class OperationEnforcement(models.TextChoices):
    ENFORCED = "enforced"
    TRANSPORT_UNIFORM = "transport_uniform"


class Resource(models.Model):
    """Something agents are given authority over, known by an absolute URI.

    Invariant: identifiers are unique among a zone's live resources.
    """

    id = PrimaryIdField()
    zone = models.ForeignKey(
        Zone, models.PROTECT, related_name="resources", db_index=False
    )
    name = models.TextField()
    identifier = models.TextField()
    upstream_url = models.TextField(null=True, blank=True)
    credential_provider = models.ForeignKey(
        Provider, models.PROTECT, related_name="resources"
    )
    scopes = ArrayField(models.TextField(), default=list)
    operations = models.JSONField(default=list, blank=True)
    operation_enforcement = models.TextField(
        choices=OperationEnforcement.choices, default=OperationEnforcement.ENFORCED
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)
    version = models.BigIntegerField(db_default=1, editable=False)
    archived_at = models.DateTimeField(null=True, editable=False)

    objects = ResourceQuerySet.as_manager()

    class Meta:
        db_table = "resources"
        ordering = ("-created_at", "-id")
        constraints = [
            models.UniqueConstraint(
                fields=["zone", "identifier"],
                condition=Q(archived_at=None),
                name="resources_identifier_live_key",
            ),
            models.CheckConstraint(
                condition=Q(operation_enforcement__in=OperationEnforcement.values),
                name="resources_operation_enforcement_known",
            ),
        ]
        indexes = [
            models.Index(
                "zone", F("created_at").desc(), F("id").desc(), name="resources_listing"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class GatewayBinding(models.Model):
    """Which application fronts a resource, and so may delegate authority over it.

    Invariant: a resource identifier has at most one binding in a zone.
    """

    zone = models.ForeignKey(
        Zone, models.PROTECT, related_name="gateway_bindings", db_index=False
    )
    resource_identifier = models.TextField()
    application = models.ForeignKey(
        Application, models.PROTECT, related_name="gateway_bindings"
    )
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "gateway_resource_bindings"
        constraints = [
            models.UniqueConstraint(
                fields=["zone", "resource_identifier"],
                name="gateway_bindings_resource_key",
            ),
        ]

    def __str__(self) -> str:
        return self.resource_identifier


class GatewayBindingRevision(models.Model):
    """One row a zone whose ``version`` grows with every change of its bindings."""

    zone = models.OneToOneField(
        Zone, models.PROTECT, primary_key=True, related_name="gateway_binding_revision"
    )
    version = models.BigIntegerField(default=0)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "gateway_binding_revisions"

    def __str__(self) -> str:
        return f"{self.zone_id} at {self.version}"


class ZoneUsage(models.Model):
    """How much of what is limited a zone has, so that a limit needs no counting.

    Invariant: ``resources`` is the number of the zone's live resources. A zone without
    a row has had none.
    """

    zone = models.OneToOneField(
        Zone, models.PROTECT, primary_key=True, related_name="usage"
    )
    resources = models.IntegerField(default=0)

    class Meta:
        db_table = "zone_usage"
        verbose_name = "usage of a zone"
        verbose_name_plural = "usages of zones"
        constraints = [
            models.CheckConstraint(
                condition=Q(resources__gte=0), name="zone_usage_resources_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.zone_id}: {self.resources} resources"


class TokenScope(models.TextChoices):
    GLOBAL = "global"
    ZONE = "zone"


class TokenCapability(models.TextChoices):
    READ = "read"
    WRITE = "write"


class AdminToken(models.Model):
    """A bearer credential of the Management API, stored as a keyed digest.

    Invariants: a token is global exactly when it names no zone; a credential is that
    of one live token at most; what is revoked stays so.
    """

    id = PrimaryIdField()
    name = models.TextField()
    scope = models.TextField(choices=TokenScope.choices)
    capability = models.TextField(
        choices=TokenCapability.choices, default=TokenCapability.WRITE
    )
    zone = models.ForeignKey(
        Zone, models.PROTECT, null=True, blank=True, related_name="admin_tokens"
    )
    digest = models.BinaryField(max_length=32, editable=False)
    created_by = models.TextField(editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)

    objects = AdminTokenQuerySet.as_manager()

    class Meta:
        db_table = "admin_tokens"
        ordering = ("-created_at", "-id")
        constraints = [
            models.UniqueConstraint(
                fields=["digest"],
                condition=Q(revoked_at=None),
                name="admin_tokens_digest_live_key",
            ),
            models.CheckConstraint(
                condition=Q(scope="global", zone=None)
                | Q(scope="zone", zone__isnull=False),
                name="admin_tokens_zone_matches_scope",
            ),
            models.CheckConstraint(
                condition=Q(capability__in=TokenCapability.values),
                name="admin_tokens_capability_known",
            ),
        ]
        indexes = [
            models.Index(
                F("created_at").desc(), F("id").desc(), name="admin_tokens_listing"
            ),
        ]

    def __str__(self) -> str:
        return self.name
