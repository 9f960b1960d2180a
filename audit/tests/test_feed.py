"""The change feed: what a zone published, in order, as pages and as a stream."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings as configured
from django.db import connection
from pytest_django import Settings

from audit import publisher, streams, waiting
from audit.coordinator import MAX_PAGES
from audit.models import EventHead, OutboxEvent
from audit.tests.factories import entries, queue
from caracal_site import health, stores
from caracal_site.ids import new_id
from caracal_site.testing.client import Background
from caracal_site.testing.streams import Stream
from caracal_site.testing.world import ADMIN, World, refusal
from zones.models import Zone

OPERATOR = configured.CARACAL_COORDINATOR_TOKEN
KEY = bytes.fromhex(configured.STREAMS_HMAC_KEY)
TOPIC = "test.feed"


@pytest.fixture
def fresh(world: World) -> Iterator[World]:
    """A zone whose own beginnings are published and forgotten."""
    publish()
    OutboxEvent.objects.filter(zone_id=world.zone.id).delete()
    EventHead.objects.filter(zone_id=world.zone.id).delete()
    yield world
    stores.redis_client().delete(TOPIC)


def publish() -> None:
    publisher.publish(stores.redis_client())


def happen(world: World, *names: str, **payload: Any) -> None:
    """Events of the zone, published."""
    queue(world.zone.id, TOPIC, *({"n": name, **payload} for name in names))
    publish()


def ask(world: World, query: str = "", **given: Any) -> Any:
    given.setdefault("token", OPERATOR)
    return world.get(f"/events?wait=0{query}", **given)


def names(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [item["entry"]["n"] for item in answer.json()["items"]]


def listen(world: World, background: Background, query: str = "", **given: Any) -> Any:
    given.setdefault("token", OPERATOR)
    return Stream(background, world.path(f"/events{query}"), **given)


def waiters() -> int:
    return waiting.room._callers.total()


def wait_until_waiting(count: int = 1) -> None:
    """Returns when so many requests wait."""
    given_up_at = time.monotonic() + 10
    while waiters() != count:
        assert time.monotonic() < given_up_at, f"{waiters()} wait"


# Pages.


def test_events_come_in_the_order_of_their_numbers(fresh: World) -> None:
    happen(fresh, "a", "b", "c", "d")
    page = ask(fresh, "&limit=3").json()
    assert [item["zone_seq"] for item in page["items"]] == [1, 2, 3]
    assert (page["next_after"], page["last_seq"]) == (3, 4)
    page = ask(fresh, "&after=3").json()
    assert [item["entry"]["n"] for item in page["items"]] == ["d"]
    assert ask(fresh, "&after=4").json() == {
        "items": [],
        "next_after": 4,
        "last_seq": 4,
    }


def test_an_entry_is_what_the_stream_carries_signature_included(fresh: World) -> None:
    happen(fresh, "a", parent_id=None, epoch=7, ids=["x"], reason="two\nlines")
    (item,) = ask(fresh).json()["items"]
    (sent,) = entries(stores.redis_client(), TOPIC)
    assert item["entry"] == sent
    assert item["topic"] == TOPIC
    assert streams.verify(TOPIC, item["entry"], KEY)


def test_what_is_not_published_is_not_told(fresh: World) -> None:
    """A number is given when an event is published, with Redis and not before."""
    happen(fresh, "a")
    queue(fresh.zone.id, TOPIC, {"n": "b"})
    assert names(ask(fresh)) == ["a"]
    publish()
    assert names(ask(fresh)) == ["a", "b"]


def test_real_changes_are_in_the_feed(world: World) -> None:
    root = world.spawn()
    world.terminate(root)
    publish()
    items = ask(world).json()["items"]
    told = [(item["topic"], item["entry"].get("event")) for item in items]
    assert ("caracal.agents.lifecycle", "spawn") in told
    assert ("caracal.agents.lifecycle", "terminate") in told
    assert [item["zone_seq"] for item in items] == list(range(1, len(items) + 1))


def test_zones_do_not_see_each_other(fresh: World, elsewhere: Zone) -> None:
    queue(elsewhere.id, TOPIC, {"n": "theirs"})
    happen(fresh, "ours")
    assert names(ask(fresh)) == ["ours"]


# What is gone, and what is not there yet.


def test_events_past_their_retention_are_told_to_be_gone(fresh: World) -> None:
    happen(fresh, "a", "b", "c")
    OutboxEvent.objects.filter(zone_id=fresh.zone.id, zone_seq__lt=3).delete()
    answer = ask(fresh, "&after=1")
    assert refusal(answer) == (410, "events_expired")
    assert (answer.json()["oldest_seq"], answer.json()["last_seq"]) == (3, 3)
    assert refusal(ask(fresh, "&after=0")) == (410, "events_expired")
    assert names(ask(fresh, "&after=2")) == ["c"]
    assert names(ask(fresh)) == ["c"], "without a number it begins with what is there"


def test_when_all_are_gone_the_next_number_is_the_oldest(fresh: World) -> None:
    happen(fresh, "a", "b")
    OutboxEvent.objects.filter(zone_id=fresh.zone.id).delete()
    answer = ask(fresh, "&after=1")
    assert refusal(answer) == (410, "events_expired")
    assert answer.json()["oldest_seq"] == 3
    assert ask(fresh).json() == {"items": [], "next_after": 2, "last_seq": 2}
    assert names(ask(fresh, "&after=2")) == []


def test_a_hole_is_never_passed_over_in_silence(fresh: World) -> None:
    happen(fresh, "a", "b", "c")
    OutboxEvent.objects.filter(zone_id=fresh.zone.id, zone_seq=2).delete()
    page = ask(fresh)
    assert (names(page), page.json()["next_after"]) == (["a"], 1)
    assert ask(fresh, "&after=1").json()["oldest_seq"] == 3


def test_what_is_on_its_way_is_neither_told_nor_missed(fresh: World) -> None:
    """The publisher has given numbers and committed them; the entries go out next."""
    happen(fresh, "a")
    (row,) = queue(fresh.zone.id, TOPIC, {"n": "b"})
    head = EventHead.objects.get(zone_id=fresh.zone.id)
    head.last_seq, head.sending = 2, [row.position]
    head.save()
    for query in ("&after=1", "&after=2"):
        assert names(ask(fresh, query)) == []
    publish()
    assert names(ask(fresh, "&after=1")) == ["b"]


def test_a_number_that_was_never_given_is_refused(fresh: World) -> None:
    """A consumer of a database that was set back must not wait for its own past."""
    happen(fresh, "a")
    answer = ask(fresh, "&after=2")
    assert refusal(answer) == (409, "events_ahead")
    assert answer.json()["last_seq"] == 1
    assert refusal(ask(fresh, f"&after={2**63 - 1}")) == (409, "events_ahead")


@pytest.mark.parametrize(
    "query",
    [
        "after=-1",
        "after=x",
        "after=1.5",
        "after=",
        f"after={2**63}",
        "after=1&after=2",
        "limit=0",
        "limit=501",
        "limit=x",
        "wait=-1",
        "wait=26",
        "wait=1.5",
        "wait=nan",
        "since=1",
        "cursor=x",
    ],
)
def test_a_query_that_makes_no_sense_is_refused(world: World, query: str) -> None:
    answer = world.get(f"/events?{query}", token=OPERATOR)
    assert refusal(answer) == (400, "invalid_query")


# Who may see what.


def test_an_application_sees_what_it_takes_part_in(fresh: World) -> None:
    other = fresh.make_application()
    mine, theirs = fresh.spawn(), fresh.spawn(by=other)
    fresh.delegate(mine, theirs)
    lone = fresh.spawn()
    fresh.terminate(mine)
    fresh.terminate(lone)
    fresh.terminate(fresh.spawn(by=other), by=other)
    publish()
    everything = ask(fresh).json()["items"]
    seen = ask(fresh, token=fresh.token(other)).json()
    numbers = {item["zone_seq"] for item in seen["items"]}
    ours = {i["zone_seq"] for i in ask(fresh, token=fresh.token()).json()["items"]}
    assert numbers | ours == {item["zone_seq"] for item in everything}
    assert numbers & ours, "both ends of the delegation"
    alone = [i["entry"] for i in everything if i["zone_seq"] not in numbers]
    assert alone
    assert {entry.get("agent_session_id") for entry in alone} == {
        lone["agent_session_id"]
    }
    assert seen["next_after"] == seen["last_seq"] == len(everything)
    admin = ask(fresh, token=fresh.token(other, ADMIN)).json()
    assert admin["items"] == everything


def test_pages_that_hold_nothing_for_the_caller_are_read_through(
    fresh: World,
) -> None:
    happen(fresh, "a", "b", "c")
    agent = fresh.spawn()
    publish()
    page = ask(fresh, "&limit=1", token=fresh.token()).json()
    assert [i["entry"]["agent_session_id"] for i in page["items"]] == [
        agent["agent_session_id"]
    ]
    assert page["next_after"] == 4


def test_what_comes_after_much_that_is_not_the_caller_s_is_found_while_waiting(
    fresh: World,
) -> None:
    """It has been there all the time: nobody is notified of it any more."""
    many = 2 * MAX_PAGES + 5
    happen(fresh, *(f"n{nth}" for nth in range(many)))
    fresh.spawn()
    publish()
    page = fresh.get("/events?limit=1&wait=0").json()
    assert (page["items"], page["next_after"]) == ([], MAX_PAGES)
    begun = time.monotonic()
    page = fresh.get("/events?limit=1").json()
    assert [item["zone_seq"] for item in page["items"]] == [many + 1]
    assert time.monotonic() - begun < configured.EVENT_WAIT_MAX_SECONDS - 5


def test_callers_without_authority_are_refused(
    world: World, elsewhere: Zone, background: Background
) -> None:
    foreign = World(elsewhere, world.coordinator).token()
    path = world.path("/events")
    get = world.coordinator.get
    assert refusal(get(path)) == (401, "missing_token")
    assert refusal(get(path, token="x")) == (401, "invalid_token")
    assert refusal(get(path, token=foreign)) == (403, "zone_mismatch")
    nowhere = f"/zones/{new_id()}/events"
    assert refusal(get(nowhere, token=OPERATOR)) == (404, "zone_not_found")
    unscoped = world.token(scope="documents:read")
    assert refusal(get(path, token=unscoped)) == (403, "missing_scope")
    # A stream is refused before it begins.
    for token, expected in ((foreign, 403), ("x", 401)):
        stream = listen(world, background, token=token)
        assert (stream.status, stream.headers["content-type"]) == (
            expected,
            "application/json; charset=utf-8",
        )


# Waiting.


def test_who_waits_is_woken_by_what_happens(fresh: World) -> None:
    happen(fresh, "a")
    begun = time.monotonic()
    asked = fresh.start("GET", "/events?after=1", token=OPERATOR)
    wait_until_waiting()
    happen(fresh, "b")
    (answer,) = fresh.coordinator.at_once(asked)
    assert names(answer) == ["b"]
    # Nobody would have looked again without having been told.
    assert time.monotonic() - begun < configured.EVENT_WAIT_MAX_SECONDS - 5
    assert waiters() == 0


def test_news_of_another_zone_or_for_others_wakes_nobody_for_good(
    fresh: World, elsewhere: Zone
) -> None:
    asked = fresh.start("GET", "/events?wait=20")
    wait_until_waiting()
    queue(elsewhere.id, TOPIC, {"n": "theirs"})
    happen(fresh, "not the caller's")
    agent = fresh.spawn()
    publish()
    (answer,) = fresh.coordinator.at_once(asked)
    assert [i["entry"]["agent_session_id"] for i in answer.json()["items"]] == [
        agent["agent_session_id"]
    ]


def test_who_waits_in_vain_gets_an_empty_page_in_time(fresh: World) -> None:
    happen(fresh, "a")
    begun = time.monotonic()
    answer = fresh.get("/events?after=1&wait=1", token=OPERATOR)
    assert (names(answer), answer.json()["next_after"]) == ([], 1)
    assert 1 <= time.monotonic() - begun < 10
    assert waiters() == 0


def test_waiting_is_the_default(fresh: World, settings: Settings) -> None:
    settings.EVENT_WAIT_MAX_SECONDS = 1
    begun = time.monotonic()
    for query in ("", "?wait=20"):
        assert names(fresh.get(f"/events{query}", token=OPERATOR)) == []
    assert 2 <= time.monotonic() - begun < 20


def test_many_wait_without_thread_or_connection(fresh: World) -> None:
    """More than there are database threads, and others are served."""
    count = 8 * configured.COORDINATOR_DB_THREADS
    asked = [fresh.start("GET", "/events", token=OPERATOR) for _ in range(count)]
    wait_until_waiting(count)
    assert fresh.get("/agents").status_code == 200
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = %s",
            [waiting.APPLICATION_NAME],
        )
        assert cursor.fetchone() == (1,)
    happen(fresh, "a")
    answers = fresh.coordinator.at_once(*asked)
    assert [names(answer) for answer in answers] == [["a"]] * count
    assert waiters() == 0


def test_only_so_many_may_wait(fresh: World, settings: Settings) -> None:
    settings.EVENT_WAITERS_MAX, settings.EVENT_WAITERS_PER_CALLER = 2, 1
    other = fresh.make_application()
    asked = [fresh.start("GET", "/events")]
    wait_until_waiting(1)
    own = fresh.get("/events")
    assert refusal(own) == (429, "too_many_waiters")
    assert int(own.headers["Retry-After"]) >= 1
    asked.append(fresh.start("GET", "/events", by=other))
    wait_until_waiting(2)
    assert refusal(fresh.get("/events", token=OPERATOR)) == (503, "too_many_waiters")
    assert names(ask(fresh)) == [], "who does not wait is always answered"
    fresh.spawn()
    fresh.spawn(by=other)
    publish()
    assert [a.status_code for a in fresh.coordinator.at_once(*asked)] == [200, 200]
    assert waiters() == 0


def test_who_goes_away_gives_the_place_back(
    fresh: World, background: Background
) -> None:
    stream = listen(fresh, background)
    other = listen(fresh, background)
    wait_until_waiting(2)
    stream.leave()
    assert waiters() == 1
    other.leave()
    assert waiters() == 0


def test_the_listener_comes_back_and_nothing_is_missed_meanwhile(
    fresh: World,
) -> None:
    """Its connection is cut; what is published then is found without it."""
    for after, name in enumerate(("a", "b")):
        asked = fresh.start("GET", f"/events?after={after}", token=OPERATOR)
        wait_until_waiting()
        wait_until_listening()
        cut_listener()
        happen(fresh, name)
        (answer,) = fresh.coordinator.at_once(asked)
        assert names(answer) == [name]


def wait_until_listening() -> None:
    given_up_at = time.monotonic() + 10
    while not waiting.listening._value.get():
        assert time.monotonic() < given_up_at, "nobody listens"


def cut_listener() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND application_name = %s",
            [waiting.APPLICATION_NAME],
        )
        assert cursor.fetchall() == [(True,)]


def test_a_process_that_drains_sends_everybody_home(
    fresh: World, background: Background, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = fresh.start("GET", "/events", token=OPERATOR)
    stream = listen(fresh, background)
    wait_until_waiting(2)
    monkeypatch.setattr(health, "_draining", type(health._draining)())
    begun = time.monotonic()
    health.begin_draining()
    (answer,) = fresh.coordinator.at_once(asked)
    assert names(answer) == []
    assert list(stream.parts()) == ["retry: 2000"]
    assert names(fresh.get("/events", token=OPERATOR)) == [], "nobody waits any more"
    assert time.monotonic() - begun < 5
    assert waiters() == 0


# The stream.


def test_a_stream_tells_what_was_and_what_comes(
    fresh: World, background: Background
) -> None:
    happen(fresh, "a", "b")
    stream = listen(fresh, background, "?after=1")
    assert stream.status == 200
    assert stream.headers["content-type"] == "text/event-stream"
    assert stream.headers["cache-control"] == "no-store"
    assert stream.part("retry: ") == "retry: 2000"
    (told,) = stream.events(1)
    assert (told["id"], told["event"], told["data"]["n"]) == ("2", TOPIC, "b")
    assert streams.verify(TOPIC, told["data"], KEY)
    happen(fresh, "c", "d")
    assert [e["id"] for e in stream.events(2)] == ["3", "4"]
    stream.leave()


def test_a_client_that_comes_back_goes_on_where_it_was(
    fresh: World, background: Background
) -> None:
    happen(fresh, "a", "b", "c")
    stream = listen(fresh, background, "?after=0", headers={"Last-Event-ID": "2"})
    assert [event["data"]["n"] for event in stream.events(1)] == ["c"]
    stream.leave()
    refused = listen(fresh, background, headers={"Last-Event-ID": "4"})
    assert (refused.status, refused.body()["error"]) == (409, "events_ahead")
    for wrong in ("x", "-1", "1.0", "9" * 30):
        refused = listen(fresh, background, headers={"Last-Event-ID": wrong})
        assert (refused.status, refused.body()["error"]) == (400, "invalid_query")
    OutboxEvent.objects.filter(zone_id=fresh.zone.id, zone_seq=1).delete()
    refused = listen(fresh, background, "?after=0")
    assert (refused.status, refused.body()["oldest_seq"]) == (410, 2)


def test_a_silent_stream_shows_that_it_is_there_and_how_far_it_is(
    fresh: World, background: Background, settings: Settings
) -> None:
    settings.EVENT_HEARTBEAT_SECONDS = 1
    stream = listen(fresh, background, token=fresh.token())
    happen(fresh, "not the caller's")
    while (beat := stream.part(": ")) != ": still here\nid: 1":
        assert beat == ": still here\nid: 0"
    stream.leave()


def test_a_stream_ends_with_the_authority_it_stands_on(
    fresh: World, background: Background, settings: Settings
) -> None:
    settings.EVENT_HEARTBEAT_SECONDS = 1
    stream = listen(fresh, background, token=fresh.token())
    wait_until_waiting()
    session = fresh.session()
    session.status = "revoked"
    session.save()
    happen(fresh, "a")
    assert not [part for part in stream.parts() if "event: " in part]
    assert waiters() == 0


def test_a_stream_ends_when_its_token_is_over(
    fresh: World, background: Background, settings: Settings
) -> None:
    settings.EVENT_HEARTBEAT_SECONDS = 1
    # As far past its time as clocks may be apart, but for two seconds.
    token = fresh.token(exp=int(time.time()) - 58)
    stream = listen(fresh, background, token=token)
    assert stream.status == 200
    assert "event: " not in "".join(stream.parts())
    assert waiters() == 0


def test_head_neither_waits_nor_streams(fresh: World, background: Background) -> None:
    begun = time.monotonic()
    for accept in ("application/json", "text/event-stream"):
        answer = fresh.coordinator.head(
            fresh.path("/events"), token=OPERATOR, headers={"Accept": accept}
        )
        assert (answer.status_code, answer.content) == (200, b"")
    assert time.monotonic() - begun < 5


def test_what_is_accepted_decides_between_page_and_stream(
    fresh: World, background: Background
) -> None:
    happen(fresh, "a")
    for accept in ("application/json", "*/*", "text/html", ""):
        answer = ask(fresh, headers={"Accept": accept})
        assert names(answer) == ["a"]
    for accept in ("text/event-stream", "text/event-stream, application/json;q=0.5"):
        stream = listen(fresh, background, headers={"accept": accept})
        assert stream.headers["content-type"] == "text/event-stream"
        stream.leave()
