"""What lists of the Management API can be narrowed to."""

from __future__ import annotations

from typing import Any

from django.db.models import Q, QuerySet
from django.db.models.functions import Now
from django_filters import ChoiceFilter

from caracal_site.api.filters import (
    ArchivedFilter,
    ChangedFilter,
    CreatedFilter,
    SearchFilter,
    contains,
    flag,
    since,
    until,
    whole,
)
from zones.models import (
    OperationEnforcement,
    ProviderKind,
    RegistrationMethod,
    Resource,
    TokenCapability,
    TokenScope,
)


class ZoneFilter(ChangedFilter):
    search = SearchFilter("name", "slug")
    name = contains()
    slug = whole("The whole slug.")
    dcr_enabled = flag("Whether applications may register themselves.")
    operator_governed = flag("Whether operators govern the zone.")
    archived = ArchivedFilter()


class ApplicationFilter(ChangedFilter):
    search = SearchFilter("name")
    name = contains()
    registration_method = ChoiceFilter(
        choices=RegistrationMethod.choices, label="How the application came about."
    )
    expires_since = since("expires_at")
    expires_until = until("expires_at")
    archived = ArchivedFilter()


class ProviderFilter(ChangedFilter):
    search = SearchFilter("name", "identifier")
    name = contains()
    identifier = whole("The whole identifier.")
    kind = ChoiceFilter(choices=ProviderKind.choices, label="The kind of provider.")
    archived = ArchivedFilter()


class ResourceFilter(ChangedFilter):
    search = SearchFilter("name", "identifier", "upstream_url")
    name = contains()
    identifier = whole("The whole identifier.")
    scope = whole("A scope it has.", method="scoped")
    credential_provider_id = whole("Resources that use this provider.")
    gateway_application_id = whole("Resources that this application fronts.")
    operation_enforcement = ChoiceFilter(
        choices=OperationEnforcement.choices, label="How its operations are enforced."
    )
    archived = ArchivedFilter()

    def scoped(
        self, rows: QuerySet[Resource], name: str, value: str
    ) -> QuerySet[Resource]:
        return rows.filter(scopes__contains=[value])


class AdminTokenFilter(CreatedFilter):
    search = SearchFilter("name", "created_by")
    name = contains()
    scope = ChoiceFilter(choices=TokenScope.choices, label="For all zones, or for one.")
    capability = ChoiceFilter(choices=TokenCapability.choices, label="What it may do.")
    zone_id = whole("Tokens of this zone.")
    created_by = whole("Who minted it, as the tokens tell it.")
    revoked = flag(
        "Whether the token is revoked.",
        field_name="revoked_at",
        lookup_expr="isnull",
        exclude=True,
    )
    expired = flag("Whether the time of the token is over.", method="over")

    def over(self, tokens: QuerySet[Any], name: str, is_over: bool) -> QuerySet[Any]:
        over = Q(expires_at__isnull=False, expires_at__lte=Now())
        return tokens.filter(over if is_over else ~over)
