"""Columns of lists and read-only fields of pages, built from a field's name."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.utils.safestring import SafeString

from caracal_site.console import display

# A function of a row, or None; but Django's stubs know columns as names only.
Column = Any


def column(
    field: str, show: Callable[[Any], Any], *, label: str = "", order: str | None = None
) -> Column:
    """A column that shows the value of ``field`` through ``show``.

    ``field`` may follow attributes with dots; it is sortable by ``order``, by default
    the field itself, and not at all with an empty ``order``.
    """

    def shown(row: Model) -> SafeString | str:
        value: Any = row
        for name in field.split("."):
            value = getattr(value, name, None)
        return display.EMPTY if value is None else show(value)

    plain = field.replace(".", "_")
    ordering = field.replace(".", "__") if order is None else order
    shown.__name__ = plain
    title = label or plain.removesuffix("_at").removesuffix("_json").replace("_", " ")
    return admin.display(description=title, ordering=ordering or None)(shown)


def short(field: str = "id", label: str = "") -> Column:
    return column(field, display.short, label=label)


def mono(field: str, label: str = "") -> Column:
    return column(field, display.mono, label=label)


def moment(field: str, label: str = "") -> Column:
    return column(field, display.moment, label=label)


def exact(field: str, label: str = "") -> Column:
    return column(field, lambda value: display.moment(value, exact=True), label=label)


def left(field: str, label: str = "", *, exact: bool = False) -> Column:
    """A time that something waits for."""
    return column(
        field, lambda value: display.countdown(value, exact=exact), label=label
    )


def badge(field: str, label: str = "") -> Column:
    return column(field, lambda value: display.badge(str(value)), label=label)


def words(field: str, label: str = "") -> Column:
    return column(field, display.words, label=label, order="")


def as_json(field: str, label: str = "") -> Column:
    return column(field, display.as_json, label=label, order="")


def related(field: str, label: str = "") -> Column:
    """A loaded relation as a link by its name; name it in ``list_select_related``."""
    return column(field, display.object_link, label=label or field.replace("_", " "))


def linked(field: str, model: str, label: str = "") -> Column:
    """An id without a relation as a link to the page of ``app.Model``."""
    return column(
        field,
        lambda value: display.link_to(model, value),
        label=label or field.removesuffix("_id").replace("_", " "),
    )
