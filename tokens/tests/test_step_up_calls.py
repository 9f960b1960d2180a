"""``GET /step-up/{id}``: what waiting clients learn (contract: tokens.md 10, W-17)."""

from __future__ import annotations

import time

import pytest
from django.conf import LazySettings, settings

from audit.waiting import room
from caracal_site.testing.client import Background, Coordinator
from caracal_site.testing.counting import statements_of
from caracal_site.testing.world import WRITE, World
from tokens import services
from tokens.models import StepUpChallenge
from tokens.tests.approvals import APPROVER, Guarded, age


@pytest.fixture
def guarded(world: World) -> Guarded:
    return Guarded(world)


def approve(challenge: StepUpChallenge) -> None:
    services.satisfy_challenge(challenge.id, zone_id=challenge.zone_id, actor=APPROVER)


def wait_until_waiting(count: int) -> None:
    """Returns when so many requests wait."""
    given_up_at = time.monotonic() + 10
    while room._callers.total() != count:
        assert time.monotonic() < given_up_at, room._callers


def test_everybody_learns_whether_to_go_on_waiting(
    coordinator: Coordinator, guarded: Guarded
) -> None:
    challenge = guarded.challenge()
    answer = coordinator.request("GET", f"/step-up/{challenge.id}")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json() == {
        "id": challenge.id,
        "challenge_type": "human_approval",
        "state": "pending",
        "satisfied": False,
        "consumed": False,
        "expires_at": f"{challenge.expires_at:%Y-%m-%dT%H:%M:%SZ}",
    }
    approve(challenge)
    told = coordinator.request("GET", f"/step-up/{challenge.id}").json()
    assert (told["satisfied"], told["consumed"]) == (True, False)
    guarded.ask(challenge_id=challenge.id)
    told = coordinator.request("GET", f"/step-up/{challenge.id}").json()
    assert (told["satisfied"], told["consumed"]) == (True, True)


def test_only_who_asked_and_the_operator_learn_what_was_asked(
    coordinator: Coordinator, guarded: Guarded
) -> None:
    world = guarded.world
    challenge = guarded.challenge()
    approve(challenge)
    details = {
        "approver": "admin:approver",
        "metadata": {"requested_scopes": [WRITE], "resources": [guarded.resource]},
    }
    other = world.make_application()
    readers = {
        world.token(): True,
        settings.CARACAL_COORDINATOR_TOKEN: True,
        world.token(other): False,
    }
    for token, may_read in readers.items():
        answer = coordinator.request("GET", f"/step-up/{challenge.id}", token=token)
        assert answer.status_code == 200
        told = {name: answer.json().get(name) for name in details}
        assert told == (details if may_read else dict.fromkeys(details))


@pytest.mark.parametrize("token", ["", "nobody's", "x" * 5_000], ids=len)
def test_a_token_that_does_not_hold_opens_nothing_more(
    coordinator: Coordinator, guarded: Guarded, token: str
) -> None:
    challenge = guarded.challenge()
    answer = coordinator.request("GET", f"/step-up/{challenge.id}", token=token)
    assert answer.status_code == 200
    assert not {"approver", "metadata"} & answer.json().keys()


def test_the_token_of_an_ended_session_opens_nothing_more(
    coordinator: Coordinator, guarded: Guarded
) -> None:
    challenge, token = guarded.challenge(), guarded.world.token()
    session = guarded.world.session()
    type(session).objects.filter(id=session.id).update(status="revoked")
    answer = coordinator.request("GET", f"/step-up/{challenge.id}", token=token)
    assert answer.status_code == 200
    assert "metadata" not in answer.json()


@pytest.mark.parametrize(
    "challenge_id", ["not-a-uuid", "01a20879-7b89-770a-874b-d7c8844fb379"]
)
def test_an_unknown_challenge_is_not_found(
    coordinator: Coordinator, challenge_id: str
) -> None:
    answer = coordinator.request("GET", f"/step-up/{challenge_id}")
    assert (answer.status_code, answer.json()["error"]) == (404, "resource_not_found")


def test_an_expired_challenge_is_gone(
    coordinator: Coordinator, guarded: Guarded
) -> None:
    challenge = guarded.challenge()
    age(challenge, minutes=31)
    answer = coordinator.request("GET", f"/step-up/{challenge.id}?wait=30")
    assert (answer.status_code, answer.json()["error"]) == (410, "challenge_expired")


@pytest.mark.parametrize("query", ["wait=31", "wait=-1", "wait=x", "wait=", "weight=1"])
def test_a_bad_wait_is_refused(
    coordinator: Coordinator, guarded: Guarded, query: str
) -> None:
    challenge = guarded.challenge()
    answer = coordinator.request("GET", f"/step-up/{challenge.id}?{query}")
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_query")


def test_who_waits_is_answered_when_a_person_has(
    coordinator: Coordinator, guarded: Guarded
) -> None:
    challenge = guarded.challenge()
    began = time.monotonic()
    waiting = coordinator.start("GET", f"/step-up/{challenge.id}?wait=30")
    approve(challenge)
    assert waiting.result(20).json()["satisfied"] is True
    assert time.monotonic() - began < 20


def test_who_waits_in_vain_is_answered_in_time(
    coordinator: Coordinator, guarded: Guarded
) -> None:
    challenge = guarded.challenge()
    began = time.monotonic()
    answer = coordinator.request("GET", f"/step-up/{challenge.id}?wait=1")
    assert answer.json()["state"] == "pending"
    assert 1 <= time.monotonic() - began < 10


@pytest.mark.parametrize("bound", ["EVENT_WAITERS_MAX", "EVENT_WAITERS_PER_CALLER"])
def test_too_many_that_wait_are_answered_at_once(
    coordinator: Coordinator, guarded: Guarded, settings: LazySettings, bound: str
) -> None:
    challenge = guarded.challenge()
    setattr(settings, bound, 0)
    began = time.monotonic()
    answer = coordinator.request("GET", f"/step-up/{challenge.id}?wait=30")
    assert answer.json()["state"] == "pending"
    assert time.monotonic() - began < 10


def test_many_that_wait_are_told_at_once_and_hold_no_thread(
    coordinator: Coordinator, guarded: Guarded, settings: LazySettings
) -> None:
    challenge = guarded.challenge()
    many = settings.COORDINATOR_DB_THREADS + 8
    path = f"/step-up/{challenge.id}?wait=30"
    waiting = [coordinator.start("GET", path) for _ in range(many)]
    wait_until_waiting(many)
    # There is a thread and a connection for others, who are not told.
    other = coordinator.request("GET", f"/step-up/{challenge.id}")
    assert other.json()["satisfied"] is False
    approve(challenge)
    told = coordinator.at_once(*waiting)
    assert all(answer.json()["satisfied"] for answer in told)
    wait_until_waiting(0)


def test_who_waits_asks_the_database_when_notified_and_not_before(
    coordinator: Coordinator,
    guarded: Guarded,
    background: Background,
    settings: LazySettings,
) -> None:
    settings.DEBUG = True
    challenge = guarded.challenge()

    def wait() -> None:
        coordinator.request("GET", f"/step-up/{challenge.id}?wait=3")

    # To begin, once it has its place, when the listener is there, and at the end.
    assert len(statements_of(background, wait)) <= 4


def test_a_rejection_reaches_who_waits(
    coordinator: Coordinator, guarded: Guarded
) -> None:
    challenge = guarded.challenge()
    waiting = coordinator.start("GET", f"/step-up/{challenge.id}?wait=30")
    wait_until_waiting(1)
    services.reject_challenge(
        challenge.id, zone_id=challenge.zone_id, actor=APPROVER, reason="no"
    )
    assert waiting.result(20).json()["state"] == "rejected"


def test_who_waits_past_its_time_is_told_that_it_is_gone(
    coordinator: Coordinator, guarded: Guarded
) -> None:
    challenge = guarded.challenge()
    age(challenge, minutes=30, seconds=-2)
    answer = coordinator.request("GET", f"/step-up/{challenge.id}?wait=30")
    assert (answer.status_code, answer.json()["error"]) == (410, "challenge_expired")
