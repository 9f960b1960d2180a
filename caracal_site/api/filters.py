"""What filters of lists are made of, for the FilterSets of every app."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q, QuerySet
from django_filters import (
    CharFilter,
    ChoiceFilter,
    Filter,
    FilterSet,
    TypedChoiceFilter,
)

from caracal_site.times import from_wire

FLAG = (("true", "true"), ("false", "false"))
ARCHIVED = (*FLAG, ("any", "any"))


def whole(label: str, *, max_length: int | None = None, **kwargs: Any) -> CharFilter:
    """The whole value, exactly."""
    return CharFilter(label=label, strip=False, max_length=max_length, **kwargs)


def contains(field: str = "name") -> CharFilter:
    """Part of a text, in any case."""
    label = f"Part of the {field}, in any case."
    return CharFilter(
        field_name=field, lookup_expr="icontains", label=label, strip=False
    )


def flag(label: str, **kwargs: Any) -> TypedChoiceFilter:
    """``true`` or ``false``, and nothing else."""
    return TypedChoiceFilter(
        choices=FLAG, coerce=lambda text: text == "true", label=label, **kwargs
    )


class MomentField(forms.CharField):
    """A date-time ending in ``Z``."""

    def to_python(self, value: Any) -> Any:
        try:
            return from_wire(value) if value else None
        except ValueError as error:
            raise ValidationError(str(error)) from None

    def run_validators(self, value: datetime | None) -> None:
        """None: those of a CharField are about text."""


class MomentFilter(Filter):  # type: ignore[misc]  # has no types
    field_class = MomentField


def since(field: str) -> MomentFilter:
    """The beginning of a time window, which belongs to it."""
    label = "From this moment on."
    return MomentFilter(field_name=field, lookup_expr="gte", label=label)


def until(field: str) -> MomentFilter:
    """The end of a time window, which does not belong to it."""
    return MomentFilter(field_name=field, lookup_expr="lt", label="Before this moment.")


class SearchFilter(CharFilter):  # type: ignore[misc]  # has no types
    """Part of one of several texts, in any case, or the whole id."""

    def __init__(self, *fields: str) -> None:
        named = (
            ", ".join(fields[:-1]) + " or " + fields[-1] if fields[1:] else fields[0]
        )
        super().__init__(
            label=f"Part of the {named}, in any case, or the whole id.", strip=False
        )
        self.fields = fields

    def filter(self, rows: QuerySet[Any], value: str | None) -> QuerySet[Any]:
        if not value:
            return rows
        sought = Q(id=value)
        for field in self.fields:
            sought |= Q(**{f"{field}__icontains": value})
        return rows.filter(sought)


class ArchivedFilter(ChoiceFilter):  # type: ignore[misc]  # has no types
    """Which rows belong to the list at all: the live ones, unless asked otherwise."""

    column = "archived_at"
    meaning = (
        "Archived rows instead of live ones (true), or both (any). Rows then say when"
        " they were archived."
    )

    def __init__(self) -> None:
        super().__init__(choices=ARCHIVED, label=self.meaning)

    def filter(self, rows: QuerySet[Any], value: str | None) -> QuerySet[Any]:
        if value == "any":
            return rows
        return rows.filter(**{f"{self.column}__isnull": value != "true"})


class CreatedFilter(FilterSet):  # type: ignore[misc]  # has no types
    """The time window [created_since, created_until)."""

    created_since = since("created_at")
    created_until = until("created_at")


class ChangedFilter(CreatedFilter):
    """Besides, the time window [updated_since, updated_until)."""

    updated_since = since("updated_at")
    updated_until = until("updated_at")
