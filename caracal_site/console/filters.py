"""Filters of lists: bounded in how many choices they offer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.contrib.admin import ModelAdmin, SimpleListFilter
from django.contrib.admin.views.main import ChangeList
from django.db.models import Case, IntegerField, Q, QuerySet, Value, When
from django.http import HttpRequest

SHOWN_ZONES = 20


class StateFilter(SimpleListFilter):
    """Live rows unless asked otherwise, by ``archived_at``."""

    title = "state"
    parameter_name = "state"
    field = "archived_at"
    ended = "archived"

    def lookups(
        self, request: HttpRequest, model_admin: ModelAdmin
    ) -> list[tuple[str, str]]:
        return [("live", "Live"), (self.ended, self.ended.capitalize()), ("all", "All")]

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        for value, title in self.lookup_choices:
            yield {
                "selected": value == (self.value() or "live"),
                "query_string": changelist.get_query_string(
                    {self.parameter_name: value}
                ),
                "display": title,
            }

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        if self.value() == "all":
            return queryset
        ended = self.value() == self.ended
        return queryset.filter(**{f"{self.field}__isnull": not ended})


class ZoneFilter(SimpleListFilter):
    """The first zones by name; the chosen one is always among them."""

    title = "zone"
    parameter_name = "zone"

    def lookups(
        self, request: HttpRequest, model_admin: ModelAdmin
    ) -> list[tuple[str, str]]:
        chosen = self.value() or ""
        first = Case(
            When(pk=chosen, then=Value(0)),
            default=Value(1),
            output_field=IntegerField(),
        )
        zones = (
            apps.get_model("zones", "Zone")
            .objects.filter(Q(archived_at=None) | Q(pk=chosen))
            .order_by(first, "name", "pk")
        )
        return [(zone.pk, zone.name) for zone in zones[:SHOWN_ZONES]]

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return queryset.filter(zone_id=self.value()) if self.value() else queryset


class LinkedFilter(SimpleListFilter):
    """Set by links from other pages; shown only while it is in force."""

    field = ""

    def lookups(
        self, request: HttpRequest, model_admin: ModelAdmin
    ) -> list[tuple[str, str]]:
        value = self.value()
        return [(value, value)] if value else []

    def queryset(self, request: HttpRequest, queryset: QuerySet) -> QuerySet:
        return (
            queryset.filter(**{self.field: self.value()}) if self.value() else queryset
        )


def linked(field: str, title: str, parameter: str = "") -> type[LinkedFilter]:
    """The LinkedFilter of one field."""
    return type(
        f"{title.title().replace(' ', '')}Filter",
        (LinkedFilter,),
        {"title": title, "parameter_name": parameter or title, "field": field},
    )
