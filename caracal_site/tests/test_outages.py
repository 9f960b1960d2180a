"""Without Redis every route works; without the database the answer is 503 (D8)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings as configured
from django.db import connection, transaction
from pytest_django import Settings

from caracal_site import rates
from caracal_site.testing.client import Background, Coordinator
from caracal_site.testing.world import World, refusal

DEAD = "127.0.0.1:1"


@pytest.fixture
def no_redis(settings: Settings, background: Background) -> Iterator[None]:
    """A port nobody listens at."""
    background.forget_redis()
    settings.REDIS_URL = f"redis://{DEAD}/0"
    yield
    background.forget_redis()


@pytest.mark.usefixtures("no_redis")
def test_everything_works_without_redis(world: World) -> None:
    before = rates.unavailable._value.get()
    a, b = world.spawn(), world.spawn()
    edge = world.delegate(a, b)
    assert world.revoke(edge).status_code == 200
    assert world.suspend(a).status_code == 200
    assert world.terminate(a).status_code == 204
    assert world.get("/agents").status_code == 200
    assert world.coordinator.get("/health").json() == {"ok": True}
    assert rates.unavailable._value.get() > before


@pytest.mark.usefixtures("no_redis")
def test_only_readiness_tells_that_redis_is_away(coordinator: Coordinator) -> None:
    answer = coordinator.get("/ready")
    assert answer.status_code == 503
    assert answer.json()["error"] == "redis_unreachable"


def test_a_limit_is_kept_and_tells_when_to_come_again(
    world: World, settings: Settings
) -> None:
    settings.COORDINATOR_RATE_LIMIT_PER_MIN = 5
    answers = [world.get("/agents") for _ in range(12)]
    # The minute may turn in between: then there are two windows.
    limited = [answer for answer in answers if answer.status_code == 429]
    assert len(limited) >= 2
    assert refusal(limited[0]) == (429, "rate_limited")
    assert 1 <= int(limited[0].headers["Retry-After"]) <= 60
    other = world.make_application()
    assert world.get("/agents", by=other).status_code == 200
    assert {world.coordinator.get("/health").status_code for _ in range(12)} == {200}
    settings.COORDINATOR_RATE_LIMIT_PER_MIN = 0
    assert world.get("/agents").status_code == 200


def test_unknown_callers_are_limited_by_address(
    coordinator: Coordinator, background: Background, settings: Settings
) -> None:
    settings.COORDINATOR_RATE_LIMIT_PER_MIN = 5
    answers = [coordinator.get("/zones/z/agents") for _ in range(12)]
    assert {answer.status_code for answer in answers} == {401, 429}
    elsewhere = Coordinator(background)
    assert elsewhere.get("/zones/z/agents").status_code == 401
    elsewhere.close()


# The database.


def terminate_other_backends() -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )


def test_a_restart_of_the_database_is_survived(world: World) -> None:
    world.spawn()
    terminate_other_backends()
    starts = [world.start_spawn() for _ in range(3 * configured.COORDINATOR_DB_THREADS)]
    answers = world.coordinator.at_once(*starts)
    assert {answer.status_code for answer in answers} <= {201, 503}
    for answer in answers:
        if answer.status_code == 503:
            assert refusal(answer) == (503, "service_unavailable")
            assert int(answer.headers["Retry-After"]) >= 1
    again = [world.start_spawn() for _ in range(3 * configured.COORDINATOR_DB_THREADS)]
    assert {answer.status_code for answer in world.coordinator.at_once(*again)} == {201}
    world.assert_sound()


def test_who_waits_too_long_for_another_is_told_to_come_again(
    world: World, settings: Settings
) -> None:
    agent = world.spawn()
    with transaction.atomic():
        world.zone.agents.select_for_update().get(id=agent["agent_session_id"])
        answer = world.terminate(agent)
    assert refusal(answer) == (409, "busy")
    assert int(answer.headers["Retry-After"]) >= 1
    assert world.terminate(agent).status_code == 204


ALONE = """
import json, sys
import django
django.setup()
from caracal_site.testing.client import Background, Coordinator

background = Background()
coordinator = Coordinator(background)
found = {}
for name, path in (("health", "/health"), ("ready", "/ready"), ("route", sys.argv[1])):
    answer = coordinator.get(path, token=sys.argv[2])
    found[name] = [answer.status_code, answer.headers.get("Retry-After"), answer.json()]
print(json.dumps(found))
"""


def test_without_the_database_the_answer_is_to_come_again(world: World) -> None:
    environment = os.environ | {
        "DATABASE_URL": f"postgres://nobody@{DEAD}/nothing",
        "DB_CONNECTION_TIMEOUT_MS": "300",
        "CARACAL_MODE": "dev",
    }
    done = subprocess.run(
        [sys.executable, "-c", ALONE, world.path("/agents"), world.token()],
        env=environment,
        cwd=configured.BASE_DIR,
        capture_output=True,
        timeout=60,
        check=True,
        text=True,
    )
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert found["health"][0] == 200
    assert found["ready"][0] == 503
    assert found["ready"][2]["error"] == "postgres_unreachable"
    status, retry_after, body = found["route"]
    assert (status, body["error"]) == (503, "service_unavailable")
    assert int(retry_after) >= 1
