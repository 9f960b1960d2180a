"""What the evidence of a zone can be narrowed to."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.db.models.fields.json import KeyTextTransform
from django_filters import CharFilter, ChoiceFilter, FilterSet

from audit.models import AuditEvent
from caracal_site.api.filters import SearchFilter, since, until, whole

DECISIONS = (("allow", "allow"), ("deny", "deny"), ("partial", "partial"))
METHODS = tuple((name, name) for name in ("POST", "PUT", "PATCH", "DELETE"))


class MetadataFilter(CharFilter):  # type: ignore[misc]  # has no types
    """A text of the metadata, compared as its index has it (``audit/models.py``)."""

    def filter(self, rows: QuerySet[Any], value: str | None) -> QuerySet[Any]:
        if not value:
            return rows
        text = KeyTextTransform(self.field_name, "metadata_json")
        named: QuerySet[Any] = rows.alias(**{f"told_{self.field_name}": text})
        return named.filter(**{f"told_{self.field_name}": value})


def _metadata(name: str, label: str) -> CharFilter:
    return MetadataFilter(field_name=name, label=label, max_length=128, strip=False)


class WindowFilter(FilterSet):  # type: ignore[misc]  # has no types
    """The time window [since, until)."""

    since = since("occurred_at")
    until = until("occurred_at")


class AuditEventFilter(WindowFilter):
    request_id = whole("The request that was decided.")
    decision = ChoiceFilter(choices=DECISIONS, label="What was decided.")
    event_type = whole("The kind of decision.")
    application_id = _metadata("application_id", "The application that asked.")
    agent_session_id = _metadata("agent_session_id", "The agent that asked.")
    session_id = _metadata("session_id", "The session it asked with.")
    label = whole("A label of the agent.", max_length=64, method="labelled")

    def labelled(
        self, queryset: QuerySet[AuditEvent], name: str, value: str
    ) -> QuerySet[AuditEvent]:
        return queryset.filter(metadata_json__agent_labels__contains=[value])


class AdminAuditFilter(WindowFilter):
    search = SearchFilter("action", "actor_name")
    request_id = whole("The request that did it.", max_length=128)
    actor_id = whole("Who did it.", max_length=128)
    entity_type = whole("The kind of thing it was done to.", max_length=64)
    entity_id = whole("The thing it was done to.", max_length=128)
    method = ChoiceFilter(choices=METHODS, label="The HTTP method.")
