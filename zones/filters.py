"""What lists of the Management API can be narrowed to."""

from __future__ import annotations

from django_filters import CharFilter, ChoiceFilter, FilterSet

from zones.models import (
    ProviderKind,
    RegistrationMethod,
    TokenCapability,
    TokenScope,
)

FLAG = (("true", "true"), ("false", "false"))


class FlagFilter(ChoiceFilter):
    """``true`` or ``false``, and nothing else."""

    def __init__(self, **kwargs: object) -> None:
        super().__init__(choices=FLAG, **kwargs)

    def filter(self, qs, value):  # type: ignore[no-untyped-def]
        return super().filter(qs, value and value == "true" if value else value)


def _contains(field: str = "name") -> CharFilter:
    label = f"Part of the {field}, in any case."
    return CharFilter(field_name=field, lookup_expr="icontains", label=label)


class ZoneFilter(FilterSet):
    name = _contains()
    slug = CharFilter(label="The whole slug.")
    dcr_enabled = FlagFilter(label="Whether applications may register themselves.")


class ApplicationFilter(FilterSet):
    name = _contains()
    registration_method = ChoiceFilter(
        choices=RegistrationMethod.choices, label="How the application came about."
    )


class ProviderFilter(FilterSet):
    name = _contains()
    identifier = CharFilter(label="The whole identifier.")
    kind = ChoiceFilter(choices=ProviderKind.choices, label="The kind of provider.")


class ResourceFilter(FilterSet):
    name = _contains()
    identifier = CharFilter(label="The whole identifier.")
    credential_provider_id = CharFilter(label="Resources that use this provider.")
    gateway_application_id = CharFilter(
        label="Resources that this application fronts."
    )


class AdminTokenFilter(FilterSet):
    name = _contains()
    scope = ChoiceFilter(choices=TokenScope.choices, label="For all zones, or for one.")
    capability = ChoiceFilter(choices=TokenCapability.choices, label="What it may do.")
    zone_id = CharFilter(label="Tokens of this zone.")
    revoked = FlagFilter(
        field_name="revoked_at",
        lookup_expr="isnull",
        exclude=True,
        label="Whether the token is revoked.",
    )
