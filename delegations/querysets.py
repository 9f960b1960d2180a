"""Questions about delegation edges."""

from __future__ import annotations

from typing import Self

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class DelegationEdgeQuerySet(models.QuerySet):
    def in_zone(self, zone_id: str) -> Self:
        return self.filter(zone_id=zone_id)

    def active(self) -> Self:
        """In force: neither revoked nor past its expiry."""
        return self.filter(status="active", expires_at__gt=Now())

    def between_applications(self, application_id: str) -> Self:
        """Issued or received by the application."""
        return self.filter(
            Q(issuer_application_id=application_id)
            | Q(receiver_application_id=application_id)
        )

    def inbound_to(self, session_id: str) -> Self:
        return self.filter(target_session_id=session_id)

    def outbound_from(self, session_id: str) -> Self:
        return self.filter(source_session_id=session_id)
