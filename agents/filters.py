"""What the lists of agent services and invocations can be narrowed to."""

from __future__ import annotations

from django_filters import ChoiceFilter

from agents.models import InvocationStatus, ServiceHealth
from caracal_site.api.filters import CreatedFilter, SearchFilter, whole


class ServiceFilter(CreatedFilter):
    search = SearchFilter("endpoint_url", "framework_name")
    application_id = whole("Whose service it is.")
    health = ChoiceFilter(
        choices=ServiceHealth.choices, label="How it last said it is."
    )


class InvocationFilter(CreatedFilter):
    search = SearchFilter("method")
    status = ChoiceFilter(
        choices=InvocationStatus.choices, label="Where the call stands."
    )
    method = whole("The method called.")
    service_id = whole("The service called.")
    source_session_id = whole("The calling agent.")
    target_session_id = whole("The called agent.")
