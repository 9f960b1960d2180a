"""What the list of delegations can be narrowed to."""

from __future__ import annotations

from django.db.models import QuerySet
from django_filters import ChoiceFilter

from caracal_site.api.filters import ChangedFilter, since, until, whole
from delegations.models import DelegationEdge, EdgeStatus


class DelegationFilter(ChangedFilter):
    status = ChoiceFilter(choices=EdgeStatus.choices, label="Where the edge stands.")
    source_session_id = whole("Who delegated.")
    target_session_id = whole("Who was delegated to.")
    issuer_application_id = whole("The application of the source.")
    receiver_application_id = whole("The application of the target.")
    parent_edge_id = whole("The edge it was made from.")
    root_edge_id = whole("The first edge of its lineage.")
    resource_id = whole("The resource it is about.")
    scope = whole("A scope it carries.", method="scoped")
    expires_since = since("expires_at")
    expires_until = until("expires_at")

    def scoped(
        self, rows: QuerySet[DelegationEdge], name: str, value: str
    ) -> QuerySet[DelegationEdge]:
        return rows.filter(scopes__contains=[value])
