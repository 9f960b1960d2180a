"""What lists of the Management API can be narrowed to."""

from __future__ import annotations

from typing import Any

from django_filters import CharFilter, ChoiceFilter, FilterSet, TypedChoiceFilter

from zones.models import (
    ProviderKind,
    RegistrationMethod,
    TokenCapability,
    TokenScope,
)

FLAG = (("true", "true"), ("false", "false"))


def _flag(label: str, **kwargs: Any) -> TypedChoiceFilter:
    """``true`` or ``false``, and nothing else."""
    return TypedChoiceFilter(
        choices=FLAG, coerce=lambda text: text == "true", label=label, **kwargs
    )


def _contains(field: str = "name") -> CharFilter:
    label = f"Part of the {field}, in any case."
    return CharFilter(field_name=field, lookup_expr="icontains", label=label)


class ZoneFilter(FilterSet):
    name = _contains()
    slug = CharFilter(label="The whole slug.")
    dcr_enabled = _flag("Whether applications may register themselves.")


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
    gateway_application_id = CharFilter(label="Resources that this application fronts.")


class AdminTokenFilter(FilterSet):
    name = _contains()
    scope = ChoiceFilter(choices=TokenScope.choices, label="For all zones, or for one.")
    capability = ChoiceFilter(choices=TokenCapability.choices, label="What it may do.")
    zone_id = CharFilter(label="Tokens of this zone.")
    revoked = _flag(
        "Whether the token is revoked.",
        field_name="revoked_at",
        lookup_expr="isnull",
        exclude=True,
    )
