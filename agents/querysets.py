"""Questions about agent sessions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class AgentSessionQuerySet(models.QuerySet):
    def in_zone(self, zone_id: str) -> Self:
        return self.filter(zone_id=zone_id)

    def live(self) -> Self:
        """Active or suspended. Asked by the time, which is what indexes know."""
        return self.filter(terminated_at=None)

    def labelled(self, label: str) -> Self:
        # Said twice, since the index of labels knows only agents that have some.
        return self.filter(labels__contains=[label]).exclude(labels=[])

    def acting_for(self, application_ids: Sequence[str]) -> Self:
        """Agents of these applications, or on their authority sessions."""
        return self.filter(
            Q(application_id__in=application_ids)
            | Q(subject_session__client_id__in=application_ids)
        )

    def on_sessions(self, session_ids: Sequence[str]) -> Self:
        """Agents that act on these authority sessions."""
        return self.filter(subject_session_id__in=session_ids)

    def overdue(self) -> Self:
        """Past the time they were given."""
        return self.filter(expires_at__lte=Now())

    def leased(self) -> Self:
        """Live services, which have a lease to keep."""
        return self.filter(lifecycle="service", terminated_at=None)

    def resting_for(self, reason: str) -> Self:
        """Suspended for this reason."""
        return self.filter(status="suspended", suspend_reason=reason)


class AgentServiceQuerySet(models.QuerySet):
    def in_zone(self, zone_id: str) -> Self:
        return self.filter(zone_id=zone_id)

    def registered(self) -> Self:
        return self.filter(deregistered_at=None)

    def unheard_of(self) -> Self:
        """Registered, past their lease, and not known to be unhealthy yet."""
        lapsed = self.registered().filter(lease_expires_at__lte=Now())
        return lapsed.exclude(health="unhealthy")


class InvocationQuerySet(models.QuerySet):
    def in_zone(self, zone_id: str) -> Self:
        return self.filter(zone_id=zone_id)

    def open(self) -> Self:
        return self.filter(due_at__isnull=False)

    def due(self) -> Self:
        """Open, and to be moved on by the platform."""
        return self.filter(due_at__lte=Now())
