"""Policies, the sets they are bundled in, what is in force, and who has loaded it."""

from __future__ import annotations

from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from caracal_site.ids import IdField, PrimaryIdField
from policies.grants import models as grants
from policies.querysets import (
    EvaluatorQuerySet,
    PolicyQuerySet,
    PolicySetQuerySet,
    PolicySetVersionQuerySet,
    PolicyVersionQuerySet,
)
from zones.models import Zone

# Django looks for the models of an app here.
Grant, ProviderGrant = grants.Grant, grants.ProviderGrant
OAuthState = grants.OAuthState


class Policy(models.Model):
    """A named data document that a zone's decisions can rest on.

    Invariant: a name is unique among the zone's policies that are not archived. What
    the document says is in its versions.
    """

    id = PrimaryIdField()
    zone = models.ForeignKey(Zone, models.PROTECT, related_name="policies")
    name = models.TextField()
    description = models.TextField(null=True, blank=True)
    owner_type = models.TextField(default="customer")
    created_by = models.TextField(editable=False)
    co_authored_by_operator = models.BooleanField(default=False, db_default=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)
    archived_at = models.DateTimeField(null=True, editable=False)
    version = models.BigIntegerField(db_default=1, editable=False)

    objects = PolicyQuerySet.as_manager()

    class Meta:
        db_table = "policies"
        ordering = ("-created_at", "-id")
        verbose_name_plural = "policies"
        constraints = [
            models.UniqueConstraint(
                fields=["zone", "name"],
                condition=Q(archived_at=None),
                name="policies_name_live_key",
            ),
        ]
        indexes = [
            models.Index(
                "zone", F("created_at").desc(), F("id").desc(), name="policies_listing"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class PolicyVersion(models.Model):
    """The source of a policy as it was at one time.

    Invariants: versions of a policy are numbered from 1 without gaps; a version is
    never changed or deleted, which a database trigger sees to; ``content_sha256`` is
    the digest of the source's UTF-8 bytes as they were received.
    """

    id = PrimaryIdField()
    policy = models.ForeignKey(Policy, models.PROTECT, related_name="versions")
    version = models.IntegerField()
    content = models.TextField()
    content_sha256 = models.TextField(editable=False)
    schema_version = models.TextField()
    created_by = models.TextField(editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = PolicyVersionQuerySet.as_manager()

    class Meta:
        db_table = "policy_versions"
        ordering = ("-version",)
        constraints = [
            models.UniqueConstraint(
                fields=["policy", "version"], name="policy_versions_number_key"
            ),
        ]

    def __str__(self) -> str:
        return f"version {self.version}"


class PolicySet(models.Model):
    """A named bundle of policies that can be put in force in a zone as a whole.

    Invariants: a name is unique among the zone's sets that are not archived; a set
    that is in force is not archived.
    """

    id = PrimaryIdField()
    zone = models.ForeignKey(Zone, models.PROTECT, related_name="policy_sets")
    name = models.TextField()
    description = models.TextField(null=True, blank=True)
    created_by = models.TextField(editable=False)
    co_authored_by_operator = models.BooleanField(default=False, db_default=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(db_default=Now(), editable=False)
    archived_at = models.DateTimeField(null=True, editable=False)
    version = models.BigIntegerField(db_default=1, editable=False)

    objects = PolicySetQuerySet.as_manager()

    class Meta:
        db_table = "policy_sets"
        ordering = ("-created_at", "-id")
        constraints = [
            models.UniqueConstraint(
                fields=["zone", "name"],
                condition=Q(archived_at=None),
                name="policy_sets_name_live_key",
            ),
            # What activations refer to, so that a zone activates only its own sets.
            models.UniqueConstraint(
                fields=["zone", "id"], name="policy_sets_in_zone_key"
            ),
        ]
        indexes = [
            models.Index(
                "zone",
                F("created_at").desc(),
                F("id").desc(),
                name="policy_sets_listing",
            ),
        ]

    def __str__(self) -> str:
        return self.name


class PolicySetVersion(models.Model):
    """Which policy versions a set consists of, at one time and in their order.

    Invariants: like policy versions these are numbered without gaps and never changed
    or deleted, nor are their members; ``manifest_sha256`` is the digest of the compact
    JSON of the manifest. ``data`` is what the documents say together, which decisions
    are made from.
    """

    id = PrimaryIdField()
    policy_set = models.ForeignKey(PolicySet, models.PROTECT, related_name="versions")
    version = models.IntegerField()
    manifest_sha256 = models.TextField(editable=False)
    data = models.JSONField(editable=False)
    schema_version = models.TextField()
    created_by = models.TextField(editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    objects = PolicySetVersionQuerySet.as_manager()

    class Meta:
        db_table = "policy_set_versions"
        ordering = ("-version",)
        constraints = [
            models.UniqueConstraint(
                fields=["policy_set", "version"], name="policy_set_versions_number_key"
            ),
            # What activations refer to, so that a set activates only its own versions.
            models.UniqueConstraint(
                fields=["policy_set", "id"], name="policy_set_versions_of_set_key"
            ),
        ]

    def __str__(self) -> str:
        return f"version {self.version}"

    @property
    def zone_id(self) -> str:
        return str(self.policy_set.zone_id)


class PolicySetMember(models.Model):
    """One entry of a set version's manifest."""

    policy_set_version = models.ForeignKey(
        PolicySetVersion, models.PROTECT, related_name="members"
    )
    place = models.IntegerField()
    policy_version = models.ForeignKey(
        PolicyVersion, models.PROTECT, related_name="memberships"
    )

    class Meta:
        db_table = "policy_set_members"
        ordering = ("place",)
        constraints = [
            models.UniqueConstraint(
                fields=["policy_set_version", "place"],
                name="policy_set_members_place_key",
            ),
            models.UniqueConstraint(
                fields=["policy_set_version", "policy_version"],
                name="policy_set_members_once_key",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.place}: {self.policy_version_id}"


class PolicyActivation(models.Model):
    """What is in force in a zone.

    Invariants: a zone has one row at most, so one active set at most; set and versions
    belong to the zone and to each other; ``revision`` grows with every change and is
    never given twice, so that who decided by one can tell whether it still stands.
    The row of a zone whose set was deactivated stays, with no version.
    """

    zone = models.OneToOneField(
        Zone, models.PROTECT, primary_key=True, related_name="policy_activation"
    )
    revision = models.BigIntegerField(default=1)
    policy_set = models.ForeignKey(
        PolicySet, models.PROTECT, null=True, related_name="activations"
    )
    active_version = models.ForeignKey(
        PolicySetVersion, models.PROTECT, null=True, related_name="activations"
    )
    shadow_version = models.ForeignKey(
        PolicySetVersion, models.PROTECT, null=True, related_name="shadow_activations"
    )
    activated_by = models.TextField()
    activated_at = models.DateTimeField(db_default=Now())
    outbox_id = IdField()

    class Meta:
        db_table = "policy_activations"
        constraints = [
            models.CheckConstraint(
                condition=Q(policy_set=None, active_version=None, shadow_version=None)
                | Q(policy_set__isnull=False, active_version__isnull=False),
                name="policy_activations_whole",
            ),
        ]
        indexes = [
            models.Index(
                F("activated_at").desc(),
                condition=Q(active_version__isnull=False),
                name="policy_activations_latest",
            ),
        ]

    def __str__(self) -> str:
        return f"revision {self.revision}"


class PolicyScenario(models.Model):
    """A question with the answer every version of a set has to give: a policy test.

    Invariants: names are unique in a set; the scenario is asked of the set's versions
    from ``since_version`` on, so that going back to an older one stays possible.
    """

    id = PrimaryIdField()
    policy_set = models.ForeignKey(PolicySet, models.PROTECT, related_name="scenarios")
    name = models.TextField()
    input = models.JSONField()
    expected_decision = models.TextField(choices=(("allow", "allow"), ("deny", "deny")))
    expected_policy = models.TextField(null=True, blank=True)
    since_version = models.IntegerField(default=1)
    created_by = models.TextField(editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        db_table = "policy_scenarios"
        ordering = ("-created_at", "-id")
        constraints = [
            models.UniqueConstraint(
                fields=["policy_set", "name"], name="policy_scenarios_name_key"
            ),
            models.CheckConstraint(
                condition=Q(expected_decision__in=("allow", "deny")),
                name="policy_scenarios_decision_known",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def zone_id(self) -> str:
        return str(self.policy_set.zone_id)


class PolicyEvaluator(models.Model):
    """A process that decides by policies, which reports while it lives."""

    id = PrimaryIdField()
    started_at = models.DateTimeField(db_default=Now())
    seen_at = models.DateTimeField(db_default=Now())

    objects = EvaluatorQuerySet.as_manager()

    class Meta:
        db_table = "policy_evaluators"
        ordering = ("id",)

    def __str__(self) -> str:
        return self.id


class PolicyLoad(models.Model):
    """What an evaluator holds for a zone: the version loaded last, and why a newer one
    could not be.

    Without foreign keys but to the evaluator: it is a report, which may be late.
    """

    evaluator = models.ForeignKey(PolicyEvaluator, models.CASCADE, related_name="loads")
    zone_id = IdField()
    revision = models.BigIntegerField()
    policy_set_version_id = IdField(null=True)
    manifest_sha256 = models.TextField(null=True)
    loaded_at = models.DateTimeField(db_default=Now())
    error = models.TextField(default="", db_default="")

    class Meta:
        db_table = "policy_loads"
        constraints = [
            models.UniqueConstraint(
                fields=["evaluator", "zone_id"], name="policy_loads_once_key"
            ),
        ]
        indexes = [models.Index(fields=["zone_id"], name="policy_loads_zone")]

    def __str__(self) -> str:
        return f"{self.evaluator_id}: {self.policy_set_version_id}"
