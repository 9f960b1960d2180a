"""Questions about policies, policy sets and what is active, as English."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Self

from django.db import models
from django.db.models import OuterRef, Q, Subquery
from django.db.models.functions import Now

from zones.querysets import InZoneQuerySet

# A process that has not reported for so long is taken to be gone.
SILENT_SECONDS = 30


class PolicyQuerySet(InZoneQuerySet):
    pass


class PolicyVersionQuerySet(models.QuerySet):
    def of_live_policy(self, policy_id: str, zone_id: str) -> Self:
        return self.filter(
            policy_id=policy_id, policy__zone_id=zone_id, policy__archived_at=None
        )


class PolicySetQuerySet(InZoneQuerySet):
    def with_active_version(self) -> Self:
        """Adds ``active_version_id``: the version of the set in force, or None."""
        from policies.models import PolicyActivation

        active = PolicyActivation.objects.filter(policy_set_id=OuterRef("pk"))
        return self.annotate(
            active_version_id=Subquery(active.values("active_version_id")[:1])
        )


class PolicySetVersionQuerySet(models.QuerySet):
    def of_set(self, policy_set_id: str, zone_id: str) -> Self:
        return self.filter(policy_set_id=policy_set_id, policy_set__zone_id=zone_id)

    def of_live_set(self, policy_set_id: str, zone_id: str) -> Self:
        return self.of_set(policy_set_id, zone_id).filter(policy_set__archived_at=None)

    def standing(self) -> Self:
        """In force, evaluated as a shadow, or the newest of a set that is live."""
        versions: Any = self.model
        newest = versions.objects.filter(policy_set_id=OuterRef("policy_set_id"))
        return self.filter(policy_set__archived_at=None).filter(
            Q(activations__isnull=False)
            | Q(shadow_activations__isnull=False)
            | Q(version=Subquery(newest.order_by("-version").values("version")[:1]))
        )


class EvaluatorQuerySet(models.QuerySet):
    def alive(self) -> Self:
        return self.filter(seen_at__gt=Now() - timedelta(seconds=SILENT_SECONDS))

    def silent(self) -> Self:
        return self.filter(seen_at__lte=Now() - timedelta(seconds=SILENT_SECONDS))
