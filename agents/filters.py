"""What the lists of agent services and invocations can be narrowed to."""

from __future__ import annotations

from django_filters import CharFilter, ChoiceFilter, FilterSet

from agents.models import InvocationStatus, ServiceHealth


class ServiceFilter(FilterSet):
    application_id = CharFilter(label="Whose service it is.")
    health = ChoiceFilter(
        choices=ServiceHealth.choices, label="How it last said it is."
    )


class InvocationFilter(FilterSet):
    status = ChoiceFilter(
        choices=InvocationStatus.choices, label="Where the call stands."
    )
    service_id = CharFilter(label="The service called.")
    source_session_id = CharFilter(label="The calling agent.")
    target_session_id = CharFilter(label="The called agent.")
