"""People of the console at the Management API, in the browser they are signed in with.

They may do here what they may do in the console, no more: the permission of the model
a view is about decides. Whatever changes something carries the CSRF token of a page.
"""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser
from django.http import HttpRequest, HttpResponse
from rest_framework.authentication import BaseAuthentication, CSRFCheck
from rest_framework.permissions import SAFE_METHODS, BasePermission
from rest_framework.request import Request

from caracal_site.actors import Actor, ActorKind
from caracal_site.api.errors import CsrfFailed, Forbidden
from caracal_site.console.actors import console_actor

ADDING = frozenset({"create", "register"})


class ConsoleSessionAuthentication(BaseAuthentication):
    """The session of a member of staff; a request with a bearer token has none."""

    def authenticate(self, request: Request) -> tuple[Any, Actor] | None:
        plain: Any = request._request
        has_session = settings.SESSION_COOKIE_NAME in request.COOKIES
        if "HTTP_AUTHORIZATION" in request.META or not has_session:
            return None
        person = plain.user
        if not (person.is_active and getattr(person, "is_staff", False)):
            return None
        self.check_csrf(plain)
        return person, console_actor(person)

    def check_csrf(self, request: Any) -> None:
        """As Django's middleware does, which views of an API are exempt from."""

        def respond(_request: HttpRequest) -> HttpResponse:
            return HttpResponse()

        check = CSRFCheck(respond)
        check.process_request(request)
        if check.process_view(request, respond, (), {}):
            raise CsrfFailed


class ConsolePermission(BasePermission):
    """What the console asks of a person, asked on each route of theirs."""

    def has_permission(self, request: Request, view: Any) -> bool:
        actor = request.auth
        if not isinstance(actor, Actor) or actor.kind is not ActorKind.CONSOLE:
            return True
        person: Any = request.user
        if not may(person, view, request.method or ""):
            raise Forbidden
        return True


def may(person: AbstractBaseUser, view: Any, method: str) -> bool:
    """Whether the person may use the view's route. One about no model is for
    superusers, unless it is open to every zone."""
    able: Any = person
    if not view.model:
        return bool(able.is_superuser or view.open_to_zones)
    app, _, model = view.model.partition(".")
    if method in SAFE_METHODS or view.action in view.reads_with_post:
        # As Django's admin has it, who may change a thing may look at it.
        return any(
            able.has_perm(f"{app}.{verb}_{model}") for verb in ("view", "change")
        )
    verb = "add" if view.action in ADDING else "change"
    return bool(able.has_perm(f"{app}.{verb}_{model}"))
