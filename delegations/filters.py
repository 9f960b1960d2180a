"""What the list of delegations can be narrowed to."""

from __future__ import annotations

from django_filters import CharFilter, ChoiceFilter, FilterSet

from delegations.models import EdgeStatus


class DelegationFilter(FilterSet):
    status = ChoiceFilter(choices=EdgeStatus.choices, label="Where the edge stands.")
    source_session_id = CharFilter(label="Who delegated.")
    target_session_id = CharFilter(label="Who was delegated to.")
    issuer_application_id = CharFilter(label="The application of the source.")
    receiver_application_id = CharFilter(label="The application of the target.")
    parent_edge_id = CharFilter(label="The edge it was made from.")
    root_edge_id = CharFilter(label="The first edge of its lineage.")
    resource_id = CharFilter(label="The resource it is about.")
