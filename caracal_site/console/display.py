"""How values look on a page: ids short, times near, states coloured. Escaped HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
from django.apps import apps
from django.contrib.admin.utils import quote
from django.db.models import Model
from django.urls import NoReverseMatch, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

EMPTY = SafeString("\N{EN DASH}")
LONG_ID = 20
HEAD, TAIL = 8, 6
SHOWN_WORDS = 6
TONES = {
    "active": "good",
    "live": "good",
    "signing": "good",
    "healthy": "good",
    "published": "good",
    "allow": "good",
    "running": "good",
    "succeeded": "good",
    "pending": "calm",
    "starting": "calm",
    "degraded": "warn",
    "cancel_requested": "warn",
    "unhealthy": "bad",
    "timed_out": "bad",
    "suspended": "warn",
    "waiting": "calm",
    "parked": "bad",
    "deny": "bad",
    "failed": "bad",
    "refused": "bad",
    "withdrawn": "bad",
    "satisfied": "good",
    "rejected": "bad",
}


def short(value: str | None) -> SafeString:
    """An id with its middle left out; the title has all of it."""
    if not value:
        return EMPTY
    text = value
    if len(value) > LONG_ID:
        text = f"{value[:HEAD]}\N{HORIZONTAL ELLIPSIS}{value[-TAIL:]}"
    return format_html('<code class="id" title="{}">{}</code>', value, text)


def mono(value: object) -> SafeString:
    """Text of a machine: an identifier, a path, a whole id."""
    return format_html('<code class="id">{}</code>', value) if value else EMPTY


def utc(value: datetime) -> str:
    """``2026-05-01 12:00:00.123 UTC``."""
    at = value.astimezone(UTC)
    return f"{at:%Y-%m-%d %H:%M:%S}.{at.microsecond // 1000:03d} UTC"


def moment(value: datetime | None, *, exact: bool = False) -> SafeString:
    """A time as people say it; the title has it in UTC."""
    if value is None:
        return EMPTY
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        value.astimezone(UTC).isoformat(),
        utc(value),
        f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if exact else near(value),
    )


def near(value: datetime) -> str:
    """``3 min ago``, ``in 2 h``, or the day when it is further away than a day."""
    distance = timezone.now() - value
    ahead = distance < timedelta(0)
    seconds = int(abs(distance).total_seconds())
    if seconds >= 86_400:
        return f"{value.astimezone(UTC):%d %b %Y, %H:%M}".lstrip("0")
    if seconds < 5:
        return "now"
    return f"in {span(seconds)}" if ahead else f"{span(seconds)} ago"


def countdown(value: datetime, *, exact: bool = False) -> SafeString:
    """A time as what is left until it, to the second within an hour; with ``exact``
    after the time itself. What has passed is said as always."""
    seconds = int((value - timezone.now()).total_seconds())
    left = near(value)
    if 5 <= seconds < 3_600:
        left = f"in {seconds // 60} min {seconds % 60} s" if seconds >= 60 else left
    shown = f"{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}, {left}" if exact else left
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        value.astimezone(UTC).isoformat(),
        utc(value),
        shown,
    )


def span(seconds: float) -> str:
    """A duration in its largest unit: ``40 s``, ``3 min``, ``5 h``, ``2 d``."""
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"


def badge(text: str, tone: str = "") -> SafeString:
    """A state as a coloured word."""
    return format_html(
        '<span class="badge {}">{}</span>', tone or TONES.get(text, "quiet"), text
    )


def words(values: Iterable[str]) -> SafeString:
    """A handful of short texts as chips, and how many more there are."""
    listed = list(values)
    if not listed:
        return EMPTY
    chips = format_html_join(
        " ", '<code class="chip">{}</code>', ((word,) for word in listed[:SHOWN_WORDS])
    )
    more = len(listed) - SHOWN_WORDS
    return (
        format_html('{} <span class="quiet">+{}</span>', chips, more)
        if more > 0
        else chips
    )


def as_json(value: Any) -> SafeString:
    """A JSON value laid out to be read."""
    if value in (None, {}, []):
        return EMPTY
    options = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS
    text = orjson.dumps(value, default=str, option=options).decode()
    return format_html('<pre class="json">{}</pre>', text)


def link(url: str, label: object) -> SafeString:
    return format_html('<a href="{}">{}</a>', url, label)


def change_url(model: type[Model] | str, pk: str) -> str:
    """The page of one row; ``model`` is a class or ``app.Model``."""
    kind = apps.get_model(model) if isinstance(model, str) else model
    meta = kind._meta
    try:
        return reverse(
            f"admin:{meta.app_label}_{meta.model_name}_change", args=[quote(pk)]
        )
    except NoReverseMatch:
        return ""


def link_to(model: type[Model] | str, pk: str | None, label: object = "") -> SafeString:
    """A link to the page of a row of which only the id is at hand."""
    if not pk:
        return EMPTY
    url = change_url(model, pk)
    shown = label or short(pk)
    return link(url, shown) if url else format_html("{}", shown)


def object_link(row: Model | None, label: object = "") -> SafeString:
    """A link to the page of a loaded row, by its name."""
    if row is None:
        return EMPTY
    name = str(row)
    return link_to(
        type(row), str(row.pk), label or (short(name) if name == row.pk else name)
    )


def with_id(name: str, pk: str) -> SafeString:
    """A name that several things share, with the id that tells them apart."""
    return format_html("{} {}", name, short(pk))


def labelled(kind: str, value: object) -> SafeString:
    """A value with a quiet word before it that says what it is."""
    return format_html('<span class="quiet">{}</span> {}', kind, value)


def told(count: int, examples: Sequence[SafeString | str]) -> SafeString | str:
    """A number with the first of what it counts."""
    if not count:
        return "none"
    named = format_html_join(", ", "{}", ((example,) for example in examples))
    more = f" and {count - len(examples)} more" if count > len(examples) > 0 else ""
    return format_html("<strong>{}</strong> {}{}", count, named, more)


def counted(count: int, one: str, many: str = "") -> str:
    """``1 agent``, ``3 agents``."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
