"""What the lists of agents, their services and invocations can be narrowed to."""

from __future__ import annotations

from django_filters import ChoiceFilter, FilterSet

from agents.models import AgentStatus, InvocationStatus, Lifecycle, ServiceHealth
from agents.querysets import AgentSessionQuerySet
from caracal_site.api.filters import ArchivedFilter, CreatedFilter, SearchFilter, whole


class DeregisteredFilter(ArchivedFilter):
    """Registered services, unless asked otherwise."""

    column = "deregistered_at"
    meaning = "Deregistered services instead of registered ones (true), or both (any)."


class AgentSessionFilter(FilterSet):
    status = ChoiceFilter(choices=AgentStatus.choices, label="Where it stands.")
    lifecycle = ChoiceFilter(
        choices=Lifecycle.choices, label="Whether it ends by time or by silence."
    )
    application_id = whole("The application it acts for.")
    parent_id = whole("The agent that spawned it.")
    label = whole("One of its labels.", max_length=64, method="labelled")

    def labelled(
        self, queryset: AgentSessionQuerySet, name: str, value: str
    ) -> AgentSessionQuerySet:
        return queryset.labelled(value)


class ServiceFilter(CreatedFilter):
    deregistered = DeregisteredFilter()
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
