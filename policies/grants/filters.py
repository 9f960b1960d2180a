"""What lists of grants can be narrowed to."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django_filters import ChoiceFilter, Filter

from caracal_site.api.filters import ChangedFilter, SearchFilter, since, until, whole
from policies.grants import rules
from policies.grants.models import GrantStatus


class ScopesField(forms.CharField):
    """Scopes divided by commas."""

    def to_python(self, value: Any) -> Any:
        if not value:
            return None
        scopes = str(value).split(",")
        if len(scopes) > rules.MAX_SCOPES or not all(map(rules.is_scope, scopes)):
            raise ValidationError("expected scopes divided by commas")
        return scopes

    def run_validators(self, value: Any) -> None:
        """None: those of a CharField are about text."""


class ScopesFilter(Filter):
    """Grants with all of these scopes."""

    field_class = ScopesField

    def __init__(self) -> None:
        super().__init__(label="Scopes it has, all of them, divided by commas.")

    def filter(self, rows: Any, value: list[str] | None) -> Any:
        return rows.covering(value) if value else rows


def _status() -> ChoiceFilter:
    return ChoiceFilter(choices=GrantStatus.choices, label="How the grant stands.")


class GrantFilter(ChangedFilter):
    search = SearchFilter("user_id", "application__name", "resource__name")
    application_id = whole("Grants to this application.")
    user_id = whole("Grants of this user.")
    subject_id = whole("The same as user_id, which goes before.", method="of_subject")
    resource_id = whole("Grants for this resource.")
    provider_id = whole(
        "Grants for resources that use this provider now.",
        field_name="resource__credential_provider_id",
    )
    status = _status()
    scopes = ScopesFilter()
    expires_since = since("expires_at")
    expires_until = until("expires_at")

    def of_subject(self, rows: QuerySet, name: str, value: str) -> QuerySet:
        return rows if self.data.get("user_id") else rows.filter(user_id=value)


class ProviderGrantFilter(ChangedFilter):
    search = SearchFilter("user_id", "provider__name", "resource__name")
    user_id = whole("Accounts of this user.")
    resource_id = whole("Accounts for this resource.")
    provider_id = whole("Accounts at this provider.")
    status = _status()
    scopes = ScopesFilter()
    expires_since = since("expires_at")
    expires_until = until("expires_at")
