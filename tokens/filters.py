"""What the list of authority sessions can be narrowed to."""

from __future__ import annotations

from django_filters import ChoiceFilter, FilterSet

from caracal_site.api.filters import since, until, whole
from tokens.models import SessionStatus, SessionType
from tokens.querysets import SessionQuerySet


class SessionFilter(FilterSet):
    since = since("created_at")
    until = until("created_at")
    status = ChoiceFilter(
        choices=SessionStatus.choices, label="Where it stands.", method="standing"
    )
    session_type = ChoiceFilter(
        choices=SessionType.choices, label="Whether a person or an application."
    )
    subject_id = whole("Whose authority it is.")
    client_id = whole("The application it was issued to.", max_length=128)
    parent_id = whole("The session it was made from.", max_length=128)

    def standing(
        self, queryset: SessionQuerySet, name: str, value: str
    ) -> SessionQuerySet:
        return queryset.standing(value)
