"""Secrets: on one page, once, and nowhere else.

A secret travels from the service to the page in the memory of one request. The form
that asked for it carries a number that is good once, so that sending the page again
does not make a second secret nobody looks at.
"""

from __future__ import annotations

from dataclasses import dataclass

from django import forms
from django.http import HttpRequest
from django.template.response import TemplateResponse

from caracal_site.errors import CaracalError
from caracal_site.ids import new_id

SPENT = "console_spent_forms"
REMEMBERED = 50


class AlreadyShown(CaracalError):
    """This form was sent before, and its secret shown; open it anew for another."""

    code = "already_shown"
    status = 409


@dataclass(frozen=True, slots=True)
class Disclosure:
    """A fresh secret with what its page says: ``what`` it is, ``whose`` it is, and
    what to do with it. ``url`` is where the page leads on to."""

    what: str
    whose: str
    secret: str
    advice: str
    url: str

    def __repr__(self) -> str:
        return f"Disclosure({self.what!r})"


class OnceField(forms.CharField):
    """The hidden number that makes a form good for one secret."""

    widget = forms.HiddenInput

    def __init__(self) -> None:
        super().__init__(initial=new_id, max_length=64)


def refuse_spent(request: HttpRequest, number: str) -> None:
    """Raises AlreadyShown when a form with this number has made its secret."""
    if number in request.session.get(SPENT, ()):
        raise AlreadyShown


def spend(request: HttpRequest, number: str) -> None:
    """Remembers the number, never the secret."""
    spent = [*request.session.get(SPENT, ()), number]
    request.session[SPENT] = spent[-REMEMBERED:]


def page(
    request: HttpRequest, disclosure: Disclosure, context: dict[str, object]
) -> TemplateResponse:
    """The page that shows the secret; no cache keeps it."""
    return TemplateResponse(
        request,
        "console/secret.html",
        {**context, "title": disclosure.what, "disclosure": disclosure},
        headers={"Cache-Control": "no-store"},
    )
