"""Filters and files that both kinds of evidence have in the console."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, ClassVar
from urllib.parse import urlencode

from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone

from caracal_site.console.base import EvidenceAdmin
from caracal_site.ids import is_id
from caracal_site.times import from_wire, to_wire


class WhenFilter(SimpleListFilter):
    """The last hour, day, week or month."""

    title = "when"
    parameter_name = "when"
    SPANS = {"hour": 1, "day": 24, "week": 7 * 24, "month": 30 * 24}

    def lookups(
        self, request: HttpRequest, model_admin: ModelAdmin[Any]
    ) -> list[tuple[str, str]]:
        return [(name, f"The last {name}") for name in self.SPANS]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        hours = self.SPANS.get(self.value() or "")
        if hours is None:
            return queryset
        return queryset.filter(occurred_at__gte=timezone.now() - timedelta(hours=hours))


class MomentLimit(SimpleListFilter):
    """One end of a time range, given in the address; shown while it is in force."""

    lookup = ""

    def lookups(
        self, request: HttpRequest, model_admin: ModelAdmin[Any]
    ) -> list[tuple[str, str]]:
        value = self.value()
        return [(value, value)] if value else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if not self.value():
            return queryset
        try:
            limit = from_wire(str(self.value()))
        except ValueError:
            return queryset.none()
        return queryset.filter(**{f"occurred_at__{self.lookup}": limit})


class SinceFilter(MomentLimit):
    title = parameter_name = "since"
    lookup = "gte"


class UntilFilter(MomentLimit):
    title = parameter_name = "until"
    lookup = "lt"


TIMES = (WhenFilter, SinceFilter, UntilFilter)


class FileAdmin(EvidenceAdmin):
    """Evidence that leaves as a file, zone by zone, as it is filtered."""

    route: ClassVar[str] = ""
    # The names of the console's filters and of the API's.
    alike: ClassVar[dict[str, str]] = {}

    def changelist_view(
        self, request: HttpRequest, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        files = {"files": list(self.files(request))}
        return super().changelist_view(request, {**files, **(extra_context or {})})

    def files(self, request: HttpRequest) -> Iterator[tuple[str, str]]:
        """Names and addresses of the files of what the list shows."""
        zone_id = request.GET.get("zone", "")
        if not is_id(zone_id):
            return
        asked = {
            name: request.GET[own]
            for own, name in self.alike.items()
            if request.GET.get(own)
        }
        hours = WhenFilter.SPANS.get(request.GET.get("when", ""))
        if hours is not None:
            since = timezone.now() - timedelta(hours=hours)
            asked["since"] = to_wire(since) or ""
        path = reverse(self.route, args=[zone_id])
        for form in ("csv", "ndjson"):
            yield (
                f"Export {form.upper()}",
                f"{path}?{urlencode({**asked, 'format': form})}",
            )
