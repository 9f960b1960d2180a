"""An in-process client of the coordinator: real requests to the real ASGI application.

One event loop runs in a thread of its own for the whole session; tests call it
synchronously, one request at a time or several at once.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Mapping
from concurrent.futures import Future
from functools import partial
from typing import Any, TypeVar

import httpx
from django.conf import settings
from django.db import connection

from audit import waiting
from caracal_site import rates, stores
from caracal_site.coordinator.handler import LeanASGIHandler
from caracal_site.coordinator.threads import in_db
from caracal_site.ids import new_id

T = TypeVar("T")
PATIENCE_SECONDS = 60
# Not the one of caracal_site.asgi, beside which companions run.
application = LeanASGIHandler()


class Background:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="coordinator", daemon=True
        )
        self._thread.start()

    def start(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.start(work).result(PATIENCE_SECONDS)

    def forget_redis(self) -> None:
        """Closes what is connected to Redis; the next use opens new connections."""
        self.run(_forget_redis())
        rates._sync_client().close()
        rates._sync_client.cache_clear()
        stores.redis_client().close()
        rates._paused_until = 0.0

    def stop(self) -> None:
        """Closes what the coordinator keeps open: its database will be dropped."""
        self.run(in_every_db_thread(lambda: connection.close()))
        self.run(waiting.room.close())
        self.forget_redis()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE_SECONDS)
        self._loop.close()


async def in_every_db_thread(work: Any) -> list[Any]:
    """Runs ``work`` once in each of the coordinator's database threads."""
    everybody = threading.Barrier(settings.COORDINATOR_DB_THREADS)

    def meet_and_work() -> Any:
        everybody.wait(PATIENCE_SECONDS)
        return work()

    calls = (in_db(meet_and_work) for _ in range(everybody.parties))
    return await asyncio.gather(*calls)


async def _forget_redis() -> None:
    # The limiter's client belongs to this loop.
    await rates._async_client().aclose()
    rates._async_client.cache_clear()


class Coordinator:
    """Requests to the coordinator from an address of their own."""

    def __init__(self, background: Background) -> None:
        self.background = background
        self.address = new_id()
        transport = httpx.ASGITransport(
            application,  # type: ignore[arg-type]  # one ASGI, two ways to type it
            raise_app_exceptions=True,
            client=(self.address, 1),
        )
        self._client = httpx.AsyncClient(
            transport=transport, base_url="http://coordinator"
        )
        self.get = partial(self.request, "GET")
        self.head = partial(self.request, "HEAD")
        self.post = partial(self.request, "POST")
        self.put = partial(self.request, "PUT")
        self.patch = partial(self.request, "PATCH")
        self.delete = partial(self.request, "DELETE")

    def request(
        self, method: str, path: str, json: Any = None, **given: Any
    ) -> httpx.Response:
        """One request; ``token`` is the bearer, ``content`` a body as it is."""
        return self.start(method, path, json, **given).result(PATIENCE_SECONDS)

    def start(
        self,
        method: str,
        path: str,
        json: Any = None,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        content: bytes | str | None = None,
    ) -> Future[httpx.Response]:
        """Begins a request and does not wait for it."""
        sent = dict(headers or {})
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        return self.background.start(
            self._client.request(method, path, json=json, headers=sent, content=content)
        )

    def at_once(self, *requests: Future[httpx.Response]) -> list[httpx.Response]:
        """The answers of requests begun with ``start``, in their order."""
        return [request.result(PATIENCE_SECONDS) for request in requests]

    def close(self) -> None:
        self.background.run(self._client.aclose())
