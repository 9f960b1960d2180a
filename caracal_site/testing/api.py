"""An in-process client of the Management API: the whole WSGI deployment, one request
at a time, from an address of its own."""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import orjson
from django.test import Client

from caracal_site.ids import new_id

JSON = "application/json"


@cache
def _deployment() -> Client:
    """One for all, because loading the middleware reads every static file."""
    return Client()


class Api:
    """Requests with one bearer token; ``as_`` gives the same with another."""

    def __init__(self, token: str | None) -> None:
        self.token = token
        self.address = new_id()
        self.get = partial(self.request, "GET")
        self.head = partial(self.request, "HEAD")
        self.post = partial(self.request, "POST")
        self.put = partial(self.request, "PUT")
        self.patch = partial(self.request, "PATCH")
        self.delete = partial(self.request, "DELETE")

    def as_(self, token: str | None) -> Api:
        return Api(token)

    def request(
        self,
        method: str,
        path: str,
        json: Any = None,
        *,
        content: bytes | None = None,
        content_type: str | None = None,
        **headers: str,
    ) -> Any:
        """One request. ``content`` is a body as it is; a header ``X-Y`` is ``x_y``.

        Without a body no content type is sent, as real clients do.
        """
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token is not None:
            sent.setdefault("authorization", f"Bearer {self.token}")
        if json is not None:
            content = orjson.dumps(json)
        if content is not None and content_type is None:
            content_type = JSON
        return _deployment().generic(
            method,
            path,
            content or b"",
            content_type=content_type,
            headers=sent,
            REMOTE_ADDR=self.address,
        )


def refusal(response: Any) -> tuple[int, str]:
    """Status and code of a refused request, whose body is the platform's own."""
    body = response.json()
    assert body["requestId"] == response["X-Request-ID"]
    assert body["error_description"]
    assert response["Content-Type"] == "application/json; charset=utf-8"
    return response.status_code, body["error"]


def made(response: Any) -> dict[str, Any]:
    """The body of a 201."""
    assert response.status_code == 201, response.content
    body: dict[str, Any] = response.json()
    return body
