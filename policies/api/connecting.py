"""The two pages of a person who connects an account: before the provider, and after.

The first shows whose account it will be and, agreed to, makes this browser the one that
may come back. The second is where the provider sends it; programs get JSON there.
"""

from __future__ import annotations

import hashlib
from http import HTTPStatus
from typing import Any, ClassVar
from urllib.parse import urlencode, urlsplit

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, QueryDict
from django.shortcuts import render
from django.template.loader import render_to_string
from django.urls import reverse
from django.views.decorators.csrf import csrf_protect
from drf_spectacular.utils import OpenApiParameter
from rest_framework.request import Request
from rest_framework.response import Response

from caracal_site import context, documentation, rates
from caracal_site.api.exceptions import as_caracal_error
from caracal_site.api.fallbacks import refused
from caracal_site.api.schema import described
from caracal_site.api.views import ApiViewSet
from caracal_site.errors import CaracalError, InvalidParams, MethodNotAllowed
from caracal_site.ids import is_id
from policies.api import grant_shapes as shapes
from policies.grants import errors, services
from policies.grants.services import Answer, Begun, Connected, Pending
from policies.grants.services.connecting import STATE_SECONDS

CALLBACKS_PER_MINUTE = 60
MAX_PARAMETER = 4_096
MIN_STATE, MAX_STATE = 32, 256
PARAMETERS = ("state", "code", "error", "error_description", "iss")
COOKIE = "caracal_connect_"


def start_url(zone_id: str, begun: Begun) -> str:
    """The page a person begins at: where the provider will send the browser back to,
    so that it has the cookie there."""
    path = reverse("policies:provider-oauth-start", args=[zone_id])
    back = reverse("policies:provider-oauth-callback", args=[zone_id])
    base = settings.API_URL.rstrip("/")
    if begun.redirect_uri.endswith(back):
        base = begun.redirect_uri.removesuffix(back)
    return f"{base}{path}?{urlencode({'state': begun.state})}"


def recognise(response: HttpResponse, zone_id: str, state: str) -> None:
    """Lets the browser that gets ``response`` finish the authorization."""
    response.set_cookie(
        _cookie(state),
        services.browser_proof(state),
        max_age=STATE_SECONDS,
        path=reverse("policies:provider-oauth-callback", args=[zone_id]).rpartition(
            "/"
        )[0],
        secure=settings.CONSOLE_COOKIE_SECURE,
        httponly=True,
        # The provider's redirect comes from another site.
        samesite="Lax",
    )


def _cookie(state: str) -> str:
    """One for each authorization, so that two can be under way."""
    return COOKIE + hashlib.sha256(state.encode()).hexdigest()[:16]


def _proof(request: HttpRequest, state: str) -> str:
    return str(request.COOKIES.get(_cookie(state), ""))


@csrf_protect
def start(request: HttpRequest, zone_id: str) -> HttpResponse:
    """Asks whether this is the person's own account, then goes to the provider."""
    try:
        if request.method not in ("GET", "HEAD", "POST"):
            raise MethodNotAllowed(("GET", "HEAD", "POST"))
        if not is_id(zone_id):
            raise InvalidParams
        _limit()
        state = _state(request.GET.getlist("state"))
        asked = {"zone_id": zone_id, "proof": _proof(request, state)}
        if request.method != "POST":
            return _asking(request, services.pending_authorization(state, **asked))
        pending = services.claim_authorization(state, **asked)
    except CaracalError as error:
        return _failed(request, error, as_page=True)
    response = HttpResponseRedirect(pending.url, status=HTTPStatus.SEE_OTHER)
    recognise(response, zone_id, state)
    return response


def _asking(request: HttpRequest, pending: Pending) -> HttpResponse:
    provider = urlsplit(pending.url)
    facts = {"pending": pending, "host": provider.netloc}
    response = render(request, "policies/connect.html", facts)
    # Browsers hold a form to this also where its answer leads elsewhere.
    response._csp_update = {  # type: ignore[attr-defined]  # read by django-csp
        "form-action": [f"{provider.scheme}://{provider.netloc}"]
    }
    response["Cache-Control"] = "no-store"
    return response


class CallbackViewSet(ApiViewSet):
    """Where providers send people back to. Open to anybody: the state and the cookie
    of the browser decide."""

    model = "policies.providergrant"
    authentication_classes = ()
    permission_classes = ()
    throttle_classes = ()
    success_status: ClassVar = {"callback": 201}

    def check_query(self, request: Request) -> None:
        """Providers send parameters of their own, which are nobody's business."""

    @described(
        "Come back from a provider",
        answer=shapes.ConnectedShape,
        status=201,
        refusals=(400, 404, 502),
        parameters=tuple(OpenApiParameter(name) for name in PARAMETERS),
    )
    def callback(self, request: Request, zone_id: str) -> Any:
        if request.method == "HEAD":
            # Asked by what looks at links, which must not use them up.
            return Response(status=HTTPStatus.OK)
        _limit()
        answer = _answer(request.GET)
        plain = request._request
        connected = services.finish_authorization(
            answer, zone_id=zone_id, proof=_proof(plain, answer.state)
        )
        if is_page_wanted(plain):
            response: Any = _page(plain, _told(connected), HTTPStatus.CREATED)
        else:
            body = shapes.columns_of(connected.grant, shapes.CONNECTED)
            response = Response(body, status=HTTPStatus.CREATED)
        response.delete_cookie(_cookie(answer.state))
        return response

    def handle_exception(self, exc: Exception) -> Any:
        plain = self.request._request
        if not is_page_wanted(plain):
            return super().handle_exception(exc)
        error = as_caracal_error(exc, self.invalid_body, self)
        if error.status == HTTPStatus.INTERNAL_SERVER_ERROR:
            super().handle_exception(exc)
        response = _failed(plain, error, as_page=True)
        response.error = error  # type: ignore[attr-defined]  # read by the refusal audit
        return response


def is_page_wanted(request: HttpRequest) -> bool:
    """Whether a person's browser asks, as browsers say."""
    accepted = request.META.get("HTTP_ACCEPT", "")
    return "text/html" in accepted and "application/json" not in accepted


def _limit() -> None:
    rates.check("oauth_pages", context.current().source, CALLBACKS_PER_MINUTE)


def _answer(query: QueryDict) -> Answer:
    """What the provider says. Raises InvalidOAuthCallback."""
    found: dict[str, str] = {}
    for name in PARAMETERS:
        values = query.getlist(name)
        if not values:
            continue
        if len(values) > 1 or not 0 < len(values[0]) <= MAX_PARAMETER:
            raise errors.InvalidOAuthCallback
        if "\0" in values[0]:
            raise errors.InvalidOAuthCallback
        found[name] = values[0]
    state, issuer = _state(query.getlist("state")), found.pop("iss", None)
    return Answer(**{**found, "state": state}, issuer=issuer)


def _state(values: list[str]) -> str:
    if len(values) != 1 or not MIN_STATE <= len(values[0]) <= MAX_STATE:
        raise errors.InvalidOAuthCallback
    if not values[0].isascii() or not values[0].isprintable():
        raise errors.InvalidOAuthCallback
    return values[0]


def _told(connected: Connected) -> dict[str, Any]:
    return {
        "is_good": True,
        "title": "Account connected",
        "sentence": f"Your account at {connected.provider_name} is connected for"
        f" {connected.grant.user_id}. It is used for {connected.resource_name}.",
    }


def _failed(
    request: HttpRequest, error: CaracalError, *, as_page: bool
) -> HttpResponse:
    if not as_page:
        return refused(request, error)
    facts = {
        "is_good": False,
        "title": "Not connected",
        "sentence": error.sentence,
        "code": error.code,
        "request_id": context.current().request_id,
    }
    return _page(request, facts, error.status, dict(error.headers))


def _page(
    request: HttpRequest,
    facts: dict[str, Any],
    status: int,
    headers: dict[str, str] | None = None,
) -> HttpResponse:
    response = HttpResponse(
        render_to_string("policies/connected.html", facts, request=request),
        status=status,
        content_type=documentation.PAGE,
        headers=headers,
    )
    response["Cache-Control"] = "no-store"
    return response
