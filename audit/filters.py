"""What the evidence of a zone can be narrowed to."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django_filters import CharFilter, ChoiceFilter, Filter, FilterSet

from audit.models import AuditEvent
from caracal_site.times import from_wire

DECISIONS = (("allow", "allow"), ("deny", "deny"), ("partial", "partial"))
METHODS = tuple((name, name) for name in ("POST", "PUT", "PATCH", "DELETE"))


class MomentField(forms.CharField):
    """A date-time ending in ``Z``."""

    def to_python(self, value: Any) -> Any:
        try:
            return from_wire(value) if value else None
        except ValueError as error:
            raise ValidationError(str(error)) from None

    def run_validators(self, value: datetime | None) -> None:
        """None: those of a CharField are about text."""


class MomentFilter(Filter):  # type: ignore[misc]  # has no types
    field_class = MomentField


def _whole(label: str, *, max_length: int | None = None, **kwargs: Any) -> CharFilter:
    """The whole value, exactly."""
    return CharFilter(label=label, strip=False, max_length=max_length, **kwargs)


def _metadata(name: str, label: str) -> CharFilter:
    return _whole(label, max_length=128, field_name=f"metadata_json__{name}")


class WindowFilter(FilterSet):  # type: ignore[misc]  # has no types
    """The time window [since, until)."""

    since = MomentFilter(
        field_name="occurred_at", lookup_expr="gte", label="From this moment on."
    )
    until = MomentFilter(
        field_name="occurred_at", lookup_expr="lt", label="Before this moment."
    )


class AuditEventFilter(WindowFilter):
    request_id = _whole("The request that was decided.")
    decision = ChoiceFilter(choices=DECISIONS, label="What was decided.")
    event_type = _whole("The kind of decision.")
    application_id = _metadata("application_id", "The application that asked.")
    agent_session_id = _metadata("agent_session_id", "The agent that asked.")
    session_id = _metadata("session_id", "The session it asked with.")
    label = _whole("A label of the agent.", max_length=64, method="labelled")

    def labelled(
        self, queryset: QuerySet[AuditEvent], name: str, value: str
    ) -> QuerySet[AuditEvent]:
        return queryset.filter(metadata_json__agent_labels__contains=[value])


class AdminAuditFilter(WindowFilter):
    actor_id = _whole("Who did it.", max_length=128)
    entity_type = _whole("The kind of thing it was done to.", max_length=64)
    entity_id = _whole("The thing it was done to.", max_length=128)
    method = ChoiceFilter(choices=METHODS, label="The HTTP method.")
