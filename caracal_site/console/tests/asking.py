"""How tests drive the console: URLs of pages, and what stands on them."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

from django.contrib.admin.utils import quote
from django.db.models import Model
from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from audit.models import AdminAuditEvent

# What a strict policy would refuse to run or to apply.
INLINE = re.compile(
    r"<style|<script(?![^>]*\ssrc=)|\sstyle\s*=|\son[a-z]+\s*=|javascript:",
    re.IGNORECASE,
)


def url(model: type[Model] | Model, page: str, *args: object) -> str:
    meta = model._meta
    return reverse(f"admin:{meta.app_label}_{meta.model_name}_{page}", args=args)


def changelist(model: type[Model] | Model) -> str:
    return url(model, "changelist")


def change(row: Model) -> str:
    return url(row, "change", quote(row.pk))


def gesture(row: Model, name: str) -> str:
    return url(row, "gesture", quote(row.pk), name)


def text(response: HttpResponse) -> str:
    """The page as text."""
    return unescape(response.content.decode())


def hidden(response: HttpResponse) -> dict[str, str]:
    """The hidden fields of the page's form, as a browser would send them."""
    found = re.findall(
        r'<input type="hidden" name="([^"]+)" value="([^"]*)"',
        response.content.decode(),
    )
    return {name: value for name, value in found if name != "csrfmiddlewaretoken"}


def carry_out(client: Client, page: str, **answers: Any) -> HttpResponse:
    """Opens a form, fills ``answers`` in and sends it."""
    opened = client.get(page)
    assert opened.status_code == 200, (page, opened.status_code)
    return client.post(page, {**hidden(opened), **answers})


def fields(client: Client, row: Model) -> dict[str, Any]:
    """What the form of ``row`` holds, as a browser would send it."""
    form = client.get(change(row)).context["adminform"].form
    sent = {}
    for bound in form:
        value = bound.field.prepare_value(bound.value())
        if value not in (None, False):
            sent[bound.name] = getattr(value, "pk", value)
    return sent


def last_audit(actor_id: str) -> AdminAuditEvent:
    """The newest audit row by this actor."""
    found = AdminAuditEvent.objects.filter(actor_id=actor_id).order_by("-position")
    row = found.first()
    assert row is not None
    return row
