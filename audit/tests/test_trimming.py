"""Streams go behind their readers; a limit that costs a reader something is told."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from audit import trimming
from audit.tests.factories import private_valkey

STREAM, GROUP, CONSUMER = "caracal.agents.lifecycle", "observers", "one"


@pytest.fixture(scope="module")
def server() -> Iterator[Any]:
    with private_valkey() as running:
        yield running


@pytest.fixture
def client(server: Any, settings: Any) -> redis.Redis:
    settings.STREAMS_MAXLEN, settings.STREAMS_HARD_MAXLEN = 1_000, 4_000
    server.client.flushall()
    return server.client


def write(client: redis.Redis, count: int, stream: str = STREAM) -> None:
    """As the publisher does."""
    with client.pipeline(transaction=False) as pipeline:
        for number in range(count):
            pipeline.xadd(stream, {"n": number}, maxlen=4_000, approximate=True)
        pipeline.execute()


def read(client: redis.Redis, count: int, *, group: str = GROUP) -> list[Any]:
    answer: Any = client.xreadgroup(group, CONSUMER, {STREAM: ">"}, count=count)
    return [entry_id for _, entries in answer for entry_id, _ in entries]


def test_a_stream_that_nobody_is_registered_at_keeps_its_length(
    client: redis.Redis,
) -> None:
    write(client, 2_500)
    outcome = trimming.trim(client)
    assert (outcome.handled, outcome.backlog, outcome.error) == (1_500, 0, "")
    assert client.xlen(STREAM) == 1_000
    assert trimming.trim(client).handled == 0


def test_what_one_of_several_groups_has_not_read_stays(client: redis.Redis) -> None:
    client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    client.xgroup_create(STREAM, "slow", id="0")
    write(client, 1_900)
    client.xack(STREAM, GROUP, *read(client, 1_900))
    client.xack(STREAM, "slow", *read(client, 300, group="slow"))
    outcome = trimming.trim(client)
    # By whole nodes of a hundred.
    assert 200 <= outcome.handled <= 300
    assert outcome.backlog == client.xlen(STREAM) - 1_000
    assert outcome.error == ""
    client.xack(STREAM, "slow", *read(client, 1_600, group="slow"))
    assert trimming.trim(client).backlog == 0
    assert 1_000 <= client.xlen(STREAM) <= 1_000 + trimming.NODE


def test_what_was_read_and_not_acknowledged_stays(client: redis.Redis) -> None:
    client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    write(client, 1_500)
    first, *others = read(client, 1_500)
    client.xack(STREAM, GROUP, *others)
    assert trimming.trim(client).handled == 0
    client.xack(STREAM, GROUP, first)
    assert trimming.trim(client).handled == 500


def test_who_lets_a_stream_grow_is_named(client: redis.Redis) -> None:
    client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    write(client, 2_000)
    outcome = trimming.trim(client)
    assert outcome.error == f"{STREAM} has 2000 entries: {GROUP} is behind"
    assert outcome.backlog == 1_000


def test_who_has_lost_entries_to_the_limit_is_named_until_it_reads_on(
    client: redis.Redis,
) -> None:
    client.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
    write(client, 10)
    client.xack(STREAM, GROUP, *read(client, 10))
    write(client, 6_000)
    gone = 6_010 - client.xlen(STREAM)
    lost = f"{GROUP} has lost {gone - 10} entries, refill from the feed"
    assert lost in trimming.trim(client).error
    client.xack(STREAM, GROUP, *read(client, 6_000))
    assert trimming.trim(client).error == ""
    assert client.xlen(STREAM) <= 1_000 + trimming.NODE


def test_a_group_that_begins_later_has_lost_nothing(client: redis.Redis) -> None:
    write(client, 6_000)
    client.xgroup_create(STREAM, GROUP, id="0")
    assert "lost" not in trimming.trim(client).error


def test_streams_of_the_ledger_and_of_others_are_left_alone(
    client: redis.Redis,
) -> None:
    for stream in ("caracal.audit.heads", "somebody.else"):
        write(client, 1_500, stream)
    client.set("caracal.no-stream", "x")
    assert trimming.trim(client).handled == 0
    assert client.xlen("somebody.else") == client.xlen("caracal.audit.heads") == 1_500
