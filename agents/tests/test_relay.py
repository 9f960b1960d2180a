"""The lifecycle relay: the stream of agents is verified, each event once."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
import redis
from django.conf import settings as configured
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from pytest_django import Settings

from agents import relay, tasks
from agents.events import LIFECYCLE
from audit import publisher, streams
from audit.tests.factories import PrivateValkey, happen, private_valkey
from caracal_site import facts, operations, stores
from caracal_site.console.tests import asking
from caracal_site.ids import new_id
from caracal_site.jobs import Outcome
from caracal_site.models import JobRun
from caracal_site.testing.races import Threads
from caracal_site.testing.world import World
from zones.models import Zone

KEY = bytes(range(32))
FOREIGN = bytes(range(1, 33))
NOTHING = {"observed": 0, "duplicates": 0, "invalid_signatures": 0, "trimmed": 0}


@pytest.fixture
def valkey(settings: Settings) -> Iterator[PrivateValkey]:
    # What other tests have left is not for this server.
    publisher.publish(stores.redis_client())
    with private_valkey() as server:
        settings.REDIS_URL = f"redis://127.0.0.1:{server.port}/0"
        settings.STREAMS_HMAC_KEY = KEY.hex()
        yield server


@pytest.fixture
def client(valkey: PrivateValkey) -> redis.Redis:
    return valkey.client


def write(client: redis.Redis, *, key: bytes = KEY, **fields: str) -> str:
    """An entry as the publisher writes it, or as somebody else does."""
    named = {"outbox_id": new_id(), "event": "spawn", "zone_id": "z", **fields}
    signed = streams.signed(LIFECYCLE, list(named.items()), key) if key else named
    return client.xadd(LIFECYCLE, dict(signed)).decode()


def run(client: redis.Redis) -> dict[str, int]:
    """What a run counted, without what it did not meet."""
    outcome = relay.relay(client)
    assert outcome.handled == sum(outcome.counts.values())
    return {name: number for name, number in outcome.counts.items() if number}


def unread(client: redis.Redis) -> int:
    """How many entries are pending or not delivered yet."""
    group: Any = client.xinfo_groups(LIFECYCLE)[0]
    return int(group["pending"]) + int(group["lag"] or 0)


def test_what_the_platform_tells_is_observed_once(
    client: redis.Redis, world: World
) -> None:
    root = world.spawn()
    world.spawn(root)
    world.suspend(root)
    world.resume(root)
    publisher.publish(client)
    assert run(client) == {"observed": 6}
    assert run(client) == {}
    assert unread(client) == 0


@pytest.mark.parametrize("key", [b"", FOREIGN])
def test_an_entry_of_another_origin_is_counted_told_and_left_behind(
    client: redis.Redis, caplog: pytest.LogCaptureFixture, key: bytes
) -> None:
    forged = write(client, key=key, reason="let me in")
    genuine = write(client)
    with caplog.at_level(logging.ERROR, logger="agents.relay"):
        outcome = relay.relay(client)
    assert outcome.counts == {**NOTHING, "observed": 1, "invalid_signatures": 1}
    assert outcome.error == f"entries of {LIFECYCLE} not signed by this platform: 1"
    (told,) = caplog.records
    assert vars(told)["entries"] == [forged]
    assert genuine not in str(vars(told))
    assert "let me in" not in str(vars(told))
    assert unread(client) == 0
    assert not relay.relay(client).error


def test_an_entry_that_was_changed_or_moved_is_of_another_origin(
    client: redis.Redis,
) -> None:
    fields = [("outbox_id", new_id()), ("event", "suspend"), ("zone_id", "z")]
    changed = dict(streams.signed(LIFECYCLE, fields, KEY)) | {"event": "resume"}
    moved = dict(streams.signed("caracal.sessions.revoke", fields, KEY))
    more = dict(streams.signed(LIFECYCLE, fields, KEY)) | {"reason": "x"}
    for entry in (changed, moved, more):
        client.xadd(LIFECYCLE, entry)
    assert run(client) == {"invalid_signatures": 3}
    # Nor do they spoil the event they were made of.
    client.xadd(LIFECYCLE, dict(streams.signed(LIFECYCLE, fields, KEY)))
    assert run(client) == {"observed": 1}


def test_an_entry_that_is_not_even_text_is_of_another_origin(
    client: redis.Redis,
) -> None:
    client.xadd(LIFECYCLE, {b"\xff": b"\xfe", b"_sig": b"\x00", b"outbox_id": b""})
    assert run(client) == {"invalid_signatures": 1}
    assert unread(client) == 0


def test_an_event_that_comes_again_is_a_duplicate(client: redis.Redis) -> None:
    once = new_id()
    for _ in range(3):
        write(client, outbox_id=once)
    assert run(client) == {"observed": 1, "duplicates": 2}
    write(client, outbox_id=once)
    assert run(client) == {"duplicates": 1}
    known = f"coordinator:relay_dedupe:{once}"
    assert 3_500 < client.ttl(known) <= 3_600
    client.delete(known)
    write(client, outbox_id=once)
    assert run(client) == {"observed": 1}


def test_without_a_key_only_dev_mode_believes_anybody(
    client: redis.Redis, settings: Settings
) -> None:
    settings.STREAMS_HMAC_KEY = ""
    write(client, key=b"")
    assert run(client) == {"observed": 1}
    settings.CARACAL_MODE = "stable"
    write(client, key=b"")
    assert run(client) == {"invalid_signatures": 1}


def test_the_group_comes_back_after_redis_lost_its_data(client: redis.Redis) -> None:
    """W13: after Redis lost its data the relay failed on every tick until a restart."""
    write(client)
    assert run(client) == {"observed": 1}
    client.flushall()
    assert run(client) == {}
    write(client)
    client.xgroup_destroy(LIFECYCLE, relay.GROUP)
    write(client)
    assert run(client) == {"observed": 2}


def test_redis_that_is_away_is_an_outage_and_costs_nothing(
    valkey: PrivateValkey,
) -> None:
    write(valkey.client)
    before = JobRun.objects.filter(name="relay-lifecycle").first()
    valkey.stop()
    assert "ConnectionError" in tasks.relay_lifecycle().error
    valkey.start()
    write(valkey.client)
    outcome = tasks.relay_lifecycle()
    assert (outcome.handled, outcome.error) == (1, "")
    job = JobRun.objects.get(name="relay-lifecycle")
    known = before.counts if before else {}
    assert job.counts["observed"] == known.get("observed", 0) + 1
    assert (job.last_error, job.failure != "") == ("", True)


def test_a_run_that_ends_before_it_acknowledges_is_done_again(
    client: redis.Redis,
) -> None:
    for _ in range(3):
        write(client)
    write(client, key=FOREIGN)
    client.acl_setuser("default", enabled=True, commands=["-xack"])
    outcome = relay.relay(client)
    assert outcome.error.startswith("NoPermissionError")
    assert unread(client) == 4
    client.acl_setuser("default", enabled=True, commands=["+xack"])
    # Each is what it was: what was seen by the interrupted run is no duplicate.
    assert run(client) == {"observed": 3, "invalid_signatures": 1}
    assert unread(client) == 0


def test_where_redis_takes_no_more_writes_nothing_is_withheld(
    client: redis.Redis,
) -> None:
    write(client)
    client.acl_setuser("default", enabled=True, commands=["-set"])
    assert run(client) == {"observed": 1}
    assert unread(client) == 0


def test_what_another_consumer_left_is_taken_over_in_time(
    client: redis.Redis, settings: Settings
) -> None:
    client.xgroup_create(LIFECYCLE, relay.GROUP, id="0", mkstream=True)
    for _ in range(3):
        write(client)
    client.xreadgroup(relay.GROUP, "a host that is gone", {LIFECYCLE: ">"})
    assert run(client) == {}
    assert unread(client) == 3
    settings.RELAY_CLAIM_IDLE_SEC = 0
    assert run(client) == {"observed": 3}
    assert unread(client) == 0


def test_what_was_trimmed_before_it_was_judged_is_no_forgery(
    client: redis.Redis,
) -> None:
    client.xgroup_create(LIFECYCLE, relay.GROUP, id="0", mkstream=True)
    for _ in range(3):
        write(client)
    consumer = configured.RELAY_CONSUMER_NAME
    client.xreadgroup(relay.GROUP, consumer, {LIFECYCLE: ">"})
    client.xtrim(LIFECYCLE, maxlen=1, approximate=False)
    assert run(client) == {"observed": 1, "trimmed": 2}
    assert unread(client) == 0


def test_two_at_once_judge_every_entry_once(client: redis.Redis) -> None:
    for _ in range(1_200):
        write(client)
    with Threads(4) as threads:
        runs = [threads.start(relay.relay, client) for _ in range(4)]
        outcomes = [each.result() for each in runs]
    outcomes.append(relay.relay(client))
    assert sum(each.counts.get("observed", 0) for each in outcomes) == 1_200
    assert sum(each.handled for each in outcomes) == 1_200
    assert unread(client) == 0


KILLED = """
import django
django.setup()
from agents.tasks import relay_lifecycle
relay_lifecycle()
"""


def test_a_relay_that_is_killed_on_the_way_leaves_the_rest_to_the_next(
    valkey: PrivateValkey, tmp_path: Any
) -> None:
    client = valkey.client
    ids = [new_id() for _ in range(5_000)]
    for id_ in ids:
        write(client, outbox_id=id_)
    url = urlsplit(configured.DATABASE_URL)
    database = quote(connection.settings_dict["NAME"])
    environment = os.environ | {
        "DATABASE_URL": url._replace(path=f"/{database}").geturl(),
        "REDIS_URL": f"redis://127.0.0.1:{valkey.port}/0",
        "STREAMS_HMAC_KEY": KEY.hex(),
    }
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED], env=environment, cwd=configured.BASE_DIR
    )
    given_up_at = time.monotonic() + 60
    while time.monotonic() < given_up_at and client.dbsize() < 2:
        assert process.poll() is None
    process.kill()
    assert process.wait() == -signal.SIGKILL
    # Its lock is gone with its connection, which the database notices in its own time.
    while unread(client) and time.monotonic() < given_up_at:
        relay.relay(client)
    assert unread(client) == 0
    known = client.exists(*(f"{relay.DEDUPE}{id_}" for id_ in ids))
    assert known == len(ids)


def test_what_it_found_is_in_the_metrics_and_on_the_page_of_the_job(
    valkey: PrivateValkey, monkeypatch: pytest.MonkeyPatch
) -> None:
    console = Client()
    console.force_login(User.objects.create_superuser(new_id()[:30], password="x" * 12))

    def counted() -> dict[str, float]:
        monkeypatch.setattr(facts, "_last", None)
        lines = operations.metrics_text().splitlines()
        return {
            line.partition('"')[2].partition('"')[0]: float(line.split()[-1])
            for line in lines
            if line.startswith("caracal_relay_entries_total{")
        }

    before = counted()
    assert set(before) == set(operations.RELAYED) == set(NOTHING)
    write(valkey.client)
    write(valkey.client, key=FOREIGN)
    assert isinstance(tasks.relay_lifecycle(), Outcome)
    after = counted()
    assert {name: after[name] - before[name] for name in after} == {
        **NOTHING,
        "observed": 1,
        "invalid_signatures": 1,
    }
    job = JobRun.objects.get(name="relay-lifecycle")
    page = asking.text(console.get(asking.change(job)))
    assert "not signed by this platform" in page
    assert "invalid_signatures" in page


def test_reading_keeps_nobody_waiting(valkey: PrivateValkey, zone: Zone) -> None:
    """W37: the relay waited for entries on the connection that everybody shared."""
    valkey.client.flushall()
    began = time.monotonic()
    relay.relay(valkey.client)
    assert time.monotonic() - began < 2
    own = stores.connect(configured.REDIS_URL, relay.GROUP)
    shared = stores.connect(configured.REDIS_URL)
    assert own.connection_pool is not shared.connection_pool
    happen(zone.id, topic=LIFECYCLE, payload={"zone_id": zone.id})
    publisher.publish(shared)
    assert tasks.relay_lifecycle().counts["observed"] == 1
