"""The lean handler and its one crossing into the database threads."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterable
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.http import HttpResponse, StreamingHttpResponse

from caracal_site import context, database
from caracal_site.coordinator import handler
from caracal_site.coordinator.threads import in_db
from caracal_site.errors import LockTimeout
from caracal_site.testing.client import Background, application
from caracal_site.testing.races import Threads
from zones.models import Zone

Message = dict[str, Any]


def receiving(messages: Iterable[Message]) -> handler.Receive:
    left = iter(messages)

    async def receive() -> Message:
        return next(left)

    return receive


def part(body: bytes, more: bool = True) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


@pytest.mark.parametrize(
    ("messages", "found"),
    [
        ([{"type": "http.request"}], (b"", True)),
        ([part(b"abc", False)], (b"abc", True)),
        ([part(b"ab"), part(b""), part(b"cd", False)], (b"abcd", True)),
        ([part(b"abcd"), part(b"e"), part(b"f", False)], (b"abcd", False)),
        ([part(b"abcdef", False)], (b"", False)),
    ],
)
def test_a_body_is_read_up_to_its_limit(
    background: Background, messages: list[Message], found: tuple[bytes, bool]
) -> None:
    body, complete = background.run(handler.read_body(receiving(messages), 4))
    assert complete is found[1]
    assert not complete or body == found[0]


def test_who_goes_away_in_the_middle_gets_no_answer(background: Background) -> None:
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/health", "headers": []}
    gone = receiving([part(b"{"), {"type": "http.disconnect"}])
    background.run(application(scope, gone, send))
    assert sent == []


def test_only_http_is_served(background: Background) -> None:
    with pytest.raises(ValueError, match="only HTTP"):
        background.run(application({"type": "websocket"}, receiving([]), None))  # type: ignore[arg-type]


@pytest.mark.parametrize("head_only", [False, True])
def test_a_response_is_written_and_closed(
    background: Background, head_only: bool
) -> None:
    closed: list[bool] = []
    response = HttpResponse(b"body", headers={"X-A": "é"})
    response._resource_closers.append(lambda: closed.append(True))
    sent: list[Message] = []

    async def write() -> None:
        async def send(message: Message) -> None:
            sent.append(message)

        await handler.write(response, send, head_only=head_only)
        handler.close(response)

    background.run(write())
    start, body = sent
    assert (b"x-a", "é".encode("latin1")) in start["headers"]
    assert (b"content-length", b"4") in start["headers"]
    assert body["body"] == (b"" if head_only else b"body")
    assert closed == [True]


def test_a_stream_is_written_part_by_part(background: Background) -> None:
    sent: list[Message] = []

    async def parts() -> Any:
        yield b"a"
        yield b"b"

    async def write() -> None:
        async def send(message: Message) -> None:
            sent.append(message)

        await handler.write(StreamingHttpResponse(parts()), send, head_only=False)

    background.run(write())
    assert [message.get("body") for message in sent] == [None, b"a", b"b", b""]


def test_a_crossing_takes_the_context_along_and_brings_the_result_back(
    background: Background,
) -> None:
    async def cross() -> tuple[str, str]:
        with context.job("crossing"):
            return await in_db(
                lambda: (context.current().path, threading.current_thread().name)
            )

    path, thread = background.run(cross())
    assert path == "crossing"
    assert thread.startswith("db-")


def test_an_error_comes_back_and_the_thread_goes_on(background: Background) -> None:
    def fail() -> None:
        raise KeyError("x")

    for _ in range(40):
        with pytest.raises(KeyError):
            background.run(in_db(fail))
    assert background.run(in_db(lambda: 1)) == 1


def test_a_broken_transaction_does_not_outlive_its_call(background: Background) -> None:
    def break_it() -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT 1 / 0")

    async def often() -> list[Any]:
        calls = (in_db(break_it) for _ in range(40))
        return await asyncio.gather(*calls, return_exceptions=True)

    assert all(isinstance(error, Exception) for error in background.run(often()))

    def ask() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 7")
            return int(cursor.fetchone()[0])

    async def again() -> list[int]:
        return await asyncio.gather(*(in_db(ask) for _ in range(40)))

    assert set(background.run(again())) == {7}


def test_whoever_falls_to_a_deadlock_runs_again(zone: Zone) -> None:
    """Two transactions lock two rows, each the other's first row last."""
    first, second = (
        Zone.objects.create(name=f"{zone.id}{n}", slug=f"{zone.id}{n}").id for n in "ab"
    )
    met = threading.Barrier(2)
    attempts: list[str] = []

    @transaction.atomic
    def crosswise(one: str, other: str) -> None:
        attempts.append(one)
        Zone.objects.select_for_update().get(id=one)
        if len(attempts) <= 2:
            met.wait(5)
        Zone.objects.select_for_update().get(id=other)

    with Threads(2) as threads:
        calls = [
            threads.start(database.retried, lambda a=a, b=b: crosswise(a, b))
            for a, b in ((first, second), (second, first))
        ]
        for call in calls:
            call.result()
    assert len(attempts) > 2, "neither fell"


def test_a_deadlock_that_never_ends_is_told_as_busy() -> None:
    error = OperationalError("x")
    error.__cause__ = type("Dead", (Exception,), {"sqlstate": "40P01"})()
    assert isinstance(database.translate(error), LockTimeout)
