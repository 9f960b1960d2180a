"""A lean ASGI handler: Django's requests and responses without its per-request thread.

Django's own handler runs signals, a disconnect watcher and the closing of each
response through ``sync_to_async``, which costs more than everything else in a short
request. This one reads the body into memory, resolves the route, awaits the view and
closes the response directly. Views are asynchronous and touch the database only
through ``in_db``, which looks after its connection.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from io import BytesIO
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.core.handlers.asgi import ASGIHandler, ASGIRequest
from django.http import HttpRequest, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import Resolver404, URLResolver, get_resolver

from caracal_site.coordinator.endpoint import View, views_of
from caracal_site.draining import drain

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[Mapping[str, Any]]]
Send = Callable[[Mapping[str, Any]], Awaitable[None]]
unknown_route = views_of({})


class Disconnected(Exception):
    """The client went away before its request was complete."""


class LeanASGIHandler(ASGIHandler):
    """Serves ``COORDINATOR_URLCONF``."""

    def load_middleware(self, is_async: bool = False) -> None:
        """Nothing: the pipeline of ``endpoint`` stands in for the middleware chain."""

    def __init__(self) -> None:
        super().__init__()
        self.resolver: URLResolver = get_resolver(settings.COORDINATOR_URLCONF)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise ValueError(f"only HTTP is served here, not {scope['type']}")
        if not drain.is_arranged:
            drain.arrange()
        try:
            body, complete = await read_body(
                receive, settings.COORDINATOR_BODY_LIMIT_BYTES
            )
        except Disconnected:
            return
        request = ASGIRequest(scope, BytesIO(body))
        request.body_too_large = not complete  # type: ignore[attr-defined]
        request.receive = receive  # type: ignore[attr-defined]
        response = await self.respond(request)
        try:
            await write(response, send, head_only=request.method == "HEAD")
        finally:
            close(response)

    async def respond(self, request: ASGIRequest) -> HttpResponseBase:
        try:
            match = self.resolver.resolve(request.path_info)
        except (Resolver404, RequestDataTooBig):
            return await unknown_route(request)
        request.resolver_match = match
        view: View = match.func
        return await view(request, *match.args, **match.kwargs)


async def read_body(receive: Receive, limit: int) -> tuple[bytes, bool]:
    """The body and whether it is whole; past ``limit`` bytes the rest is read and
    dropped, so that the client gets its answer."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Disconnected
        chunk = message.get("body", b"")
        size += len(chunk)
        if size <= limit:
            chunks.append(chunk)
        if not message.get("more_body", False):
            return b"".join(chunks) if len(chunks) != 1 else chunks[0], size <= limit


async def write(response: HttpResponseBase, send: Send, *, head_only: bool) -> None:
    headers = [
        (k.lower().encode("ascii"), v.encode("latin1")) for k, v in response.items()
    ]
    start = {"type": "http.response.start", "status": response.status_code}
    if isinstance(response, StreamingHttpResponse):
        await send({**start, "headers": headers})
        async for part in response:
            await send({"type": "http.response.body", "body": part, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        return
    content = response.getvalue()
    if response.status_code != 204:
        headers.append((b"content-length", str(len(content)).encode()))
    await send({**start, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head_only else content})


async def disconnected(request: HttpRequest) -> None:
    """Returns when the client of a request, whose body has been read, has gone."""
    receive: Receive = request.receive  # type: ignore[attr-defined]
    while (await receive())["type"] != "http.disconnect":
        pass


def close(response: HttpResponseBase) -> None:
    for closer in response._resource_closers:  # type: ignore[attr-defined]
        closer()
