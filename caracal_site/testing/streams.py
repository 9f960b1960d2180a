"""A client of the coordinator that reads an answer while it is being written."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from queue import Empty, Queue
from typing import Any
from urllib.parse import urlsplit

import orjson

from caracal_site.testing.client import PATIENCE_SECONDS, Background, application

Message = dict[str, Any]


class Stream:
    """One request whose answer goes on; ``leave`` is what a closed window does."""

    def __init__(
        self,
        background: Background,
        path: str,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        method: str = "GET",
    ) -> None:
        given = {"accept": "text/event-stream", **(headers or {})}
        if token is not None:
            given["authorization"] = f"Bearer {token}"
        address = urlsplit(path)
        self._scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": address.path,
            "query_string": address.query.encode(),
            "headers": [(k.lower().encode(), v.encode()) for k, v in given.items()],
            "client": ("stream", 1),
            "server": ("coordinator", 80),
        }
        self._background = background
        self._sent: Queue[Message] = Queue()
        self._gone = asyncio.Event()
        self._has_asked = False
        self._text = ""
        self.serving = background.start(
            application(self._scope, self._receive, self._send)
        )
        start = self._next()
        self.status: int = start["status"]
        self.headers = {k.decode(): v.decode() for k, v in start["headers"]}

    async def _receive(self) -> Message:
        if not self._has_asked:
            self._has_asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Mapping[str, Any]) -> None:
        self._sent.put(dict(message))

    def _next(self) -> Message:
        try:
            return self._sent.get(timeout=PATIENCE_SECONDS)
        except Empty:
            raise AssertionError("nothing came") from None

    def body(self) -> Any:
        """The whole answer as JSON, when it is no stream."""
        return orjson.loads(self._next()["body"])

    def parts(self) -> Iterator[str]:
        """What is between empty lines, until the stream ends."""
        while True:
            while "\n\n" in self._text:
                part, _, self._text = self._text.partition("\n\n")
                yield part
            message = self._next()
            if not message.get("more_body"):
                return
            self._text += message["body"].decode()

    def part(self, beginning: str) -> str:
        """The next part that begins so."""
        for part in self.parts():
            if part.startswith(beginning):
                return part
        raise AssertionError(f"the stream ended without {beginning!r}")

    def events(self, count: int) -> list[dict[str, Any]]:
        """The next events as (id, event, data)."""
        found = []
        for _ in range(count):
            part = self.part("id: ")
            members = dict(line.split(": ", 1) for line in part.splitlines())
            found.append({**members, "data": orjson.loads(members["data"])})
        return found

    def leave(self) -> None:
        """Goes away; returns when the server has noticed."""
        self._background._loop.call_soon_threadsafe(self._gone.set)
        self.serving.result(PATIENCE_SECONDS)
