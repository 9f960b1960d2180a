"""What lists of policies, policy sets and what belongs to them can be narrowed to."""

from __future__ import annotations

from django.db.models import QuerySet
from django_filters import ChoiceFilter

from caracal_site.api.filters import (
    ArchivedFilter,
    ChangedFilter,
    CreatedFilter,
    SearchFilter,
    contains,
    flag,
    whole,
)
from policies.models import PolicySet


class PolicyFilter(ChangedFilter):
    search = SearchFilter("name", "description")
    name = contains()
    owner_type = whole("Whose policies.")
    archived = ArchivedFilter()


class PolicySetFilter(ChangedFilter):
    search = SearchFilter("name", "description")
    name = contains()
    active = flag("Whether the set is in force.", method="in_force")
    archived = ArchivedFilter()

    def in_force(
        self, rows: QuerySet[PolicySet], name: str, value: bool
    ) -> QuerySet[PolicySet]:
        return rows.filter(activations__isnull=not value)


class SetVersionFilter(CreatedFilter):
    schema_version = whole("The version of the schema.")


class ScenarioFilter(CreatedFilter):
    search = SearchFilter("name")
    expected_decision = ChoiceFilter(
        choices=(("allow", "allow"), ("deny", "deny")), label="What has to be decided."
    )
