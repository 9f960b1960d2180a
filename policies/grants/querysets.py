"""Questions about grants, as English."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from django.db import models
from django.db.models import F
from django.db.models.functions import Now

from zones.querysets import InZoneQuerySet


class _GrantQuerySet(InZoneQuerySet):
    def active(self) -> Self:
        return self.filter(status="active")

    def overdue(self) -> Self:
        """Active past the time they were given."""
        return self.active().filter(expires_at__lte=Now())

    def covering(self, scopes: Sequence[str]) -> Self:
        """Those with all of these scopes."""
        return self.filter(scopes__contains=list(scopes))


class GrantQuerySet(_GrantQuerySet):
    def of_user(self, user_id: str, application_id: str) -> Self:
        """What a user granted to an application."""
        return self.filter(user_id=user_id, application_id=application_id)

    def named(self) -> Self:
        """Adds what lists tell of the things a grant is about."""
        provider = "resource__credential_provider"
        return self.annotate(
            provider_id=F(f"{provider}_id"),
            application_name=F("application__name"),
            resource_name=F("resource__name"),
            provider_name=F(f"{provider}__name"),
            provider_kind=F(f"{provider}__kind"),
        )


class ProviderGrantQuerySet(_GrantQuerySet):
    def of(self, user_id: str, resource_id: str, provider_id: str) -> Self:
        """What stands for a user at a resource by a provider."""
        return self.filter(
            user_id=user_id, resource_id=resource_id, provider_id=provider_id
        )

    def spent(self) -> Self:
        """Active, over, and without anything to renew them with."""
        return self.overdue().filter(is_renewable=False)


class OAuthStateQuerySet(models.QuerySet):
    def open(self) -> Self:
        return self.filter(expires_at__gt=Now())

    def over(self) -> Self:
        return self.filter(expires_at__lte=Now())
