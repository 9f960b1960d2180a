"""Questions about evidence."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from django.contrib.postgres.search import SearchQuery, SearchVector
from django.db import models
from django.db.models import Q
from django.db.models.fields.json import KeyTextTransform

if TYPE_CHECKING:
    from audit.models import AdminAuditEvent, OutboxEvent  # noqa: F401 - named in quotes


# The words of the reason that was given, as their index has them.
REASON_WORDS = SearchVector(KeyTextTransform("reason", "payload_json"), config="simple")


class AdminAuditQuerySet(models.QuerySet["AdminAuditEvent"]):
    def in_zone(self, zone_id: str | None) -> Self:
        """The rows of a zone's chain; None is the platform's own chain."""
        return self.filter(zone_id=zone_id)

    def about(self, entity_id: str) -> Self:
        return self.filter(entity_id=entity_id)

    def unsealed(self) -> Self:
        return self.filter(chain_seq=None)

    def telling(self, text: str) -> Self:
        """The rows about the request or thing of this whole id, and those whose reason
        has these words."""
        sought = Q(request_id=text) | Q(entity_id=text) | Q(id=text)
        words = SearchQuery(text, config="simple", search_type="plain")
        reason = Q(payload_json__has_key="reason", reason_words=words)
        return self.alias(reason_words=REASON_WORDS).filter(sought | reason)


class OutboxQuerySet(models.QuerySet["OutboxEvent"]):
    def pending(self) -> Self:
        return self.filter(published_at=None, parked_at=None)

    def parked(self) -> Self:
        return self.filter(parked_at__isnull=False)
